"""Turn temperature, top-k, top-p and min-p on a model's next-token distributions, on the page."""

import torch

from llmlib.generate import adjust

from .base import Interactive, escape, folded_table, page, slider
from .frames import percent

MARKS = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥"})
OFF = "off"
KNOBS = (
    ("Temperature", [0, *(round(0.1 * i, 1) for i in range(1, 21)), 2.5, 3.0], 1.0),
    ("Top-k", [1, 2, 3, 4, 5, 7, 10, 20, 50, 100, None], None),
    ("Top-p", [round(0.05 * i, 2) for i in range(1, 20)] + [0.97, 0.99, None], None),
    ("Min-p", [None, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0], None),
)


class SamplingView(Interactive):
    """Bars of the likeliest next tokens, four knobs, and the truth as a dashed tick."""

    tag = "tta-sampling"
    styles = ("widgets.css", "frames.css", "sampling.css")
    scripts = ("widgets.js", "sampling.js")

    def __init__(self, title, contexts, label, shown, start, key):
        states = [{"read": ""} | context for context in contexts]
        super().__init__(title, label, states, start, key)
        sizes = {len(state["logits"]) for state in states}
        if len(sizes) > 1 or min(sizes) <= shown:
            raise ValueError(f"each context needs the same number of logits, more than {shown}")
        self.shown = shown
        self.contexts = [self._context(state) for state in states]

    def _context(self, state):
        """What the page gets: logits sorted and counted from the largest, in thousandths."""
        logits = torch.as_tensor(state["logits"], dtype=torch.float64)
        truth = [float(share) for share in state["truth"]]
        if len(truth) != len(logits) or len(state["tokens"]) != len(logits):
            raise ValueError(f"{state['at']}: logits, tokens and truth must be of one length")
        if abs(sum(truth) - 1) > 1e-6 or min(truth) < 0:
            raise ValueError(f"{state['at']}: the truth sums to {sum(truth):.4g}, not to 1")
        values, order = logits.sort(descending=True, stable=True)
        order = order.tolist()
        place = {id: i for i, id in enumerate(order)}
        known = sorted((place[id], round(share, 5)) for id, share in enumerate(truth) if share)
        return {
            "at": str(state["at"]),
            "text": state["text"],
            "logits": [round(v, 3) for v in (values - values[0]).tolist()],
            "tokens": [state["tokens"][id].translate(MARKS) for id in order[: self.shown]],
            "truth": [round(truth[id], 5) for id in order[: self.shown]],
            "known": known,
        }

    def html(self):
        context = self.contexts[self.start]
        q = adjust(torch.tensor([context["logits"]]))[0].tolist()
        shares = [*q[: self.shown], max(0.0, 1 - sum(q[: self.shown]))]
        truth = [*context["truth"], max(0.0, 1 - sum(context["truth"]))]
        names = [*context["tokens"], "all others"]
        bars = "".join(map(_bar, names, shares, truth))
        key = f' <span class="tx-key">{escape(self.key)}</span>' if self.key else ""
        rows = [[n, percent(a), percent(b)] for n, a, b in zip(names, shares, truth, strict=True)]
        inside = (
            f'{self.controls()}<p class="tx-context">{escape(context["text"])}</p>{_knobs()}'
            f'<ul class="tx-bars tx-draws">{bars}</ul>'
            f'<p class="tx-read"><span>{escape(self.sentence(q, context))}</span>{key}</p>'
            + folded_table(self.title, ["next token", "drawn with", "the world"], rows)
        )
        return page(self, inside, self.data())

    def sentence(self, q, context):
        """How many tokens are left, and how far they are from the truth."""
        known = dict(context["known"])
        gap = sum(abs(v - known.get(i, 0)) for i, v in enumerate(q)) / 2
        return f"{sum(v > 0 for v in q):,} tokens are left. Distance from the truth: {gap:.3f}."

    def data(self):
        knobs = [
            {"label": label, "values": values, "names": [_name(v) for v in values]}
            for label, values, _ in KNOBS
        ]
        return {"label": self.label, "contexts": self.contexts, "knobs": knobs}

    def live(self, compute=None, values=None):
        raise TypeError("sampling() needs no kernel: its rules run on the page already")


def _name(value):
    return OFF if value is None else "0 (greedy)" if value == 0 else str(value)


def _knobs():
    sliders = "".join(
        slider(f"tx-knob{k}", label, len(values) - 1, values.index(first), _name(first))
        for k, (label, values, first) in enumerate(KNOBS)
    )
    return f'<div class="tx-knobs">{sliders}</div>'


def _bar(name, share, truth):
    return (
        f'<li class="tx-ref" style="--r:{truth:.4f}"><span class="tx-name">{escape(name)}</span>'
        f'<span class="tx-bar" style="--v:{share:.4f}"></span>'
        f'<span class="tx-val">{percent(share)}</span></li>'
    )


def sampling(title, contexts, label="Text", *, shown=10, start=0, key=""):
    """Next-token distributions under four knobs, which work on the page.

    contexts: [{"at": what the slider says, "text": the text so far, "logits": (V,), "tokens": (V,)
    strings, "truth": (V,) the known probabilities}]. A slider chooses the text; temperature, top-k,
    top-p and min-p act as in `llmlib.generate.adjust`, in that order, on all V logits. The `shown`
    likeliest tokens are drawn as bars, the others as one; the truth is a dashed tick, and the
    sentence says how many tokens are left and how far (total variation) they are from the truth.
    """
    return SamplingView(title, contexts, label, shown, start, key)
