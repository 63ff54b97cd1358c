"""The chat template: how a conversation becomes one sequence of tokens.

A turn is its role's token, its text, and ``<|end|>``:

    <|system|>Answer in one word.<|end|><|user|>Where does Ada live?<|end|><|assistant|>Oslo<|end|>

An assistant's turn may think before its text and call tools after it; a tool's turn is a result:

    <|assistant|><|think|>2 + 3 is 5<|/think|>The sum is 5.<|end|>
    <|assistant|><|call|>add(2, 3)<|/call|><|end|><|tool|><|result|>5<|/result|><|end|>

A message is a dict with `role` and `content`; an assistant's may have `think` (a string) and
`calls` (a list of strings), and then needs no `content`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .base import Tokenizer
from .patterns import SPECIAL_TOKENS

Message = Mapping[str, Any]
ROLES = ("system", "user", "assistant", "tool")


class Segment(NamedTuple):
    """A stretch of a rendered chat: a special token or ordinary text.

    `response` marks what the assistant writes itself, its closing ``<|end|>`` included.
    """

    text: str
    special: bool
    response: bool


def render(messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
    """Return the conversation as text; with `add_generation_prompt` the assistant's turn is open.

    The text is meant to be read, or encoded with ``allowed_special="all"``. So that no message
    can forge a turn, one that spells out a special token raises ValueError; `encode_chat`, which
    never goes through text, takes it as ordinary characters. Raises ValueError as `segments` does.
    """
    parts = []
    for segment in segments(messages, add_generation_prompt):
        if not segment.special:
            for name in SPECIAL_TOKENS:
                if name in segment.text:
                    raise ValueError(
                        f"a message spells out the special token {name}; as text it could not be "
                        "told from the real one: use encode_chat, which keeps them apart"
                    )
        parts.append(segment.text)
    return "".join(parts)


def encode_chat(
    tokenizer: Tokenizer, messages: Sequence[Message], add_generation_prompt: bool = False
) -> tuple[list[int], list[bool]]:
    """Return the conversation's ids, and a mask of equal length: which ids the assistant wrote.

    The mask is True on an assistant's text, marks and ``<|end|>``, not on ``<|assistant|>``, which
    the program writes. Where a model learns to predict ``ids[1:]``, use ``mask[1:]``. Raises
    ValueError as `segments` does, and where the tokenizer lacks a special token of the template.
    """
    ids: list[int] = []
    mask: list[bool] = []
    for segment in segments(messages, add_generation_prompt):
        if not segment.special:
            new = tokenizer.encode(segment.text)
        elif segment.text in tokenizer.special_tokens:
            new = [tokenizer.special_tokens[segment.text]]
        else:
            raise ValueError(
                f"the tokenizer has no special token {segment.text}; train it with "
                "special_tokens=SPECIAL_TOKENS"
            )
        ids += new
        mask += [segment.response] * len(new)
    return ids, mask


def segments(messages: Sequence[Message], add_generation_prompt: bool = False) -> Iterator[Segment]:
    """Yield the conversation in stretches of special tokens and ordinary text.

    Raises ValueError for an unknown role, a message without text, keys that the role does not
    have, a system message that is not the first, and a conversation in which no user speaks.
    """
    _check(messages)
    for message in messages:
        role = message["role"]
        yield Segment(f"<|{role}|>", True, False)
        if role == "assistant":
            yield from _assistant(message)
        else:
            yield from _marked("result", message["content"], role == "tool")
        yield Segment("<|end|>", True, role == "assistant")
    if add_generation_prompt:
        yield Segment("<|assistant|>", True, False)


def _assistant(message: Message) -> Iterator[Segment]:
    parts = [
        *_marked("think", message.get("think", ""), bool(message.get("think"))),
        *_marked("", message.get("content", ""), False),
        *(part for call in message.get("calls", ()) for part in _marked("call", call, True)),
    ]
    for part in parts:
        yield part._replace(response=True)


def _marked(mark: str, text: str, marked: bool) -> Iterator[Segment]:
    """Yield `text`, between its opening and closing marks if it is `marked`."""
    if marked:
        yield Segment(f"<|{mark}|>", True, False)
    if text:
        yield Segment(text, False, False)
    if marked:
        yield Segment(f"<|/{mark}|>", True, False)


def _check(messages: Sequence[Message]) -> None:
    for index, message in enumerate(messages):
        role = message.get("role")
        if role not in ROLES:
            raise ValueError(f"message {index}: role {role!r} is none of {', '.join(ROLES)}")
        extra = {"think", "calls"} if role == "assistant" else set()
        if unknown := sorted(message.keys() - {"role", "content"} - extra):
            raise ValueError(f"message {index} ({role}) cannot have {', '.join(unknown)}")
        if isinstance(message.get("calls", ()), str):
            raise ValueError(f"message {index} ({role}): calls is a list of strings")
        texts = [message[key] for key in ("content", "think") if key in message]
        texts += message.get("calls", ())
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"message {index} ({role}): content is missing or is not a string")
        if role != "assistant" and "content" not in message:
            raise ValueError(f"message {index} ({role}) has no content")
        if role == "system" and index > 0:
            raise ValueError(f"message {index}: a system message can only be the first")
    if not any(message["role"] == "user" for message in messages):
        raise ValueError("no user speaks in this conversation: there is nothing to answer")
