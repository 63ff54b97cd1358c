"""The trace of an agent's run: everything that was said, called, returned and refused, in order.

A trace is kept whatever happens: it is written event by event, and with a `path` each event is in
the file before the next thing is done. `read_trace` reads such a file, also one that was cut off.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .backends.base import Reply, ToolCall
from .tools import ToolResult

STOPS = {
    "answered": "the model gave its final words",
    "empty": "the model said nothing and called nothing",
    "truncated": "the model's turn was cut off",
    "max_steps": "as many turns as allowed",
    "max_calls": "as many calls as allowed",
    "max_tokens": "as many tokens as allowed",
    "max_seconds": "the time was up",
    "loop": "the same calls gave the same results again and again",
    "backend_failed": "the model could not be asked",
    "interrupted": "somebody stopped the program",
    "crashed": "an error in the program around the model",
}
KINDS = ("start", "reply", "result", "trouble", "stop")


@dataclass(frozen=True)
class Event:
    """One thing that happened, `at` so many seconds after the start.

    kind: "start" (messages, tools with their descriptions), "reply" (text, calls, finish, tokens),
        "result" (id, name, arguments, text, error, refused), "trouble" (what went wrong with the
        backend), "stop" (reason, answer). data is plain JSON.
    """

    kind: str
    at: float
    data: dict[str, Any]


@dataclass
class Trace:
    """The events of one run. `stop` is "" while it runs, then a key of STOPS."""

    events: list[Event] = field(default_factory=list)
    path: Path | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._start = self.clock()
        if self.path is not None:
            self.path = Path(self.path)
            self.path.write_text("", encoding="utf-8")

    def add(self, kind: str, **data: Any) -> Event:
        """Add an event. Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"no kind {kind!r}; there are {', '.join(KINDS)}")
        event = Event(kind, round(self.clock() - self._start, 4), data)
        self.events.append(event)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(event), default=str) + "\n")
        return event

    # -- what the loop reports --------------------------------------------------------------------
    def start(self, messages: Sequence[Mapping], tools: Sequence[Mapping]) -> None:
        about = {t["function"]["name"]: t["function"].get("description", "") for t in tools}
        self.add("start", messages=[dict(message) for message in messages], tools=about)

    def reply(self, reply: Reply, tokens: int) -> None:
        calls = [call.as_message_part() for call in reply.tool_calls]
        self.add("reply", text=reply.text, calls=calls, finish=reply.finish_reason, tokens=tokens)

    def result(self, result: ToolResult, refused: str = "") -> None:
        call = result.call
        self.add("result", id=call.id, name=call.name, arguments=call.arguments,
                 text=result.text, error=result.is_error, refused=refused)  # fmt: skip

    def end(self, reason: str, answer: str = "", detail: str = "") -> None:
        if reason not in STOPS:
            raise ValueError(f"no stop {reason!r}; there are {', '.join(STOPS)}")
        self.add("stop", reason=reason, answer=answer, detail=detail)

    # -- what can be asked of it ------------------------------------------------------------------
    def of(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event.kind == kind]

    @property
    def stop(self) -> str:
        """Why the run ended."""
        stops = self.of("stop")
        return stops[-1].data["reason"] if stops else ""

    @property
    def answer(self) -> str:
        """The final words; "" unless the run was answered."""
        stops = self.of("stop")
        return stops[-1].data["answer"] if stops else ""

    @property
    def tokens(self) -> int:
        """Tokens read and written, all turns together."""
        return sum(event.data["tokens"] for event in self.of("reply"))

    @property
    def calls(self) -> list[ToolCall]:
        """The calls that were answered, refused ones included."""
        return [
            ToolCall(e.data["id"], e.data["name"], e.data["arguments"]) for e in self.of("result")
        ]

    def to_json(self) -> str:
        """The events as one JSON text."""
        return json.dumps([asdict(event) for event in self.events], default=str)

    def __str__(self) -> str:
        return "\n".join(_line(event) for event in self.events)


def from_json(text: str) -> Trace:
    """The trace that `Trace.to_json` wrote. Raises ValueError for any other text."""
    return Trace([_event(data) for data in json.loads(text)])


def read_trace(path: Path | str) -> Trace:
    """The trace in a file, up to the last event that was written whole."""
    events = []
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            events.append(_event(json.loads(line)))
        except ValueError:
            break
    return Trace(events)


def _event(data: Any) -> Event:
    if not isinstance(data, dict) or set(data) != {"kind", "at", "data"}:
        raise ValueError(f"not an event of a trace: {str(data)[:80]}")
    if data["kind"] not in KINDS:
        raise ValueError(f"no kind {data['kind']!r}; there are {', '.join(KINDS)}")
    return Event(**data)


def _line(event: Event) -> str:
    """An event in one line, for people."""
    data = event.data
    if event.kind == "start":
        said = " | ".join(str(message.get("content")) for message in data["messages"])
    elif event.kind == "reply":
        calls = [f"{c['function']['name']} {c['function']['arguments']}" for c in data["calls"]]
        said = " → ".join([*filter(None, [data["text"]]), *calls])
    elif event.kind == "result":
        said = f"refused: {data['refused']}" if data["refused"] else data["text"]
    elif event.kind == "trouble":
        said = data["what"]
    else:
        said = f"{data['reason']}: {data['answer'] or data['detail'] or STOPS[data['reason']]}"
    said = " ".join(str(said).split())
    return f"{event.kind:8}{said[:160]}{'…' if len(said) > 160 else ''}"
