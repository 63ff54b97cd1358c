"""What all interactives share: the sheet, the slider, the table, the page's script, and the live
view.

One object, two lives. Displayed in a notebook it gives `text/html`: self-contained HTML and
JavaScript over precomputed states. That works the same on the site, in a stored notebook, in
JupyterLab and in Colab, with a kernel and without one, so it is what every display shows.
`.live(compute)` gives the second life, an ipywidgets slider that calls Python for each new
position. It is asked for by name and never displayed by itself, because a displayed ipywidget
leaves widget state in the notebook and a view that is dead on the published page.
"""

import html
import json
import re
from importlib.resources import files


def escape(text):
    return html.escape(str(text), quote=True)


class Interactive:
    """An interactive with states to slide through.

    Subclasses set `tag`, `styles` and `scripts` (files beside this one) and define
    `picture(state)`  HTML of the picture, its moving parts written by `self.slot`;
    `table()`         (header cells, rows of cells), everything as text.
    """

    tag = ""
    styles = ("widgets.css",)
    scripts = ("widgets.js",)

    def __init__(self, title, label, states, start=0, key=""):
        if not states:
            raise ValueError("an interactive needs at least one state")
        for state in states:
            if missing := {"at", "read"} - set(state):
                raise ValueError(f"a state lacks {', '.join(sorted(missing))}: {state!r:.80}")
        if not -len(states) <= start < len(states):
            raise ValueError(f"start={start}, but there are {len(states)} states")
        self.title, self.label, self.states, self.key = title, label, list(states), key
        self.start = start % len(states)
        self._values = []

    # ── what subclasses use ──────────────────────────────────────────────────
    def slot(self, what, value):
        """Mark an element as moving: `what` is "text", a CSS property or an attribute. Gives its
        HTML attributes.

        Slots are filled in document order, so a picture must write the same slots for every state.
        """
        self._values.append(value)
        if what == "text":
            return 'data-set="text"'
        if what.startswith("--"):
            return f'data-set="{what}" style="{what}:{escape(value)}"'
        return f'data-set="{what}" {what}="{escape(value)}"'

    def draw(self, state):
        """(HTML of the picture, values of its slots) for one state."""
        self._values = []
        picture = self.picture(state)
        return picture, self._values

    # ── the page's life ──────────────────────────────────────────────────────
    def data(self):
        states = []
        for state in self.states:
            _, values = self.draw(state)
            states.append({"at": str(state["at"]), "read": state["read"], "set": values})
        return {"label": self.label, "states": states}

    def controls(self):
        last, at = len(self.states) - 1, self.states[self.start]["at"]
        if last == 0:
            return (
                f'<input type="hidden" class="tx-state" value="0"><span hidden>{escape(at)}</span>'
            )
        return slider("tx-state", self.label, last, self.start, at)

    def body(self, state):
        """The fragment between controls and script: picture, sentence."""
        picture, _ = self.draw(state)
        key = f' <span class="tx-key">{escape(self.key)}</span>' if self.key else ""
        return f'{picture}<p class="tx-read"><span>{escape(state["read"])}</span>{key}</p>'

    def html(self):
        """The whole component as HTML: style, first state, table of all states, data, script."""
        inside = self.controls() + self.body(self.states[self.start])
        return page(self, inside + folded_table(self.title, *self.table()), self.data())

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": self.html(), "text/plain": f"[interactive] {self.title}"}

    # ── the kernel's life ────────────────────────────────────────────────────
    def live(self, compute=None, values=None):
        """An ipywidgets view whose slider calls `compute(value) -> state` in the kernel for each of
        `values`.

        Without arguments it slides through the stored states. Use it to explore values that the
        page does not store, and take the call out again before saving the notebook: its output
        needs a kernel.
        """
        import ipywidgets

        by_name = {str(state["at"]): state for state in self.states}
        options = [str(v) for v in values] if values is not None else list(by_name)
        given = dict(zip(options, values, strict=True)) if values is not None else {}
        if given and compute is None:
            raise ValueError("live(values=…) needs compute=, a function from a value to a state")
        first = options[min(self.start, len(options) - 1)]
        slide = ipywidgets.SelectionSlider(
            options=options, value=first, description=self.label, continuous_update=False
        )
        view = ipywidgets.HTML()

        def show(change=None):
            at = slide.value
            state = compute(given.get(at, at)) if compute else by_name[at]
            state = {"at": at, "read": ""} | state
            view.value = (
                f"<style>{_packed(self.styles)}</style>"
                f'<div class="tta-x {self.tag}"><p class="tx-title">{escape(self.title)}</p>'
                f"{self.body(state)}</div>"
            )

        slide.observe(show, "value")
        show()
        return ipywidgets.VBox([slide, view])


PLAIN = (
    '<p class="tx-plain">This is an interactive picture. Where a notebook is not trusted yet, '
    "neither picture nor slider is shown: run the cell. Its numbers are below.</p>"
)


def drawn(text):
    """Attributes of an element whose text is a part of the picture, drawn by the style sheet.

    Where styles are taken away (JupyterLab does it with outputs of a notebook that it does not
    trust yet) the labels of a picture go with the picture, rather than stay as a heap of words.
    """
    return f'data-t="{escape(text)}"'


def page(widget, inside, data):
    """The element around everything: style, title, what is inside, data, script."""
    return (
        f'<{widget.tag} class="tta-x tex2jax_ignore mathjax_ignore">'
        f"<style>{_packed(widget.styles)}</style>"
        f'<p class="tx-title">{escape(widget.title)}</p>{PLAIN}{inside}'
        f'<script type="application/json">{to_json(data)}</script>'
        f"<script>{_packed(widget.scripts)}</script></{widget.tag}>"
    )


def slider(kind, label, last, start, at):
    return (
        f'<label class="tx-slider"><span>{escape(label)}</span>'
        f'<input type="range" class="{kind}" min="0" '
        f'max="{last}" step="1" value="{start}" autocomplete="off" '
        f'aria-valuetext="{escape(label)} {escape(at)}">'
        f'<output aria-live="off">{escape(at)}</output></label>'
    )


def folded_table(title, head, rows, summary="All values as a table"):
    """A table in a `<details>`: open in the HTML, so that it is there without JavaScript; closed by
    the script.
    """
    header = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f"<details open><summary>{escape(summary)}</summary>"
        f'<div class="tx-scroll" tabindex="0" role="group" '
        f'aria-label="{escape(title)}: {escape(summary.lower())}">'
        f"<table><thead><tr>{header}</tr></thead>"
        f"<tbody>{body}</tbody></table></div></details>"
    )


def to_json(data):
    """Compact JSON that is safe inside a <script> element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def squeeze(source):
    """Style or script without comments of their own line, indentation and empty lines."""
    lines = [line.strip() for line in source.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))


def _packed(names):
    here = files(__package__)
    return "\n".join(squeeze(here.joinpath(name).read_text(encoding="utf-8")) for name in names)


def number(value, digits=3):
    """A number for a table: three significant digits, a dash for what is not a number."""
    if value is None or value != value:
        return "—"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}g}"
    if re.search(r"e\+?0*[1-6]$", text):
        text = f"{value:.0f}"
    return text.replace("-", "−")
