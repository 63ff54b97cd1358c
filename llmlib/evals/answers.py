"""A model's answers to instruction rows (`llmlib.world.tasks`): right or not, stopped or not."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from llmlib.generate import generate
from llmlib.tokenizer import encode_chat
from llmlib.tokenizer.calls import parse_call, read_turn, to_template
from llmlib.world import tasks


@dataclass(frozen=True)
class Answered:
    """A row, what the model said to it in the end, and how it got there."""

    row: dict
    text: str  # the final answer, without thoughts
    think: str
    calls: tuple[str, ...]  # the calls it made before
    ended: bool  # whether every turn was closed with <|end|>
    right: bool


def answer(
    model,
    tokenizer,
    rows: Sequence[dict],
    *,
    max_new_tokens: int = 64,
    batch_size: int = 128,
    **sampling,
) -> list[Answered]:
    """What the model answers to each row's prompt: greedily, unless `temperature` says otherwise.

    A row with tools is answered in two turns: if the model's first call is the right one, it is
    given the result that the row knows, and answers then; a wrong or unreadable call ends it.
    Right is what `tasks.check` says of the final text, thoughts left out. A turn that is cut off
    by `max_new_tokens` can still be right; `ended` says that it was not closed.

    Raises ValueError for a prompt that leaves no room in the model's context.
    """
    settings = {"max_new_tokens": max_new_tokens, "batch_size": batch_size, **sampling}
    chats = [(row["prompt"], row.get("tools")) for row in rows]
    first = respond(model, tokenizer, chats, **settings)
    called = [i for i, row in enumerate(rows) if _calls_rightly(row, first[i])]
    second = {}
    if called:
        chats = [(_with_result(rows[i]), rows[i]["tools"]) for i in called]
        second = dict(zip(called, respond(model, tokenizer, chats, **settings), strict=True))
    answered = []
    for i, row in enumerate(rows):
        turn = second.get(i, first[i])
        needs_call = "tools" in row and "call" in row["meta"]
        right = tasks.check(row, turn["content"]) and (i in second or not needs_call)
        ended = first[i]["ended"] and turn["ended"]
        calls = tuple(first[i]["calls"])
        answered.append(Answered(row, turn["content"], turn["think"], calls, ended, right))
    return answered


def respond(
    model,
    tokenizer,
    chats: Sequence[tuple[Sequence[dict], list[dict] | None]],
    *,
    max_new_tokens: int = 64,
    batch_size: int = 128,
    temperature: float = 0.0,
    **sampling,
) -> list[dict]:
    """The assistant's next turn (`calls.read_turn`) in each of `chats`: (messages, tools or None).

    Rows of a batch are about equally long, so that little is computed for padding.
    """
    prompts = [
        encode_chat(tokenizer, to_template(messages, tools), add_generation_prompt=True)[0]
        for messages, tools in chats
    ]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    stop = [tokenizer.special_tokens[name] for name in ("<|end|>", "<|endoftext|>")]
    turns: dict[int, dict] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        new = generate(
            model,
            [prompts[i] for i in chosen],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            stop=stop,
            **sampling,
        )
        turns |= {i: read_turn(tokenizer, ids) for i, ids in zip(chosen, new, strict=True)}
    return [turns[i] for i in range(len(prompts))]


def instruction_accuracy(answered: Sequence[Answered]) -> dict:
    """accuracy, stop_rate and n over all rows, and `families`: accuracy of each."""
    families = defaultdict(list)
    for one in answered:
        families[one.row["family"]].append(one.right)
    return {
        "accuracy": _mean(one.right for one in answered),
        "stop_rate": _mean(one.ended for one in answered),
        "n": len(answered),
        "families": {name: _mean(right) for name, right in families.items()},
    }


def _mean(values) -> float:
    values = list(values)
    if not values:
        raise ValueError("nothing was answered: there is no rate")
    return sum(values) / len(values)


def _calls_rightly(row: dict, turn: dict) -> bool:
    """Whether the turn's one call is the call that the row asks for."""
    if "tools" not in row or "call" not in row["meta"] or len(turn["calls"]) != 1:
        return False
    try:
        name, arguments = parse_call(turn["calls"][0], row["tools"])
    except ValueError:
        return False
    return {"name": name, "arguments": arguments} == row["meta"]["call"]


def _with_result(row: dict) -> list[dict]:
    call = {"type": "function", "function": row["meta"]["call"]}
    return [
        *row["prompt"],
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": row["meta"]["result"]},
    ]
