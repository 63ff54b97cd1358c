"""What an assistant's turn may look like, token by token, as a constraint for `generate`.

    [<|think|> thought <|/think|>] text <|end|>
    [<|think|> thought <|/think|>] [text] <|call|> call <|/call|> … <|end|>

Inside a call only what `calls` allows can be written, and inside the text what `text` allows. With
`call_pattern` a call is one that `parse_call` reads: a tool that exists, its arguments in place,
each of a type that the schema names, whatever the model has learnt. Whether it is the right call is
the model's affair, and what is inside lists and objects is for `ToolRegistry` to check.
"""

import codecs
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from llmlib.tokenizer import Tokenizer

MARKS = ("<|think|>", "<|/think|>", "<|call|>", "<|/call|>", "<|end|>")


class Place(NamedTuple):
    """Where in a turn we are: `part`, and the state of the part's own constraint."""

    part: str  # "start", "think", "answer" (a thought is over), "text", "call", "called"
    inner: Any = None


class TurnRule:
    """A constraint (`start`, `allowed`, `advance`, `done`) for one turn.

    calls: a constraint for the text of a call, or None where there are no tools. text: one for
        the turn's text, or None for any; with one, there are no thoughts. watch: called with each
        token that is written.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        calls: Any = None,
        text: Any = None,
        watch: Callable[[int], None] | None = None,
    ) -> None:
        missing = [mark for mark in MARKS if mark not in tokenizer.special_tokens]
        if missing:
            raise ValueError(f"the tokenizer has no {', '.join(missing)}: it cannot write turns")
        self._id = {mark: tokenizer.special_tokens[mark] for mark in MARKS}
        self._mark = {id: mark for mark, id in self._id.items()}
        self._any_text = torch.ones(tokenizer.vocab_size, dtype=torch.bool)  # (V,)
        self._any_text[list(tokenizer.special_tokens.values())] = False
        self._calls, self._text, self._watch = calls, text, watch

    def start(self) -> Place:
        """The place before the first token."""
        return Place("start", self._text.start() if self._text else None)

    def allowed(self, place: Place) -> Tensor:
        """(V,) bool: the tokens that may come next; the end of the turn is `done`'s affair."""
        part, inner = place
        if part == "call":
            mask, marks = self._calls.allowed(inner), ["<|/call|>"] * self._calls.done(inner)
        elif part == "called":
            mask, marks = torch.zeros_like(self._any_text), ["<|call|>"]
        elif part == "think":
            mask, marks = self._any_text, ["<|/think|>"]
        else:
            mask = self._text.allowed(inner) if self._text else self._any_text
            may_call = self._calls is not None and (part != "text" or self._text is None)
            marks = ["<|call|>"] * may_call
            marks += ["<|think|>"] * (part == "start" and self._text is None)
        mask = mask.clone()
        mask[[self._id[mark] for mark in marks]] = True
        return mask

    def advance(self, place: Place, token: int) -> Place:
        """The place after a token."""
        if self._watch:
            self._watch(token)
        part, inner = place
        mark = self._mark.get(token)
        if mark == "<|think|>":
            return Place("think")
        if mark == "<|/think|>":
            return Place("answer")
        if mark == "<|call|>":
            return Place("call", self._calls.start())
        if mark == "<|/call|>":
            return Place("called")
        if part == "call":
            return Place("call", self._calls.advance(inner, token))
        if part == "think":
            return place
        return Place("text", self._text.advance(inner, token) if self._text else None)

    def done(self, place: Place) -> bool:
        """Whether the turn may end here: after a call, or after text. No turn is empty."""
        if place.part == "text":
            return self._text is None or self._text.done(place.inner)
        return place.part == "called"


class TextPieces:
    """Hands on the turn's text while tokens arrive, whole characters only; calls are left out."""

    def __init__(self, tokenizer: Tokenizer, tell: Callable[[str], None]) -> None:
        self._tokenizer, self._tell = tokenizer, tell
        self._names = {id: name for name, id in tokenizer.special_tokens.items()}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._in_call = False

    def add(self, token: int) -> None:
        """One more token of the turn."""
        mark = self._names.get(token)
        if mark is None:
            if not self._in_call:
                self._send(self._decoder.decode(self._tokenizer.token_bytes(token)))
            return
        self._send(self._decoder.decode(b"", final=True))  # a character cannot span a mark
        self._decoder.reset()
        self._in_call = mark == "<|call|>"
        if mark in ("<|think|>", "<|/think|>"):
            self._send(mark)

    def end(self) -> None:
        """No more tokens come."""
        self._send(self._decoder.decode(b"", final=True))

    def _send(self, text: str) -> None:
        if text:
            self._tell(text)
