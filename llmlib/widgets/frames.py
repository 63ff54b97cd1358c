"""A slider over bars: how shares of a whole move."""

from .base import Interactive, escape


class Frames(Interactive):
    """Bars of shares, one state a slider position."""

    tag = "tta-frames"
    styles = ("widgets.css", "frames.css")

    def __init__(self, title, label, rows, states, start, reference, key):
        super().__init__(title, label, states, start, key)
        self.rows, self.reference = list(rows), reference
        given = [(f"state {state['at']}", state["v"]) for state in states]
        given += [("reference", reference)] if reference is not None else []
        for what, shares in given:
            if len(shares) != len(self.rows):
                raise ValueError(f"{len(self.rows)} rows, but {what} has {len(shares)} values")

    def picture(self, state):
        bars = [self._bar(i, share) for i, share in enumerate(state["v"])]
        return f'<ul class="tx-bars">{"".join(bars)}</ul>'

    def _bar(self, i, share):
        tick = ""
        if self.reference is not None:
            tick = f' class="tx-ref" style="--r:{self.reference[i]:.4f}"'
        bar = self.slot("--v", f"{share:.4f}")
        value = self.slot("text", percent(share))
        return (
            f'<li{tick}><span class="tx-name">{escape(self.rows[i])}</span>'
            f'<span class="tx-bar" {bar}></span>'
            f'<span class="tx-val" {value}>{percent(share)}</span></li>'
        )

    def table(self):
        rows = [[s["at"], *map(percent, s["v"])] for s in self.states]
        if self.reference is not None:
            rows.append(["dashed tick", *map(percent, self.reference)])
        return [self.label, *self.rows], rows


def percent(share):
    return f"{100 * share:.1f}\u00a0%"


def frames(title, label, rows, states, start=0, reference=None, key=""):
    """Bars under a slider.

    rows: names of the bars. states: [{"at": slider text, "v": share of each row in 0…1,
    "read": one sentence}]. reference: shares drawn as a dashed tick on each bar (the known truth);
    key: what the tick means.
    """
    return Frames(title, label, rows, states, start, reference, key)
