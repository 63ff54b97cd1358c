"""Drawings of how parts work together."""

from .style import role

_BOXES = {"user": (0.4, 2), "program": (2.9, 2), "model": (6, 3.2), "tools": (6, 0.8),
          "memory": (2.9, 0.4)}  # fmt: skip
_ARROWS = (  # from, to, what travels, where that is written
    ("user", "program", "a task", (1.6, 2.15)),
    ("program", "model", "all so far", (3.7, 3.0)),
    ("model", "program", "a call, or words", (5.6, 2.3)),
    ("program", "tools", "the call", (5.35, 1.55)),
    ("tools", "program", "a result", (3.9, 0.95)),
    ("memory", "program", "", (0, 0)),
)
_DOORS = {"letter": (0.4, 1.35), "tools": (6, -0.15), "memory": (1.3, 0.3)}


def agent_loop(ax, doors=None):
    """Draw the parts of an agent and what travels between them.

    doors: {"letter" | "tools" | "memory": text}: what outsiders can write, in the colour of danger
    at the place where it comes in. Raises ValueError for another place.
    """
    if strange := set(doors or {}) - set(_DOORS):
        raise ValueError(f"no door {min(strange)!r}; there are {', '.join(_DOORS)}")
    box = {"boxstyle": "round,pad=0.45", "fc": "none", "ec": role("truth")["color"], "lw": 1.2}
    for name, (x, y) in _BOXES.items():
        ax.text(x, y, name, ha="center", va="center", weight="bold", bbox=box)
    arrow = {"arrowstyle": "->", "shrinkA": 30, "shrinkB": 30, "lw": 1.4,
             "color": role("model")["color"]}  # fmt: skip
    for start, end, label, (x, y) in _ARROWS:
        (x0, y0), (x1, y1) = _BOXES[start], _BOXES[end]
        up = 0.14 * (1 if start == "program" else -1) * (max(x0, x1) > 3)  # two arrows side by side
        ax.annotate("", (x1, y1 + up), (x0, y0 + up), arrowprops=arrow)
        ax.text(x, y, label, ha="center", fontsize=9)
    for place, text in (doors or {}).items():
        ax.text(*_DOORS[place], text, ha="center", color=role("danger")["color"])
    ax.set(xlim=(-0.2, 6.9), ylim=(-0.3, 3.7))
    ax.axis("off")
