"""The agent: a model in a loop with tools, until it answers or a budget is spent.

    trace = run_agent(backend, tools, [{"role": "user", "content": "Does Ada need an umbrella?"}])
    trace.answer, trace.stop                             # 'No, …', 'answered'

The cycle of thought, call and result is ReAct's (Yao et al. 2022). Every run ends, and says why
(`trace.STOPS`); nothing but KeyboardInterrupt is raised, and the trace is there in any case.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .backends.base import BackendError, ChatBackend, Reply, ToolCall
from .limits import Hung, run_for
from .tools import ToolRegistry, ToolResult
from .trace import Trace

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class Budget:
    """What a run may cost; reaching any of these ends it.

    steps: turns of the model. calls: tool calls. tokens: read and written, over all turns.
    seconds: of wall clock, waiting included. repeats: how often the same turn may have the same
    results before it is called a loop. retries: how often a busy backend is asked again in a turn.
    """

    steps: int = 8
    calls: int = 16
    tokens: int = 20_000
    seconds: float = 60.0
    repeats: int = 3
    retries: int = 3


class Guard:
    """What a defence may do: change what the model reads, and refuse what it wants done.

    The base class does neither. One guard serves one run.
    """

    def read(self, messages: Messages) -> Messages:
        """The conversation as the model is to see it."""
        return messages

    def refuse(self, call: ToolCall, messages: Messages) -> str:
        """Why this call must not be run, or "". `messages` is the conversation before it."""
        return ""


class _Stop(Exception):
    """The run is over: reason, and a detail."""


def run_agent(
    backend: ChatBackend,
    tools: ToolRegistry,
    messages: Sequence[Mapping[str, Any]],
    *,
    budget: Budget | None = None,
    guard: Guard | None = None,
    memory: Callable[[Messages], Messages] | None = None,
    schemas: Sequence[Mapping] | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int = 256,
    path: Path | str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Trace:
    """Run until the model answers without a call, or `budget` ends the run.

    guard: a defence (`defences`). memory: chooses what of the conversation the model is shown
    (`memory`). schemas: what the model is told of the tools, if not their own schemas. path: the
    trace is written there as it grows. A tool's error is a result like any other: the model reads
    it, and may do better. A busy backend is asked again after the time that it names, or 0.5, 1,
    2 … seconds.
    """
    run = _Run(backend, tools, budget or Budget(), guard or Guard(), memory, clock, sleep)
    run.trace = trace = Trace(path=Path(path) if path else None, clock=clock)
    run.schemas = list(schemas) if schemas is not None else tools.schemas
    run.options = {"temperature": temperature, "max_tokens": max_tokens}
    try:
        trace.start(messages, run.schemas)
        run.go([dict(message) for message in messages], seed)
    except _Stop as stop:
        trace.end(*stop.args)
    except KeyboardInterrupt:
        trace.end("interrupted")
        raise
    except Exception as error:
        trace.end("crashed", detail=f"{type(error).__name__}: {error}")
    return trace


@dataclass
class _Run:
    """One run: what it works with, and what it has spent."""

    backend: ChatBackend
    tools: ToolRegistry
    budget: Budget
    guard: Guard
    memory: Callable[[Messages], Messages] | None
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    tokens: int = 0
    calls: int = 0

    def go(self, messages: Messages, seed: int) -> None:
        """The loop. Ends by raising _Stop."""
        self.deadline = self.clock() + self.budget.seconds
        seen: dict[str, int] = {}
        for step in range(self.budget.steps):
            reply = self.ask(messages, seed + step)
            messages.append(reply.as_message())
            if not reply.tool_calls:
                raise _Stop(*ending_of(reply))
            results = [self.run(call, messages) for call in reply.tool_calls]
            messages.extend(result.as_message() for result in results)
            turn = repr([(r.call.name, r.call.arguments, r.call.raw, r.text) for r in results])
            seen[turn] = seen.get(turn, 0) + 1
            if seen[turn] >= self.budget.repeats:
                raise _Stop("loop", "", f"{seen[turn]} times: {reply.tool_calls[0].name}")
        raise _Stop("max_steps")

    def ask(self, messages: Messages, seed: int) -> Reply:
        """The model's next turn; a busy backend is asked again."""
        shown = self.guard.read(self.memory(messages) if self.memory else messages)
        for attempt in range(self.budget.retries + 1):
            left = self.budget.tokens - self.tokens
            if left <= 0:
                raise _Stop("max_tokens")
            options = self.options | {"max_tokens": min(left, self.options["max_tokens"])}
            chat = partial(self.backend.chat, shown, tools=self.schemas or None, seed=seed)
            try:
                reply = self._in_time(partial(chat, **options))
            except BackendError as error:
                again = error.retryable and attempt < self.budget.retries
                self.trace.add("trouble", what=str(error), again=again)
                if not again:
                    raise _Stop("backend_failed", "", str(error)) from error
                self._wait(0.5 * 2**attempt if error.retry_after is None else error.retry_after)
                continue
            tokens = tokens_of(reply, shown)
            self.tokens += tokens
            self.trace.reply(reply, tokens)
            return reply
        raise AssertionError("unreachable")

    def run(self, call: ToolCall, messages: Messages) -> ToolResult:
        """The result of one call, or the guard's refusal."""
        if self.calls >= self.budget.calls:
            raise _Stop("max_calls")
        self.calls += 1
        refused = self.guard.refuse(call, messages)
        if refused:
            result = ToolResult(call, f"error: not allowed: {refused}", is_error=True)
        else:
            result = self._in_time(lambda: self.tools.run(call))
        self.trace.result(result, refused)
        return result

    def _in_time(self, function: Callable[[], Any]) -> Any:
        left = self.deadline - self.clock()
        if left <= 0:
            raise _Stop("max_seconds")
        try:
            return run_for(left, function)
        except Hung:
            raise _Stop("max_seconds", "", "no answer came in time") from None

    def _wait(self, seconds: float) -> None:
        if not self.clock() + seconds < self.deadline:  # neither is what is no number
            raise _Stop("max_seconds", "", f"the backend asks to wait {seconds:g} s")
        self.sleep(max(0.0, seconds))


def ending_of(reply: Reply) -> tuple[str, str, str]:
    """Why a turn without calls ends the run, and the answer. A cut-off turn is no answer."""
    if reply.finish_reason == "length":
        return "truncated", "", reply.text
    if not reply.text.strip():
        return "empty", "", ""
    return "answered", reply.text, ""


def tokens_of(reply: Reply, shown: Messages) -> int:
    """What a turn cost: the server's count, or about a token for every four characters."""
    if reply.usage:
        counts = (reply.usage.get(f"{kind}_tokens") or 0 for kind in ("prompt", "completion"))
        return sum(max(0, count) for count in counts)
    read = sum(len(str(message.get("content") or "")) for message in shown)
    return (read + len(reply.text) + sum(len(str(c.arguments)) for c in reply.tool_calls)) // 4 + 1
