"""From text to pieces: the pre-tokenizers that a `tokenizer.json` may name, compiled to functions.

A pre-tokenizer is kept as the plain dict that the file holds, so what is saved is what runs.
`compile_pieces` turns it into one function from text to pieces. The byte-level step is not a step
here: it changes how a piece is spelled, not where it is cut, and `BPE` works on bytes anyway.
"""

from collections.abc import Callable, Iterator

import regex

from .patterns import GPT2_PATTERN

# A stage maps (pieces, whether the first piece stands at the start of the text) to the same after
# it.
State = tuple[list[str], bool]
Stage = Callable[[list[str], bool], State]

_PUNCTUATION = r"\p{P}$+<=>^`|~"
PUNCTUATION = f"[{_PUNCTUATION}]"
BERT_PATTERN = rf"{PUNCTUATION}|[^\s{_PUNCTUATION}]+"
METASPACE = "\u2581"


def split_spec(pattern: str) -> dict:
    """A pre-tokenizer that cuts at every match of `pattern`; what lies between matches is a piece
    as well.
    """
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


def keep_spec(pattern: str) -> dict:
    """A pre-tokenizer whose pieces are the matches of `pattern`; other text is dropped."""
    if pattern == BERT_PATTERN:
        return {"type": "BertPreTokenizer"}
    return split_spec(pattern) | {"behavior": "Removed", "invert": True}


def compile_pieces(spec: dict | None) -> Callable[[str, bool], list[str]]:
    """Return ``pieces(text, at_start)`` for a pre-tokenizer's description.

    `at_start` says whether `text` is the beginning of what the user gave (it is not after a special
    token). Raises ValueError for a kind that is not covered.
    """
    stages = list(_stages(spec))
    if len(stages) == 1 and hasattr(stages[0], "cut"):
        cut = stages[0].cut
        return lambda text, at_start: cut(text)

    def pieces(text: str, at_start: bool) -> list[str]:
        parts = [text]
        for stage in stages:
            parts, at_start = stage(parts, at_start)
        return parts

    return pieces


def _stages(spec: dict | None) -> Iterator[Stage]:
    """Yield the stages of a description, sequences flattened."""
    if spec is None:
        return
    kind = spec["type"]
    if kind == "Sequence":
        for inner in spec["pretokenizers"]:
            yield from _stages(inner)
    elif kind == "ByteLevel":
        if spec.get("add_prefix_space", False):
            yield _prefix_space
        if spec.get("use_regex", True):
            yield _isolate(GPT2_PATTERN)
    elif kind == "Split":
        yield _split(spec)
    elif kind == "Metaspace":
        yield from _metaspace(spec)
    elif kind == "Digits":
        yield _isolate(r"\p{N}" if spec.get("individual_digits", False) else r"\p{N}+")
    elif kind == "Punctuation":
        yield _behave(PUNCTUATION, spec.get("behavior", "Isolated"))
    elif kind in _KEEP_MATCHES:
        yield _keep(_KEEP_MATCHES[kind])
    else:
        raise ValueError(
            f"pre-tokenizer {kind!r} is not covered; covered are Sequence, ByteLevel, Split, "
            f"Metaspace, Digits, Punctuation, {', '.join(_KEEP_MATCHES)}"
        )


_KEEP_MATCHES = {
    "BertPreTokenizer": BERT_PATTERN,
    "Whitespace": r"\w+|[^\w\s]+",
    "WhitespaceSplit": r"\S+",
}


def _each(cut: Callable[[str], list[str]]) -> Stage:
    """Make a stage of a function that cuts one piece into non-empty pieces."""

    def stage(pieces: list[str], at_start: bool) -> State:
        result = [part for piece in pieces for part in cut(piece)]
        kept_start = at_start and bool(result) and pieces[0].startswith(result[0])
        return result, kept_start

    stage.cut = cut
    return stage


def _isolate(pattern: str) -> Stage:
    """Cut so that every match is a piece and so is every gap between matches."""
    compiled = regex.compile(pattern)

    def cut(text: str) -> list[str]:
        if not compiled.groups:
            pieces = compiled.findall(text)
            if sum(map(len, pieces)) == len(text):  # no gaps: the usual case, at C speed
                return list(filter(None, pieces))
        return [part for part, _ in _matches_and_gaps(compiled, text)]

    return _each(cut)


def _keep(pattern: str) -> Stage:
    """Keep the matches, drop what lies between them."""
    compiled = regex.compile(pattern)
    return _each(lambda text: [match.group() for match in compiled.finditer(text)])


def _matches_and_gaps(compiled: regex.Pattern, text: str) -> Iterator[tuple[str, bool]]:
    """Yield all of `text` in non-empty parts, each with whether it is a match."""
    end = 0
    for match in compiled.finditer(text):
        if match.end() == match.start():
            continue
        if match.start() > end:
            yield text[end : match.start()], False
        yield match.group(), True
        end = match.end()
    if end < len(text):
        yield text[end:], False


def _split(spec: dict) -> Stage:
    """The `Split` pre-tokenizer: a regex or a literal string, one of five behaviours, perhaps
    inverted.
    """
    (kind, pattern), *_ = spec["pattern"].items()
    if kind == "String":
        pattern = regex.escape(pattern)
    return _behave(pattern, spec["behavior"], spec.get("invert", False))


def _behave(pattern: str, behavior: str, invert: bool = False) -> Stage:
    """Cut at the delimiters, which are the matches (or, inverted, the gaps), and treat them as
    `behavior` says.
    """
    if behavior == "Isolated" and not invert:
        return _isolate(pattern)
    if behavior == "Removed" and invert:
        return _keep(pattern)
    compiled = regex.compile(pattern)
    if behavior not in (
        "Isolated",
        "Removed",
        "MergedWithPrevious",
        "MergedWithNext",
        "Contiguous",
    ):
        raise ValueError(f"split behaviour {behavior!r} is not covered")

    def cut(text: str) -> list[str]:
        result: list[str] = []
        before = None  # whether the part before was a delimiter
        for part, matched in _matches_and_gaps(compiled, text):
            delimiter = matched != invert
            if behavior == "Removed":
                result += [] if delimiter else [part]
            elif (
                (behavior == "MergedWithPrevious" and delimiter and before is False)
                or (behavior == "MergedWithNext" and before is True and not delimiter)
                or (behavior == "Contiguous" and delimiter == before)
            ):
                result[-1] += part
            else:
                result.append(part)
            before = delimiter
        return result

    return _each(cut)


def _prefix_space(pieces: list[str], at_start: bool) -> State:
    """Give every piece a leading space that has none."""
    return [piece if piece.startswith(" ") else " " + piece for piece in pieces], at_start


def _metaspace(spec: dict) -> Iterator[Stage]:
    """SentencePiece's spaces: each becomes a visible character, which opens the word that follows
    it.
    """
    mark = spec.get("replacement", METASPACE)
    scheme = spec.get("prepend_scheme", "always" if spec.get("add_prefix_space", True) else "never")

    def stage(pieces: list[str], at_start: bool) -> State:
        result = [piece.replace(" ", mark) for piece in pieces]
        for index, piece in enumerate(result):
            wanted = scheme == "always" or (scheme == "first" and at_start and index == 0)
            if wanted and not piece.startswith(mark):
                result[index] = mark + piece
        return result, at_start

    yield stage
    if spec.get("split", True):
        yield _behave(regex.escape(mark), "MergedWithNext")
