"""Plan first, then execute: all calls are decided before any result has been read.

    plan = [Planned("lookup", {"subject": "Ada", "relation": "friend"}),
            Planned("lookup", {"subject": "$1", "relation": "job"})]

"$1" stands for the first call's result. What a tool says can fill a place in such a plan, and can
not add a call to it. That costs what a plan cannot foresee: a call that depends on a result.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from llmlib.world.agent_experts import PLAN

from .backends.base import BackendError, ChatBackend, Reply, ToolCall
from .defences import Policy, Tainted, anything, taint
from .limits import Hung, run_for
from .loop import ending_of, tokens_of
from .tools import ToolRegistry, ToolResult
from .trace import Trace

NUMBERS = {"integer": (r"-?\d+", int), "number": (r"-?\d+(\.\d+)?", float)}
REFERENCE = re.compile(r"\$(\d+)")


@dataclass(frozen=True)
class Planned:
    """One call of a plan; a string argument "$n" stands for the result of the n-th call."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


class PlanError(Exception):
    """A plan that cannot be carried out: a reference to a call that does not come before."""


def with_references(schemas: Sequence[Mapping]) -> list[dict]:
    """Schemas in which every argument may also be a string such as "$1"."""
    schemas = json.loads(json.dumps(list(schemas)))
    for schema in schemas:
        for part in schema["function"]["parameters"].get("properties", {}).values():
            kinds = part.get("type", "string")
            kinds = kinds if isinstance(kinds, list) else [kinds]
            if "string" not in kinds:
                part["type"] = [*kinds, "string"]
    return schemas


def make_plan(
    backend: ChatBackend,
    messages: Sequence[Mapping],
    schemas: Sequence[Mapping],
    **options: Any,
) -> tuple[list[Planned], Reply]:
    """Ask the model for all calls at once, and show it nothing but these messages."""
    messages = [dict(message) for message in messages]
    if messages[0]["role"] == "system":
        messages[0]["content"] = f"{PLAN} {messages[0]['content']}"
    else:
        messages.insert(0, {"role": "system", "content": PLAN})
    reply = backend.chat(messages, tools=with_references(schemas), **options)
    return [Planned(call.name, call.arguments) for call in reply.tool_calls], reply


def check_plan(plan: Sequence[Planned]) -> None:
    """Raise PlanError unless every reference is to an earlier call."""
    for place, step in enumerate(plan, start=1):
        for value in step.arguments.values():
            reference = REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if reference and not 1 <= int(reference[1]) < place:
                raise PlanError(f"call {place} refers to {value}, which does not come before it")


def value_of(result: str) -> str:
    """The value in a result: what stands before the first full stop."""
    return result.split(". ")[0].rstrip(".")


def execute(
    plan: Sequence[Planned],
    tools: ToolRegistry,
    trace: Trace,
    *,
    policy: Policy = anything,
    read: Callable[[str], str] = value_of,
) -> list[str]:
    """Carry out a plan; the results in order, up to the first that is an error.

    Every value carries where it comes from (`Tainted`): the plan's own from the user, a result's
    from its tool and from all that went into the call. policy: (name, arguments) -> why not, or "";
    a refused call is an error. read: the value in a result that a later call gets. Raises
    PlanError before anything is called.
    """
    check_plan(plan)
    results: list[str] = []
    values: list[Tainted] = []
    for place, step in enumerate(plan):
        arguments = {key: _fill(value, values, tools, step, key)
                     for key, value in step.arguments.items()}  # fmt: skip
        call = ToolCall(f"plan_{place}", step.name, {k: _plain(v) for k, v in arguments.items()})
        refused = policy(step.name, arguments)
        if refused:
            result = ToolResult(call, f"error: not allowed: {refused}", is_error=True)
        else:
            result = tools.run(call)
        trace.result(result, refused)
        results.append(result.text)
        if result.is_error:
            break
        sources = {f"tool:{step.name}"}.union(*(v.sources for v in arguments.values()))
        values.append(Tainted(read(result.text), sources))
    return results


