"""What an agent keeps in mind: the turns that still fit, a summary of the rest, notes it looks up.

Working memory is the conversation itself, cut to what the model can read: a function from all
messages to those that are shown, as `loop.run_agent` takes it. Long-term memory is a `Notebook`
that outlives the run. What comes out of it was written by somebody: each remark says by whom.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmlib.retrieval import BM25

Messages = list[dict[str, Any]]


def turns(messages: Sequence[Mapping]) -> list[Messages]:
    """The messages in stretches that belong together: a turn that calls tools with its results."""
    groups: list[Messages] = []
    for message in messages:
        if message["role"] == "tool" and groups:
            groups[-1].append(dict(message))
        else:
            groups.append([dict(message)])
    return groups


def about_tokens(messages: Sequence[Mapping]) -> int:
    """Roughly how many tokens messages have: one for every four characters, and four a message."""
    return sum(4 + len(_text(message)) // 4 for message in messages)


def _text(message: Mapping) -> str:
    calls = message.get("tool_calls")
    return (message.get("content") or "") + (json.dumps(calls) if calls else "")


@dataclass
class Window:
    """Working memory: the task, and the latest turns that fit in `limit` tokens.

    A call and its results are kept together or dropped together: a result without its call means
    nothing to a model, and servers refuse it. The task (all before the first turn of the assistant)
    and the latest turn are kept in any case, even where they alone are too long.
    """

    limit: int
    count: Callable[[Sequence[Mapping]], int] = about_tokens

    def __call__(self, messages: Messages) -> Messages:
        task, kept, _ = self.split(messages)
        return task + [message for turn in kept for message in turn]

    def split(self, messages: Messages) -> tuple[Messages, list[Messages], list[Messages]]:
        """(the task, turns kept, turns left out)."""
        groups = turns(messages)
        first = next((i for i, g in enumerate(groups) if g[0]["role"] == "assistant"), len(groups))
        task = [message for group in groups[:first] for message in group]
        rest, kept = groups[first:], []
        while rest:
            shown = task + [message for turn in [rest[-1], *kept] for message in turn]
            if kept and self.count(shown) > self.limit:
                break
            kept.insert(0, rest.pop())
        return task, kept, rest


@dataclass
class Summary:
    """Working memory that puts a summary in place of the turns that do not fit.

    summarise: (turns left out) -> text; `what_happened` needs no model. The summary stands at the
    end of the task's last message, where a model reads it before its own turns.
    """

    window: Window
    summarise: Callable[[list[Messages]], str]

    def __call__(self, messages: Messages) -> Messages:
        task, kept, left_out = self.window.split(messages)
        if left_out and task:
            said = f"{task[-1]['content']}\nSo far: {self.summarise(left_out)}"
            task[-1] = task[-1] | {"content": said}
        return task + [message for turn in kept for message in turn]


def what_happened(left_out: list[Messages]) -> str:
    """Each call with its result, in one line each: a summary that cannot invent anything."""
    lines = []
    for turn in left_out:
        results = {m.get("tool_call_id"): m["content"] for m in turn if m["role"] == "tool"}
        for call in turn[0].get("tool_calls") or ():
            function = call["function"]
            result = results.get(call.get("id"), "nothing")
            lines.append(f"{function['name']} {function['arguments']} gave {result}.")
    return " ".join(lines)


@dataclass(frozen=True)
class Remark:
    """Something noted down, and who said it: "user", "agent", or the tool that it came from."""

    text: str
    source: str


class Notebook:
    """Long-term memory: remarks that are found again by their words (BM25).

    path: a file (JSON lines) that is read at the start and added to; a line that was cut off by a
    crash is left out.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(path) if path else None
        self.remarks: list[Remark] = []
        if self.path and self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    self.remarks.append(Remark(**json.loads(line)))
                except (ValueError, TypeError):
                    continue

    def add(self, text: str, source: str) -> None:
        """Note something down; what is there already from the same source is not noted twice."""
        remark = Remark(text, source)
        if remark in self.remarks:
            return
        self.remarks.append(remark)
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(remark)) + "\n")

    def search(self, query: str, k: int = 3, sources: Sequence[str] | None = None) -> list[Remark]:
        """The `k` remarks that fit the query best; only those of `sources`, if given."""
        pool = [r for r in self.remarks if sources is None or r.source in sources]
        found = BM25([remark.text for remark in pool]).search(query, k)
        return [pool[place] for place, _ in found]

    def recall(
        self, messages: Messages, k: int = 1, sources: Sequence[str] | None = None
    ) -> Messages:
        """The messages with "Memory: …" before them: what fits the last message of the user."""
        asked = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
        found = self.search(asked, k, sources)
        if not found:
            return messages
        memory = f"Memory: {' '.join(remark.text for remark in found)}"
        if messages[0]["role"] == "system":
            joined = f"{messages[0]['content']} {memory}"
            return [messages[0] | {"content": joined}, *messages[1:]]
        return [{"role": "system", "content": memory}, *messages]
