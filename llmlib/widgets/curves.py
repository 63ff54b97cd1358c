"""A slider over line charts: recorded runs, schedules, anything with an axis."""

import math

from matplotlib.ticker import LogLocator, MaxNLocator

from .base import Interactive, drawn, escape, number

MAX_POINTS = 200  # a line is thinned to this many points: more than a page can show
MAX_TABLE_COLUMNS = 12
FREE = ("model", "proxy", "gold", "danger", "baseline")  # roles to hand out, in this order
ROLES = ("truth", *FREE)


class Curves(Interactive):
    """Lines over one x axis, one state a slider position; the axes stay the same in all states."""

    tag = "tta-curves"
    styles = ("widgets.css", "curves.css")

    def __init__(self, title, label, x, states, xlabel, ylabel, reference, start, key, roles, axes):
        super().__init__(title, label, states, start, key)
        self.x, self.xlabel, self.ylabel = [float(v) for v in x], xlabel, ylabel
        self.names = list(states[start]["lines"])
        self.marked = "mark" in states[start]
        self._check()
        first = states[0]["lines"]
        self.still = self.marked and all(state["lines"] == first for state in states)
        self.roles = line_roles(self.names, roles or {})
        self.reference = _reference(reference, len(self.x))
        self.log_x, self.log_y = axes["log_x"], axes["log_y"]
        self.xlim = _limits([self.x], self.log_x, 0)
        drawn = [line for s in states for line in s["lines"].values()]
        drawn += [self.reference[1]] if self.reference else []
        self.ylim = axes["ylim"] or _limits(drawn, self.log_y, 0.05)

    def _check(self):
        for state in self.states:
            if list(state["lines"]) != self.names:
                raise ValueError(
                    f"state {state['at']} has lines {list(state['lines'])}, not {self.names}"
                )
            for name, y in state["lines"].items():
                if len(y) != len(self.x):
                    raise ValueError(
                        f"{name} at {state['at']}: {len(y)} values for {len(self.x)} x"
                    )
            if ("mark" in state) != self.marked:
                raise ValueError("either every state has a mark or none")
            if self.marked and not 0 <= state["mark"] < len(self.x):
                raise ValueError(
                    f"mark {state['mark']} at {state['at']}: there are {len(self.x)} x"
                )

    def picture(self, state):
        lines = state["lines"]
        paths = "".join(
            f'<path class="tx-r-{self.roles[name]}" {self._moving("d", self._path(y))}/>'
            for name, y in lines.items()
        )
        if self.reference:
            paths += f'<path class="tx-r-truth" d="{self._path(self.reference[1])}"/>'
        heights = self._label_heights(lines)
        ends = "".join(self._end(name, self.roles[name], heights[name]) for name in lines)
        if self.reference:
            ends += self._end(self.reference[0], "truth", heights[""])
        grid, ticks = self._ticks()
        mark = self._mark(state) if self.marked else ""
        return (
            f'<p class="tx-ylabel">{escape(self.ylabel)}</p><div class="tx-plot" role="img" '
            f'aria-label="{escape(self.ylabel)} against {escape(self.xlabel)}; values in the table '
            f'below"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
            f"{grid}{paths}</svg>"
            f'{mark}{ticks}{ends}</div><p class="tx-xlabel">{escape(self.xlabel)}</p>'
        )

    def _moving(self, what, value):
        """A slot, or the same attributes without one where the lines are the same in all states."""
        if self.still:
            return f'style="{what}:{value}"' if what.startswith("--") else f'{what}="{value}"'
        return self.slot(what, value)

    def _mark(self, state):
        """A rule at the marked x, with a dot on each line."""
        at = state["mark"]
        left = f"{100 * _place(self.x[at], self.xlim, self.log_x):.1f}"
        rule = self.slot("--x", left)
        dots = ""
        for name, y in state["lines"].items():
            if not _finite(y[at], self.log_y):
                raise ValueError(f"{name} has no value to mark at {state['at']}")
            top = f"{100 - 100 * _place(y[at], self.ylim, self.log_y):.1f}"
            dots += f'<b class="tx-r-{self.roles[name]}" {self.slot("--y", top)}></b>'
        return f'<i class="tx-mark" {rule}>{dots}</i>'

    def _end(self, name, role, height):
        place = self._moving("--y", f"{height:.1f}")
        return f'<span class="tx-end tx-r-{role}" {place} {drawn(name)}></span>'

    def _path(self, y):
        """The `d` of a path in a 1000 × 1000 box: whole numbers, relative steps, gaps where y is
        not finite.
        """
        picked = _thin(len(self.x), MAX_POINTS)
        parts, pen = [], None
        for i in picked:
            if not _finite(y[i], self.log_y):
                pen = None
                continue
            point = (
                round(1000 * _place(self.x[i], self.xlim, self.log_x)),
                min(3000, max(-2000, round(1000 - 1000 * _place(y[i], self.ylim, self.log_y)))),
            )
            parts.append(
                f"M{point[0]} {point[1]}"
                if pen is None
                else f"l{point[0] - pen[0]} {point[1] - pen[1]}"
            )
            pen = point
        return "".join(parts).replace(" -", "-") or "M0 0"

    def _label_heights(self, lines):
        """Where each line's name stands, in percent from the top, pushed apart so that none covers
        another.
        """
        ends = {name: _last_finite(y, self.log_y) for name, y in lines.items()}
        if self.reference:
            ends[""] = _last_finite(self.reference[1], self.log_y)
        tops = {}
        for name, y in ends.items():
            share = 0.5 if y is None else _place(y, self.ylim, self.log_y)
            tops[name] = 100 - 100 * min(1.0, max(0.0, share))
        return _apart(tops, gap=7.5)

    def _ticks(self):
        grid, ticks = "", ""
        for value in _tick_values(self.ylim, self.log_y):
            y = 1000 - 1000 * _place(value, self.ylim, self.log_y)
            grid += f"M0 {y:.0f}H1000"
            ticks += f'<span class="tx-yt" style="--y:{y / 10:.1f}" {drawn(number(value))}></span>'
        for value in _tick_values(self.xlim, self.log_x):
            x = 100 * _place(value, self.xlim, self.log_x)
            ticks += f'<span class="tx-xt" style="--x:{x:.1f}" {drawn(number(value))}></span>'
        return f'<path class="tx-grid" d="{grid}"/>', ticks

    def table(self):
        if self.still:
            return self._table_of_marks()
        picked = _thin(len(self.x), MAX_TABLE_COLUMNS)
        head = [self.label, "line", *(number(self.x[i]) for i in picked)]
        rows = [
            [state["at"], name, *(number(y[i]) for i in picked)]
            for state in self.states
            for name, y in state["lines"].items()
        ]
        if self.reference:
            rows.append(["all", self.reference[0], *(number(self.reference[1][i]) for i in picked)])
        return head, rows

    def _table_of_marks(self):
        """A row a state: the marked x, and every line there."""
        head = [self.label, self.xlabel, *self.names]
        head += [self.reference[0]] if self.reference else []
        rows = []
        for state in self.states:
            values = [self.x[state["mark"]], *(y[state["mark"]] for y in state["lines"].values())]
            values += [self.reference[1][state["mark"]]] if self.reference else []
            rows.append([state["at"], *map(number, values)])
        return head, rows


