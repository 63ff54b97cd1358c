"""An agent's runs, step by step: what it thought, called, was told and answered."""

import json
import re

from .base import Interactive, escape, folded_table, page, slider

THOUGHT = re.compile(r"<\|think\|>(.*?)(?:<\|/think\|>|$)", re.S)
KINDS = {
    # kind: what the reader is told about such a row
    "memory": "what stood in the agent's memory",
    "asked": "what the user asked",
    "tool": "what the model is told of a tool",
    "thought": "what the model thought",
    "call": "what the model wants to be called",
    "result": "what the tool said",
    "error": "what the tool said: an error",
    "refused": "a call that was refused",
    "answer": "the model's final words",
    "trouble": "the model could not be asked",
    "stop": "why the run ended",
}
MAX_TEXT = 600


class TraceView(Interactive):
    """Runs to choose from, and a slider through the rows of the chosen one."""

    tag = "tta-trace"
    styles = ("widgets.css", "trace.css")
    scripts = ("widgets.js", "trace.js")

    def __init__(self, title, runs, start, marks, label):
        if not runs:
            raise ValueError('trace() needs at least one run: {"no defence": trace}')
        self.marks = [text for text in marks if text]
        self.runs = {str(name): rows(run, self.marks) for name, run in runs.items()}
        if empty := [name for name, made in self.runs.items() if not made]:
            raise ValueError(f"the run {empty[0]!r} has no events")
        first = next(iter(self.runs.values()))
        states = [{"at": f"{i + 1} of {len(first)}", "read": self.read(first, i)}
                  for i in range(len(first))]  # fmt: skip
        super().__init__(title, label, states, start)

    @staticmethod
    def read(made, place):
        """One sentence about a row."""
        kind, _, tokens = made[place]
        spent = f" {tokens:,} tokens so far." if tokens else ""
        return f"{KINDS[kind][0].upper()}{KINDS[kind][1:]}.{spent}"

    def html(self):
        first = next(iter(self.runs.values()))
        picker = slider("tx-state", self.label, len(first) - 1, self.start,
                        self.states[self.start]["at"])  # fmt: skip
        lists = "".join(
            self._list(name, made, hidden=bool(number))
            for number, (name, made) in enumerate(self.runs.items())
        )
        table = [[name, str(i + 1), kind, text]
                 for name, made in self.runs.items()
                 for i, (kind, text, _) in enumerate(made)]  # fmt: skip
        read = f'<p class="tx-read"><span>{escape(self.states[self.start]["read"])}</span></p>'
        folded = folded_table(self.title, ["run", "step", "kind", "text"], table,
                              "All steps as a table")  # fmt: skip
        return page(self, f"{self._choice()}{picker}{read}{lists}{folded}", self.data())

    def _choice(self):
        if len(self.runs) == 1:
            return ""
        radios = "".join(
            f'<label><input type="radio" name="run" value="{i}"'
            f'{" checked" * (i == 0)} autocomplete="off"><span>{escape(name)}</span></label>'
            for i, name in enumerate(self.runs)
        )
        return f'<fieldset class="tx-runs"><legend>Run</legend>{radios}</fieldset>'

    def _list(self, name, made, hidden):
        items = "".join(self._item(i, *row[:2]) for i, row in enumerate(made))
        return f'<ol class="tx-steps" aria-label="{escape(name)}"{" hidden" * hidden}>{items}</ol>'

    def _item(self, place, kind, text):
        on = " tx-on" if place == self.start else " tx-later" if place > self.start else ""
        return (
            f'<li class="tx-{kind}{on}"><b>{kind}</b>'
            f'<span class="tx-text">{self._marked(text)}</span></li>'
        )

    def _marked(self, text):
        """The text as HTML, with what `marks` names set off."""
        if not self.marks:
            return escape(text)
        pattern = "|".join(re.escape(mark) for mark in sorted(self.marks, key=len, reverse=True))
        parts = re.split(f"({pattern})", text)
        return "".join(
            f"<mark>{escape(part)}</mark>" if i % 2 else escape(part)
            for i, part in enumerate(parts)
        )

    def data(self):
        runs = [[self.read(made, i) for i in range(len(made))] for made in self.runs.values()]
        return {"label": self.label, "runs": runs}

    def live(self, run, question=""):
        """A box for a question and a button: `run(question) -> Trace` in the kernel, shown here.

        Take the call out again before saving the notebook: its output needs a kernel.
        """
        import ipywidgets

        box = ipywidgets.Text(value=question, description="Ask", layout={"width": "95%"})
        button = ipywidgets.Button(description="Run")
        view = ipywidgets.HTML()

        def show(change=None):
            shown = TraceView(self.title, {"live": run(box.value)}, -1, self.marks, self.label)
            made = next(iter(shown.runs.values()))
            view.value = (
                f'<div class="tta-x tta-trace">{shown._list("live", made, False)}'
                f'<p class="tx-read">{escape(shown.read(made, len(made) - 1))}</p></div>'
            )

        button.on_click(show)
        show()
        return ipywidgets.VBox([box, button, view])


def rows(run, marks=()):
    """(kind, text, tokens so far) of each thing that a reader can step through.

    Of the tools' descriptions, only those are shown that hold one of `marks`.
    """
    made, tokens = [], 0
    for event in run.events:
        data = event.data
        if event.kind == "start":
            for message in data["messages"]:
                kind = "memory" if message["role"] == "system" else "asked"
                made.append((kind, str(message.get("content") or ""), 0))
            for name, about in data["tools"].items():
                if any(mark in about for mark in marks):
                    made.append(("tool", f"{name}: {about}", 0))
        elif event.kind == "reply":
            tokens += data["tokens"]
            made += [(kind, text, tokens) for kind, text in _reply(data)]
        elif event.kind == "result":
            kind = "refused" if data["refused"] else "error" if data["error"] else "result"
            made.append((kind, data["refused"] or data["text"], tokens))
        elif event.kind == "trouble":
            made.append(("trouble", data["what"], tokens))
        else:
            detail = f": {data['detail']}" if data["detail"] else ""
            made.append(("stop", f"{data['reason'].replace('_', ' ')}{detail}", tokens))
    return [(kind, _cut(text), spent) for kind, text, spent in made]


def _reply(data):
    text = data["text"]
    thought = " ".join(part.strip() for part in THOUGHT.findall(text)).strip()
    said = THOUGHT.sub("", text).strip()
    if thought:
        yield "thought", thought
    if said:
        yield ("thought" if data["calls"] else "answer"), said
    for call in data["calls"]:
        function = call["function"]
        yield "call", f"{function['name']}({_arguments(function['arguments'])})"


def _arguments(given):
    """The arguments for people: name: value."""
    try:
        values = json.loads(given) if isinstance(given, str) else given
        return ", ".join(f"{key}: {value}" for key, value in values.items())
    except (ValueError, AttributeError):
        return str(given)


def _cut(text):
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def trace(title, runs, start=0, marks=(), label="Step"):
    """Runs of an agent, to be stepped through: thought, call, result, answer.

    runs: {name: `llmlib.agents.trace.Trace`}; with several, the reader chooses one. marks: texts
    that are set off wherever they occur, such as an injected order. start: the row shown first.
    """
    return TraceView(title, runs, start, marks, label)
