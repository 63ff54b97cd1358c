"""How an expert is asked for the next step, and how it plans all of them at once."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from .agent_families import Call, End, Expert

# Families whose calls do not depend on what the tools say, but for values passed on.
PLANNED = ("lookup", "unknown", "two_hop", "ferry_home", "umbrella", "add", "together", "compare",
           "single", "remind", "remind_friend", "remembered")  # fmt: skip
PLAN = "Plan all calls at once."
GAVE_UP = "I could not find that out."
RETRY = "The tool was busy. I try again."


def act(expert: Expert, results: Sequence[str]) -> tuple[str, Call] | End:
    """What the expert does after these results: a thought and a call, or its final words.

    A result that begins with "error" is one: a busy tool is called again, any other error ends the
    work in the admission that it could not be done.
    """
    generator = expert()
    step = _advance(generator, None)
    for result in results:
        if isinstance(step, End):
            break
        if not result.lower().startswith("error"):
            step = _advance(generator, result)
        elif "try again" in result.lower():
            step = (RETRY, step[1])
        else:
            return End(GAVE_UP, GAVE_UP)
    return step


def _advance(generator, result: str | None) -> tuple[str, Call] | End:
    try:
        return generator.send(result)
    except StopIteration as stop:
        return stop.value


def plan(task) -> list[Call]:
    """All calls of the task before any is made; "$2" stands for what the second call will give.

    Raises ``ValueError`` for a family whose next call depends on what a tool says (``PLANNED``).
    """
    if task.family not in PLANNED:
        raise ValueError(f"{task.family}: what to call depends on what the tools say")
    calls: list[Call] = []
    while not isinstance(step := act(task.expert, [f"${i + 1}" for i in range(len(calls))]), End):
        calls.append(step[1])
    return calls


def with_references(tools: Sequence[dict]) -> list[dict]:
    """The tools with schemas in which every argument may also be a string such as "$2"."""
    tools = copy.deepcopy(list(tools))
    for tool in tools:
        for schema in tool["function"]["parameters"]["properties"].values():
            if schema.get("type") != "string":
                schema["type"] = [schema["type"], "string"]
    return tools


def planning(task) -> list[dict]:
    """A conversation in which the whole plan is written in one turn."""
    messages = [dict(message) for message in task.messages]
    if messages[0]["role"] == "system":
        messages[0]["content"] = f"{PLAN} {messages[0]['content']}"
    else:
        messages.insert(0, {"role": "system", "content": PLAN})
    functions = [{"name": name, "arguments": arguments} for name, arguments in plan(task)]
    calls = [{"type": "function", "function": function} for function in functions]
    return [*messages, {"role": "assistant", "content": "", "tool_calls": calls}]