def _fill(value: Any, values: list[Tainted], tools: ToolRegistry, step: Planned, key: str):
    """The value of an argument with its sources; a number where the tool wants one."""
    reference = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if not reference:
        return taint(value, "user")
    found = values[int(reference[1]) - 1]
    parameters = tools[step.name].parameters if step.name in tools else {}
    kind = parameters.get("properties", {}).get(key, {}).get("type")
    pattern, made = NUMBERS.get(kind, ("", None))
    number = made and re.search(pattern, found)
    return Tainted(number[0], found.sources, plain=made(number[0])) if number else found


def _plain(value: Any) -> Any:
    return value.plain if isinstance(value, Tainted) else value


def plan_and_execute(
    backend: ChatBackend,
    tools: ToolRegistry,
    messages: Sequence[Mapping],
    *,
    trusted: Sequence[Mapping] | None = None,
    policy: Policy = anything,
    seed: int = 0,
    seconds: float = 60.0,
    **options: Any,
) -> Trace:
    """Plan from `trusted` (the messages, if not given), execute, and let the model put the answer.

    The model that puts the answer has read the results, and may call nothing: what it calls all the
    same is not run. Ends as a run of `loop.run_agent` does; seconds is for each turn of the model.
    """
    trace, messages = Trace(), [dict(message) for message in messages]
    with _ending(trace, seconds):
        trace.start(messages, tools.schemas)
        ask = partial(make_plan, backend, trusted or messages, tools.schemas, seed=seed, **options)
        plan, reply = run_for(seconds, ask)
        trace.reply(reply, tokens_of(reply, messages))
        results = execute(plan, tools, trace, policy=policy)
        messages += _as_turns(results, trace)
        chat = partial(backend.chat, messages, tools=tools.schemas, seed=seed + 1, **options)
        last = run_for(seconds, chat)
        trace.reply(last, tokens_of(last, messages))
        if last.tool_calls:
            trace.end("max_calls", detail="the plan was over, and the model called on")
        else:
            trace.end(*ending_of(last))
    return trace


def select_action(
    backend: ChatBackend,
    tools: ToolRegistry,
    messages: Sequence[Mapping],
    *,
    seed: int = 0,
    seconds: float = 60.0,
    **options: Any,
) -> Trace:
    """The action selector: the model picks calls from the request, and never reads a result.

    The calls with their results are the answer. Nothing that a tool says reaches the model, so
    nothing that it says can move the model; nor can the model use it.
    """
    trace, messages = Trace(), [dict(message) for message in messages]
    with _ending(trace, seconds):
        trace.start(messages, tools.schemas)
        chat = partial(backend.chat, messages, tools=tools.schemas, seed=seed, **options)
        reply = run_for(seconds, chat)
        trace.reply(reply, tokens_of(reply, messages))
        results = [tools.run(call) for call in reply.tool_calls]
        for result in results:
            trace.result(result)
        if results:
            trace.end("answered", "; ".join(map(_reported, results)))
        else:
            trace.end(*ending_of(reply))
    return trace


def _reported(result: ToolResult) -> str:
    values = ", ".join(str(value) for value in result.call.arguments.values())
    return f"{result.call.name}({values}): {result.text}"


@contextmanager
def _ending(trace: Trace, seconds: float) -> Iterator[None]:
    """End the trace when something goes wrong, as the loop does."""
    try:
        yield
    except Hung:
        trace.end("max_seconds", detail=f"no answer within {seconds:g} s")
    except BackendError as error:
        trace.end("backend_failed", detail=str(error))
    except KeyboardInterrupt:
        trace.end("interrupted")
        raise
    except Exception as error:
        trace.end("crashed", detail=f"{type(error).__name__}: {error}")


def _as_turns(results: list[str], trace: Trace) -> list[dict]:
    """The calls that were made as a conversation, one turn a call, as a model in a loop has it."""
    turns = []
    for call, result in zip(trace.calls, results, strict=True):
        turns.append({"role": "assistant", "content": "", "tool_calls": [call.as_message_part()]})
        turns.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return turns
