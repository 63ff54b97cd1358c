"""Draw the course's opening picture: a causal attention map whose last cell acts on its own past.

Run from anywhere: ``python book/scripts/draw_hero.py``. Writes ``book/figures/hero.svg``, one file
with a light and a dark palette, for the landing page and the README. The picture is a drawing, not
a measurement; each row is a softmax all the same, so its greys add up to one.
"""

import math
from pathlib import Path

TOKENS = ("one", "word", "at", "a", "time")
SCORES = ((0.0,), (0.6, 1.3), (0.2, 1.6, 1.0), (0.1, 0.7, 0.8, 1.9), (0.1, 2.1, 0.3, 1.3, 0.0))
CELL, GAP, LEFT, TOP = 46, 10, 92, 30
TARGET = Path(__file__).resolve().parent.parent / "figures" / "hero.svg"

STYLE = """
  .ink, .label { fill: #1d2430 }
  .said { fill: #515a68; font: italic 17px "Source Serif 4", Charter, Georgia, serif }
  .label { font: 17px ui-monospace, "DejaVu Sans Mono", monospace }
  .act { fill: #1245cb }
  .arc { fill: none; stroke: #1245cb; stroke-width: 5; stroke-linecap: round }
  @media (prefers-color-scheme: dark) {
    .ink, .label { fill: #e6e2d9 }
    .said { fill: #a9afba }
    .act { fill: #6193df }
    .arc { stroke: #6193df }
  }
"""


def softmax(scores):
    weights = [math.exp(s) for s in scores]
    return [w / sum(weights) for w in weights]


def corner(index: int) -> int:
    """Offset in pixels of the cell's upper or left edge from the map's."""
    return index * (CELL + GAP)


def row(index: int) -> list[str]:
    """The label and the cells of one query; the last query's own cell is the circle that acts."""
    y = TOP + corner(index)
    parts = [
        f'<text class="label" x="{LEFT - 16}" y="{y + CELL / 2 + 6:g}" text-anchor="end">'
        f"{TOKENS[index]}</text>"
    ]
    for column, weight in enumerate(softmax(SCORES[index])):
        if index == column == len(TOKENS) - 1:
            continue
        parts.append(
            f'<rect class="ink" x="{LEFT + corner(column)}" y="{y}" width="{CELL}" height="{CELL}" '
            f'rx="6" fill-opacity="{0.06 + 0.94 * weight:.3f}"/>'
        )
    return parts


def draw() -> str:
    last = len(TOKENS) - 1
    x, y = LEFT + corner(last) + CELL / 2, TOP + corner(last) + CELL / 2
    head = LEFT + CELL + 16
    middle = TOP + CELL / 2
    width, height = LEFT + corner(last) + CELL + 6, TOP + corner(last) + CELL + 6
    parts = [part for index in range(len(TOKENS)) for part in row(index)]
    parts += [
        f'<path class="arc" d="M{x:g} {y - 30:g} V{middle + 24:g} '
        f'Q{x:g} {middle:g} {x - 24:g} {middle:g} H{head + 12}"/>',
        f'<path class="act" d="M{head} {middle:g} l16 -11 v22 z"/>',
        f'<circle class="act" cx="{x:g}" cy="{y:g}" r="{CELL / 2}"/>',
        f'<text class="said" x="{head + 6}" y="{middle - 16:g}">what it says, it reads</text>',
    ]
    title = "Each word looks back at the words before it; what the model says becomes what it reads"
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{title}">\n<style>{STYLE}</style>\n  {body}\n</svg>\n'
    )


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(draw(), encoding="utf-8")
