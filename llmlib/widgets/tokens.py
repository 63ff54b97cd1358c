"""Type text and see it cut by several tokenizers, which run on the page."""

import re

from llmlib.tokenizer import BPE, Tokenizer, Unigram, WordPiece
from llmlib.tokenizer.bpe import byte_level_spec
from llmlib.tokenizer.pretokenize import keep_spec
from llmlib.tokenizer.unigram import metaspace_spec

from .base import Interactive, escape, folded_table, page

MARKS = {" ": "␣", "\n": "↵", "\t": "⇥"}
COLOURS = 5  # a token's colour is its id modulo this: the same token, the same colour
MAX_CHARACTERS = 2000


class Tokens(Interactive):
    """A text box and, under it, the tokens of its text under each tokenizer."""

    tag = "tta-tokens"
    styles = ("widgets.css", "tokens.css")
    scripts = ("widgets.js", "tokens.js")

    def __init__(self, title, tokenizers, text, label):
        if not tokenizers:
            raise ValueError("tokens() needs at least one tokenizer: {'BPE': tokenizer}")
        super().__init__(title, label, [{"at": "", "read": ""}])
        self.tokenizers, self.text = dict(tokenizers), text
        self.specs = [specification(name, tok) for name, tok in self.tokenizers.items()]

    def html(self):
        cuts = {name: tok.encode(self.text) for name, tok in self.tokenizers.items()}
        sections = "".join(self._section(name, ids) for name, ids in cuts.items())
        counts = ", ".join(f"{name} {len(ids)}" for name, ids in cuts.items())
        box = (
            f'<label class="tx-text"><span>{escape(self.label)}</span><textarea '
            f'spellcheck="false" autocomplete="off" maxlength="{MAX_CHARACTERS}">'
            f"\n{escape(self.text)}</textarea></label>"
        )
        read = f"{len(self.text)} characters become: {counts}."
        rows = [
            [name, len(ids), _per_token(self.text, ids), " ".join(map(str, ids))]
            for name, ids in cuts.items()
        ]
        head = ["tokenizer", "tokens", "characters each", "ids"]
        inside = (
            f'{box}<p class="tx-read" aria-live="polite"><span>{escape(read)}</span></p>{sections}'
            f"{folded_table(self.title, head, rows)}"
        )
        return page(self, inside, self.specs)

    def live(self, compute=None, values=None):
        raise TypeError("tokens() needs no kernel: its tokenizers run on the page already")

    def _section(self, name, ids):
        tokenizer = self.tokenizers[name]
        chips = "".join(_chip(shown(tokenizer, id), id) for id in ids)
        count = f"{len(ids)} tokens, {_per_token(self.text, ids)} characters each"
        label = f"{escape(name)}: tokens and their ids"
        return (
            f'<div class="tx-cut"><p class="tx-count"><b>{escape(name)}</b>: '
            f'<span>{count}</span></p><div class="tx-chips" tabindex="0" role="group" '
            f'aria-label="{label}">{chips}</div></div>'
        )


def specification(name, tokenizer):
    """What the page needs to run a tokenizer, as small as it can be.

    Raises ValueError for a tokenizer that the page's code does not cover: another class, or one
    read from a file with a normalizer or with pre-tokenization steps that training here does not
    produce.
    """
    if not isinstance(tokenizer, BPE | WordPiece | Unigram):
        raise ValueError(f"{name!r} is a {type(tokenizer).__name__}, not BPE, WordPiece or Unigram")
    if not _as_trained_here(tokenizer):
        raise ValueError(
            f"{name!r} has a normalizer or pre-tokenizer that does not run on the page; "
            "use a tokenizer trained by llmlib, or one whose pre-tokenizer is a single pattern"
        )
    given = tokenizer.to_dict()
    spec = {"name": name, "type": given["type"], "pattern": given["pattern"]}
    if isinstance(tokenizer, BPE):
        alphabet = [tokenizer.vocab.get(bytes([byte]), -1) for byte in range(256)]
        if -1 in alphabet:
            raise ValueError(f"{name!r} lacks some of the 256 bytes, so it cannot take every text")
        return spec | {"alphabet": alphabet, "merges": [id for m in given["merges"] for id in m]}
    spec |= {k: given[k] for k in ("tokens", "unk_id")} | {"special": list(given["special_tokens"])}
    if isinstance(tokenizer, WordPiece):
        return spec | {k: given[k] for k in ("prefix", "max_input_chars")}
    scores = [
        score for _, score in tokenizer.vocab
    ]  # unrounded: ties must fall as they do in Python
    return spec | {"scores": scores, "byte_fallback": given["byte_fallback"]}


def _as_trained_here(tokenizer):
    """Whether text reaches the algorithm in the one way that the page's code knows."""
    spell = {BPE: byte_level_spec, WordPiece: keep_spec, Unigram: metaspace_spec}[type(tokenizer)]
    return (
        tokenizer.normalizer is None
        and tokenizer.pre_tokenizer == spell(tokenizer.pattern)
        and all(token.special for token in tokenizer.added_tokens.values())
        and not getattr(tokenizer, "ignore_merges", False)
    )


def shown(tokenizer: Tokenizer, id):
    """A token as a reader can read it: its text, or the bytes of a broken character as ⟨E2 96⟩."""
    if isinstance(tokenizer, BPE):
        data = tokenizer.token_bytes(id)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return f"⟨{' '.join(f'{byte:02X}' for byte in data)}⟩"
    return tokenizer.to_dict()["tokens"][id].replace("▁", " ")


def _chip(text, id):
    parts = (
        f"<i>{MARKS[part]}</i>" if part in MARKS else escape(part)
        for part in re.split(r"([ \n\t])", text)
    )
    colour = f"tx-c{id % COLOURS}"
    inside = f"<span>{''.join(parts)}</span><small>{id}</small>"
    return f'<span class="tx-chip {colour}">{inside}</span>'


def _per_token(text, ids):
    return f"{len(text) / len(ids):.2f}" if ids else "–"


def tokens(title, tokenizers, text, label="Type any text"):
    """A text box, and its tokens with their ids under each tokenizer, as coloured chips with
    visible spaces.

    tokenizers: {name: BPE | WordPiece | Unigram}, trained here; they run in JavaScript on the page
    and give the ids of `encode(text)`, for every text. text: what the box holds at first (at most
    2,000 characters). A token keeps its colour everywhere. Vocabularies of a few thousand tokens
    keep the page small.
    """
    return Tokens(title, tokenizers, text, label)