def line_roles(names, given):
    """A role for each line: what was given, the line's own name if it is one, else the next free
    one.
    """
    unknown = set(given.values()) - set(ROLES)
    if unknown:
        raise ValueError(
            f"no such role: {', '.join(sorted(unknown))}; roles are {', '.join(ROLES)}"
        )
    roles = {name: given.get(name, name if name in ROLES else None) for name in names}
    free = [role for role in FREE if role not in roles.values()]
    for name, role in roles.items():
        if role is None:
            if not free:
                raise ValueError("more lines than roles: show fewer lines, or give roles=")
            roles[name] = free.pop(0)
    return roles


def _reference(reference, count):
    """(label, y values) of the truth line; reference is a number, a list, or {label: either}."""
    if reference is None:
        return None
    label, y = (
        next(iter(reference.items())) if isinstance(reference, dict) else ("exact", reference)
    )
    y = [float(y)] * count if isinstance(y, int | float) else [float(v) for v in y]
    if len(y) != count:
        raise ValueError(f"the reference has {len(y)} values for {count} x")
    return label, y


def _finite(value, log):
    return value is not None and math.isfinite(value) and (value > 0 or not log)


def _last_finite(y, log):
    return next((v for v in reversed(y) if _finite(v, log)), None)


def _limits(lines, log, margin):
    values = [v for line in lines for v in line if _finite(v, log)]
    if not values:
        raise ValueError("nothing to draw: no finite value")
    low, high = min(values), max(values)
    if log:
        low, high = math.log10(low), math.log10(high)
    pad = margin * (high - low) or (0.5 if high == low else 0)
    low, high = low - pad, high + pad
    return (10**low, 10**high) if log else (low, high)


def _place(value, limits, log):
    """Where `value` lies between the limits: 0 at the low end, 1 at the high end."""
    low, high = limits
    if log:
        value, low, high = math.log10(value), math.log10(low), math.log10(high)
    return (value - low) / (high - low)


def _tick_values(limits, log):
    low, high = limits
    decades = math.log10(high / low) if log else 0
    if log and decades > 1.5:
        values = LogLocator(numticks=6).tick_values(low, high)
    else:
        values = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 0 if log else 1e-9 * (high - low)
    return [v for v in values if low - slack <= v <= high + slack]


def _thin(count, most):
    """At most `most` positions out of `count`, evenly spread, with the first and the last."""
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})


def _apart(tops, gap):
    """Push heights (percent) apart by at least `gap`, in their order, and keep them on the plot."""
    order = sorted(tops, key=tops.get)
    placed, floor = {}, -gap
    for name in order:
        floor = placed[name] = max(tops[name], floor + gap)
    ceiling = 100 + gap
    for name in reversed(order):
        ceiling = placed[name] = min(placed[name], ceiling - gap)
    return placed


def curves(
    title,
    label,
    x,
    states,
    xlabel,
    ylabel,
    reference=None,
    *,
    start=0,
    key="",
    roles=None,
    log_x=False,
    log_y=False,
    ylim=None,
):
    """Line charts under a slider.

    x: one axis for all. states: [{"at": slider text, "lines": {name: [y…]}, "read": one sentence}],
    every state with the same names. reference: the known truth, drawn dashed: a number, a list of
    y, or {label: either}. roles: {name: role}; a line called like a role wears it. Axes are fixed
    over all states, so that heights can be compared; give ylim=(low, high) when a diverging run
    would squash the others. A state may also have "mark": a position in x, at which a dot stands on
    each line; with the same lines in every state the slider then moves along them. NaN and infinity
    leave a gap in the line and a dash in the table. Lines of more than 200 points are thinned
    evenly.
    """
    axes = {"log_x": log_x, "log_y": log_y, "ylim": ylim}
    return Curves(title, label, x, states, xlabel, ylabel, reference, start, key, roles, axes)
