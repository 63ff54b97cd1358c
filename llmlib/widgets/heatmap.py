"""An attention map that is read row by row: choose a query and see where it looks."""

import math

from .base import Interactive, drawn, escape, folded_table, page, slider

SCALE = 1000  # values travel as whole thousandths


class HeatMap(Interactive):
    """A matrix of non-negative values; one slider for the state, one for the row."""

    tag = "tta-heat"
    styles = ("widgets.css", "heatmap.css")
    scripts = ("widgets.js", "heatmap.js")

    def __init__(self, title, label, rows, cols, states, start, row, row_label, verb, vmax, key):
        states = [{"read": ""} | state for state in states]
        super().__init__(title, label, states, start, key)
        self.rows, self.cols = [str(r) for r in rows], [str(c) for c in cols]
        self.row_label, self.verb = row_label, verb
        self.row = range(len(self.rows))[row]  # IndexError for a row that is not there
        self.values = [self._whole(state) for state in states]
        largest = max(
            (v for m in self.values for line in m for v in line if v is not None), default=0
        )
        self.max = round(vmax * SCALE) if vmax else largest or 1

    def _whole(self, state):
        """The matrix in thousandths; None for what is masked out."""
        matrix = [list(line) for line in state["values"]]
        if len(matrix) != len(self.rows) or any(len(line) != len(self.cols) for line in matrix):
            expected = f"{len(self.rows)} × {len(self.cols)}"
            raise ValueError(
                f"values at {state['at']} must be {expected}, as rows and cols name them"
            )
        return [[self._cell(v, state) for v in line] for line in matrix]

    @staticmethod
    def _cell(value, state):
        if value is None or math.isnan(value):
            return None
        if value < 0:
            raise ValueError(
                f"values at {state['at']} contain {value}; a heat map takes values ≥ 0"
            )
        return round(value * SCALE)

    def html(self):
        last = len(self.rows) - 1
        picker = slider("tx-picker", self.row_label, last, self.row, self.rows[self.row])
        state = self.states[self.start]
        key = f' <span class="tx-key">{escape(self.key)}</span>' if self.key else ""
        values = self.values[self.start]
        rows = [[name, *map(_text, line)] for name, line in zip(self.rows, values, strict=True)]
        inside = (
            f"{self.controls()}{picker}{self.picture(state)}"
            f'<p class="tx-read"><span>{escape(state["read"])}</span>{key}</p>'
            + folded_table(self.title, [self.row_label, *self.cols], rows)
        )
        return page(self, inside, self.data())

    def picture(self, state):
        values = self._whole(state)
        lines = "".join(self._line(i, line) for i, line in enumerate(values))
        names = "".join(f"<span {drawn(name)}></span>" for name in ["", *self.cols])
        chosen = values[self.row]
        square = self.rows == self.cols
        strip = "".join(
            f"<span{' class=tx-on' * (square and j == self.row)} "
            f'style="--v:{(v or 0) / self.max:.3f}" {drawn(name)}></span>'
            for j, (name, v) in enumerate(zip(self.cols, chosen, strict=True))
        )
        return (
            f'<p class="tx-row-read">{escape(self.sentence(chosen))}</p>'
            f'<p class="tx-strip" aria-hidden="true">{strip}</p>'
            f'<div class="tx-grid-map" style="--n:{len(self.cols)}" role="img" '
            f'aria-label="{escape(self.title)}: a matrix; values in the table below">'
            f'{lines}<div class="tx-row tx-cols">{names}</div></div>'
        )

    def _line(self, i, line):
        shares = (None if v is None else f"{v / self.max:.3g}" for v in line)
        cells = (f'<i style="--v:{v}"></i>' if v else '<i class="tx-off"></i>' for v in shares)
        on = " tx-on" if i == self.row else ""
        name = f'<span class="tx-name" {drawn(self.rows[i])}></span>'
        return f'<div class="tx-row{on}">{name}{"".join(cells)}</div>'

    def sentence(self, line):
        """The three largest values of the chosen row, in words."""
        best = sorted(((-v, j) for j, v in enumerate(line) if v), key=lambda pair: pair)[:3]
        where = ", ".join(f"“{self.cols[j].strip()}” {-v / SCALE:.2f}" for v, j in best)
        return f"“{self.rows[self.row].strip()}” {self.verb} {where or 'nothing'}."

    def data(self):
        states = [
            {"at": str(s["at"]), "read": s["read"], "v": v}
            for s, v in zip(self.states, self.values, strict=True)
        ]
        return {
            "label": self.label,
            "rowLabel": self.row_label,
            "verb": self.verb,
            "max": self.max,
            "square": self.rows == self.cols,
            "rows": self.rows,
            "cols": self.cols,
            "states": states,
        }


def _text(value):
    return "—" if value is None else f"{value / SCALE:.2f}"


def heatmap(
    title,
    label,
    rows,
    cols,
    states,
    *,
    start=0,
    row=-1,
    row_label="Query",
    verb="looks at",
    vmax=None,
    key="",
):
    """A matrix read row by row, such as attention: rows are queries, columns are keys.

    rows, cols: names. states: [{"at": name of the head or layer, "values": matrix, "read": one
    sentence, may be left out}]; a value of None is masked and stays empty. A slider chooses the
    state (where there are several), a second slider, the arrow keys or a click the row; `row` is
    chosen first. The chosen row's largest values are put into words: “row” `verb` “column” value.
    vmax: the value in full colour (the largest one by default).
    """
    return HeatMap(title, label, rows, cols, states, start, row, row_label, verb, vmax, key)
