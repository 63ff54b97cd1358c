"""From prompt to text: `complete` gives the whole of it, `stream_text` each piece as it comes."""

import codecs
from collections.abc import Iterator, Sequence

from llmlib.model import Transformer

from .decode import stream


def complete(
    model: Transformer,
    tokenizer,
    prompt: str,
    *,
    max_new_tokens: int = 100,
    stop: Sequence[str] = ("<|endoftext|>",),
    stop_strings: Sequence[str] = (),
    allowed_special: str | Sequence[str] = (),
    **sampling,
) -> str:
    """Continue a string: the new text only, without what ended it. Other arguments: `generate`.

    stop: names of special tokens that end the text; those the tokenizer does not know are ignored.
    stop_strings: texts that end it, wherever their letters lie in tokens: the text goes up to the
        first that is complete, and not beyond. They are looked for in the new text only.
    allowed_special: special tokens that may be written in the prompt ("all", or their names). A
        prompt without a single token starts from <|endoftext|>, as every document does in training.
    """
    pieces = stream_text(
        model,
        tokenizer,
        prompt,
        max_new_tokens=max_new_tokens,
        stop=stop,
        stop_strings=stop_strings,
        allowed_special=allowed_special,
        **sampling,
    )
    return "".join(pieces)


def stream_text(
    model: Transformer,
    tokenizer,
    prompt: str,
    *,
    max_new_tokens: int = 100,
    stop: Sequence[str] = ("<|endoftext|>",),
    stop_strings: Sequence[str] = (),
    allowed_special: str | Sequence[str] = (),
    **sampling,
) -> Iterator[str]:
    """The text of `complete`, in pieces as they are written.

    A piece is never half a character, and never the beginning of a stop string that may yet come.
    Raises at once, not at the first piece.
    """
    text, special = TextStream(tokenizer, stop_strings), tokenizer.special_tokens
    ids = tokenizer.encode(prompt, allowed_special=allowed_special)
    if not ids:
        if "<|endoftext|>" not in special:
            raise ValueError("the prompt is empty and there is no <|endoftext|> to start from")
        ids = [special["<|endoftext|>"]]
    ends = {special[name] for name in stop if name in special}
    new = stream(model, ids, max_new_tokens=max_new_tokens, stop=sorted(ends), **sampling)
    return _pieces(new, ends, text)


def _pieces(new: Iterator[int], ends: set[int], text: "TextStream") -> Iterator[str]:
    for id in new:
        piece = "" if id in ends else text.add(id)
        if piece:
            yield piece
        if text.stopped:
            return
    rest = text.finish()
    if rest:
        yield rest


class TextStream:
    """Ids in, text out, as soon as it is certain.

    tokenizer: whose tokens they are. stop_strings: texts that end it; `stopped` turns True with the
    first that is complete, and what was given out ends just before it.

    Bytes become characters when the last byte of a character has come; text that may be the
    beginning of a stop string is held back until it is decided. All pieces together are
    `tokenizer.decode` of all ids, up to the stop string. Raises ValueError for a stop string that
    no text contains: an empty one, or half a character (a lone surrogate).
    """

    def __init__(self, tokenizer, stop_strings: Sequence[str] = ()):
        if isinstance(stop_strings, str):
            raise ValueError(f"stop_strings is a list of texts, not one text: [{stop_strings!r}]?")
        for text in stop_strings:
            if not isinstance(text, str) or not text:
                raise ValueError(f"a stop string is a text of at least one character, not {text!r}")
            if any("\ud800" <= char <= "\udfff" for char in text):
                raise ValueError(
                    f"the stop string {text!r} has half a character in it (a lone surrogate), "
                    "which no text contains: give whole characters"
                )
        self.stopped = False
        self._tokenizer, self._stops = tokenizer, tuple(stop_strings)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._before: list[int] = []  # the last id: some tokenizers put a space between two tokens
        self._held = ""  # may be the beginning of a stop string

    def add(self, id: int) -> str:
        """The text that became certain with this id; nothing once stopped."""
        before = self._tokenizer.decode_bytes(self._before)
        data = self._tokenizer.decode_bytes([*self._before, id])[len(before) :]
        self._before = [id]
        return self._send(self._decoder.decode(data))

    def finish(self) -> str:
        """The rest, when no more ids come; an unfinished character is U+FFFD, as in `decode`."""
        text = self._send(self._decoder.decode(b"", final=True))
        text, self._held = text + self._held, ""
        return text

    def _send(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        ends = [(text.index(s) + len(s), text.index(s)) for s in self._stops if s in text]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)[1]]
        longest = min(len(text), max(map(len, self._stops), default=0))
        tails = (text[len(text) - n :] for n in range(longest, 0, -1))
        self._held = next((t for t in tails if any(s.startswith(t) for s in self._stops)), "")
        return text[: len(text) - len(self._held)]
