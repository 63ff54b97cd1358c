"""The loop of a chat: read a line, answer it, remember both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from llmlib.generate import TextStream, stream
from llmlib.generate.sampling import Sampling

from .speaker import Speaker

HELP = """\
/reset         forget the conversation
/system TEXT   give the model TEXT as its instructions (without TEXT: none)
/help          this list
Ctrl-C stops an answer, and at the prompt it leaves, as the end of the input does."""


@dataclass
class Options:
    """How answers are drawn. seed: the first answer's; each later one has the next number."""

    max_tokens: int = 256
    seed: int | None = None
    sampling: dict = field(default_factory=dict)  # temperature, top_k, top_p, min_p, …

    def __post_init__(self):
        Sampling(**self.sampling).check()
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {self.max_tokens}")


@dataclass
class Conversation:
    """What was said: instructions, and finished turns of a user and the assistant."""

    speaker: Speaker
    system: str = ""
    turns: list[tuple[str, dict]] = field(default_factory=list)  # the user's text, the answer

    def messages(self, text: str) -> list[dict]:
        """The conversation with one more message of the user."""
        found = [{"role": "system", "content": self.system}] if self.system else []
        for user, assistant in self.turns:
            found += [{"role": "user", "content": user}, assistant]
        return [*found, {"role": "user", "content": text}]

    def prompt(self, text: str, reserve: int) -> tuple[list[int], int]:
        """(ids that leave room for `reserve` more, how many of the oldest turns were dropped).

        Raises ValueError for a message that does not fit even alone, and one that spells a mark.
        """
        if forged := sorted(mark for mark in self.speaker.marks if mark in text):
            raise ValueError(
                f"the message spells {forged[0]}, which this model reads as a mark: write it "
                "another way"
            )
        limit, dropped = self.speaker.model.config.max_seq_len, 0
        while True:
            ids = self.speaker.prompt(self.messages(text))
            if len(ids) + reserve <= limit:
                return ids, dropped
            if not self.turns or self.speaker.encode is None:
                break
            del self.turns[0]
            dropped += 1
        if len(ids) < limit:  # a short answer is better than none
            return ids, dropped
        raise ValueError(
            f"the message is {len(ids)} tokens long"
            f"{', the instructions included' if self.system else ''}, and the model reads {limit}: "
            "shorten it"
        )


def talk(
    speaker: Speaker,
    options: Options,
    read: Callable[[], str],
    write: Callable[[str], None],
    note: Callable[[str], None],
) -> None:
    """Answer what `read` gives, until it raises EOFError or KeyboardInterrupt.

    write: takes the answers, in pieces of whole characters; note: takes remarks about the chat
    itself, a line each. Ctrl-C while an answer is written ends the answer.
    """
    conversation, number = Conversation(speaker), 0
    if speaker.encode is None:
        note("a base model: it has no chat template, and goes on with each text that you give it")
    if speaker.hint:
        note(speaker.hint)
    while True:
        try:
            text = read()
        except (EOFError, KeyboardInterrupt):
            return
        if text.startswith("/"):
            _command(conversation, text, note)
            continue
        if not text.strip():
            continue
        try:
            reserve = min(options.max_tokens, speaker.model.config.max_seq_len // 4)
            ids, dropped = conversation.prompt(text, reserve)
        except ValueError as error:
            note(str(error))
            continue
        if dropped:
            turns = "turn was" if dropped == 1 else f"{dropped} turns were"
            note(f"the context is full: the oldest {turns} dropped")
        new, remark = _answer(speaker, ids, options, number, write)
        number += 1
        write("\n")
        if remark:
            note(remark)
        if speaker.encode is not None:
            conversation.turns.append((text, speaker.message(new)))


def _answer(
    speaker: Speaker, ids: list[int], options: Options, number: int, write: Callable[[str], None]
) -> tuple[list[int], str]:
    """(the ids that were written, without the one that ends them; how it ended, if otherwise)."""
    text, new = TextStream(speaker.tokenizer), []
    seed = None if options.seed is None else options.seed + number
    limit, remark = options.max_tokens, ""
    try:
        for id in stream(speaker.model, ids, max_new_tokens=limit, seed=seed, **options.sampling):
            if id in speaker.ends:
                break
            new.append(id)
            if piece := text.add(id):
                write(piece)
        else:
            full = len(new) < limit
            remark = f"stopped: the {'context is full' if full else f'limit of {limit} tokens'}"
    except KeyboardInterrupt:
        remark = "stopped"
    if rest := text.finish():
        write(rest)
    return new, remark


def _command(conversation: Conversation, text: str, note: Callable[[str], None]) -> None:
    name, _, rest = text.strip().partition(" ")
    base = conversation.speaker.encode is None
    if name == "/reset":
        conversation.turns.clear()
        note("the conversation is forgotten")
    elif name == "/system" and base:
        note("a base model takes no instructions")
    elif name == "/system":
        conversation.system = rest.strip()
        note("instructions " + ("set" if conversation.system else "removed"))
    else:
        note(HELP if name == "/help" else f"there is no {name}\n{HELP}")
