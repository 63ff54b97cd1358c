"""A slider over arrows in the plane: rotations, sums, angles."""

import math

from .base import Interactive, drawn, number
from .curves import line_roles

HEAD = "0,0 -9,3.6 -9,-3.6"  # an arrow head pointing right, tip at the origin


class Vectors(Interactive):
    """Named arrows from the origin (or from a tail), one state a slider position."""

    tag = "tta-vectors"
    styles = ("widgets.css", "curves.css", "vectors.css")

    def __init__(self, title, label, states, start, reference, key, roles, radius):
        super().__init__(title, label, states, start, key)
        self.names = list(states[start]["arrows"])
        self.reference = {k: _ends(v) for k, v in (reference or {}).items()}
        for state in states:
            if list(state["arrows"]) != self.names:
                raise ValueError(
                    f"state {state['at']} has arrows {list(state['arrows'])}, not {self.names}"
                )
        self.roles = line_roles(self.names, roles or {}) | dict.fromkeys(self.reference, "truth")
        every = [_ends(v) for s in states for v in s["arrows"].values()]
        every += self.reference.values()
        reach = max(abs(c) for ends in every for c in ends) or 1.0
        self.radius, self.scale = radius, 100 / (1.22 * max(reach, radius or 0))

    def picture(self, state):
        arrows = {name: _ends(v) for name, v in state["arrows"].items()}
        lines = "".join(self._line(name, ends, moves=True) for name, ends in arrows.items())
        lines = "".join(self._line(n, e, moves=False) for n, e in self.reference.items()) + lines
        tips = "".join(self._tip(name, ends, moves=True) for name, ends in arrows.items())
        tips = "".join(self._tip(n, e, moves=False) for n, e in self.reference.items()) + tips
        circle = ""
        if self.radius:
            circle = f'<circle class="tx-grid" r="{self.radius * self.scale:.1f}"/>'
        return (
            '<div class="tx-plane" role="img" '
            'aria-label="Arrows in the plane; values in the table below">'
            '<svg viewBox="-100 -100 200 200" aria-hidden="true">'
            '<line class="tx-grid" x1="-100" x2="100"/>'
            f'<line class="tx-grid" y1="-100" y2="100"/>{circle}{lines}</svg>{tips}</div>'
        )

    def _line(self, name, ends, moves):
        x0, y0, x1, y1 = (
            c * self.scale * sign for c, sign in zip(ends, (1, -1, 1, -1), strict=True)
        )
        angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
        back = min(5.0, math.hypot(x1 - x0, y1 - y0))  # the line ends inside the head
        x2, y2 = (
            x1 - back * math.cos(math.radians(angle)),
            y1 - back * math.sin(math.radians(angle)),
        )
        path = f"M{x0:.1f} {y0:.1f}L{x2:.1f} {y2:.1f}"
        turn = f"translate({x1:.1f} {y1:.1f}) rotate({angle:.1f})"
        d = self.slot("d", path) if moves else f'd="{path}"'
        head = self.slot("transform", turn) if moves else f'transform="{turn}"'
        role = f'class="tx-r-{self.roles[name]}"'
        return f'<path {role} {d}/><polygon {role} points="{HEAD}" {head}/>'

    def _tip(self, name, ends, moves):
        """The name just beyond the tip, hung so that it grows away from the arrow."""
        x0, y0, x1, y1 = (c * self.scale for c in ends)
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        across, up = (x1 - x0) / length, (y1 - y0) / length
        x, y = 50 + (x1 + 5 * across) / 2, 50 - (y1 + 5 * up) / 2
        style = f"--x:{x:.1f};--y:{y:.1f};--c:{across:.2f};--s:{-up:.2f}"
        place = self.slot("style", style) if moves else f'style="{style}"'
        return f'<span class="tx-tip tx-r-{self.roles[name]}" {place} {drawn(name)}></span>'

    def table(self):
        rows = [[s["at"], *(_text(v) for v in s["arrows"].values())] for s in self.states]
        if self.reference:
            names = [*self.names, *self.reference]
            fixed = [_text(v) for v in self.reference.values()]
            return [self.label, *names], [[*row, *fixed] for row in rows]
        return [self.label, *self.names], rows


def _ends(arrow):
    """(tail x, tail y, tip x, tip y) of [x, y] or [tail x, tail y, x, y]."""
    arrow = [float(c) for c in arrow]
    if len(arrow) not in (2, 4):
        raise ValueError(f"an arrow is [x, y] or [tail x, tail y, x, y], not {arrow}")
    return tuple([0.0, 0.0, *arrow] if len(arrow) == 2 else arrow)


def _text(arrow):
    x0, y0, x1, y1 = _ends(arrow)
    tail = f"({number(x0)}, {number(y0)}) → " if (x0, y0) != (0, 0) else ""
    return f"{tail}({number(x1)}, {number(y1)})"


def vectors(title, label, states, *, start=0, reference=None, key="", roles=None, radius=1.0):
    """Arrows under a slider.

    states: [{"at": slider text, "arrows": {name: [x, y]}, "read": one sentence}], every state with
    the same names; [x0, y0, x, y] starts an arrow elsewhere than at the origin. reference: {name:
    [x, y]}, fixed and dashed. radius: a faint circle around the origin to see lengths by (None for
    no circle). roles: {name: role}.
    """
    return Vectors(title, label, states, start, reference, key, roles, radius)
