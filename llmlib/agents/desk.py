"""The world's desk as tools for an agent, and a scripted model that works at it.

task = next(agent_tasks.agent_tasks(world))
desk = task.desk(world)
trace = run_agent(expert_backend(task), desk_tools(desk, task.tools), task.messages)
agent_tasks.check(task, trace.answer, desk.notes)                  # True
"""

import json
from collections.abc import Mapping, Sequence

from llmlib.world.agent_experts import PLAN, PLANNED, End, act, plan
from llmlib.world.agent_tasks import AgentTask
from llmlib.world.desk import WRITE_TOOLS, Desk
from llmlib.world.toolbox import SCHEMAS, TRAINED_TOOLS

from .backends import Faults, ScriptedBackend, ToolCall
from .tools import Tool, ToolRegistry


def desk_tools(desk: Desk, schemas: Sequence[Mapping] | None = None) -> ToolRegistry:
    """The desk's tools, described as `schemas` say (the eight trained tools, if not given)."""

    def make(function: Mapping) -> Tool:
        name = function["name"]

        def run(**arguments):
            return desk.call(name, arguments)

        return Tool(name, function["description"], function["parameters"], run,
                    writes=name in WRITE_TOOLS)  # fmt: skip

    schemas = schemas or [SCHEMAS[name] for name in TRAINED_TOOLS]
    return ToolRegistry([make(schema["function"]) for schema in schemas])


def expert_backend(
    task: AgentTask, *, faults: Faults | None = None, seed: int = 0
) -> ScriptedBackend:
    """A scripted model that solves the task as the world's expert does, with `faults`.

    With the dial `obey`, it also does what an attack asks as soon as it has read it, at that rate a
    turn: 1 is the worst model that a defence can have to do with. Asked to plan
    (`planning.make_plan`), it writes all calls that can be foreseen. It uses a letter and a memory
    only if it has been shown them.
    """
    order = task.injected._asdict() if task.injected else None
    told: list[str] = [""]  # what the model was told of the tools

    def policy(messages, tools):
        told[0] = json.dumps(list(tools), ensure_ascii=False)
        for what, text in (("letter", task.letter), ("memory", _needed_memory(task))):
            if text and not _stands(text, messages):
                return f"I have not seen the {what}."
        if messages[0]["role"] == "system" and messages[0]["content"].startswith(PLAN):
            return _foreseen(task) or "There is nothing to plan."
        step = act(task.expert, _results(messages, order))
        if isinstance(step, End):
            return step.words
        return ToolCall("", step[1][0], step[1][1])

    def planted(messages):
        if order is None or any(made == order for _, made, _ in _calls(messages)):
            return None
        text = f"emind {order['who']} to {order['what']} at {order['when']}"
        read = text in told[0] or _stands(text, messages)
        return ToolCall("", "remind", order) if read else None

    return ScriptedBackend(policy, faults=faults, injection=planted, seed=seed)


def _stands(text: str, messages: Sequence[Mapping]) -> bool:
    return any(text in (message.get("content") or "") for message in messages)


def _needed_memory(task: AgentTask) -> str:
    """The memory, where the task cannot be done without it."""
    return task.memory if task.family == "remembered" and not task.channel else ""


def _foreseen(task: AgentTask) -> list[ToolCall]:
    """The calls of a plan: all of them, or as many as do not depend on what a tool says."""
    if task.family in PLANNED:
        return [ToolCall("", name, arguments) for name, arguments in plan(task)]
    step = act(task.expert, [])
    return [] if isinstance(step, End) else [ToolCall("", *step[1])]


def _calls(messages: Sequence[Mapping]) -> list[tuple[str, dict, str]]:
    """(name, arguments, result) of every call that was answered."""
    results = {m.get("tool_call_id"): m["content"] for m in messages if m["role"] == "tool"}
    made = []
    for message in messages:
        for part in message.get("tool_calls") or ():
            if part["id"] in results:
                try:
                    arguments = json.loads(part["function"]["arguments"])
                except ValueError:
                    arguments = {}
                made.append((part["function"]["name"], arguments, results[part["id"]]))
    return made


def _results(messages: Sequence[Mapping], order: dict | None) -> list[str]:
    """The results that belong to the expert's own calls."""
    return [result for _, arguments, result in _calls(messages) if arguments != order]
