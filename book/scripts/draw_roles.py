"""Draw the key to every figure of the course: six roles, each with its colour, dash and marker.

Run from anywhere: ``python book/scripts/draw_roles.py``. Writes ``book/figures/roles.svg``. The
curves are only there to carry the line styles.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from llmlib import plots

MEANINGS = {
    "truth": "known exactly: the floor, the best possible answer",
    "model": "what we build",
    "baseline": "what we compare it with",
    "gold": "what people want, told by the world itself",
    "proxy": "a learned or guessed stand-in",
    "danger": "a failure",
}
TARGET = Path(__file__).resolve().parent.parent / "figures" / "roles.svg"


def draw():
    plots.use()
    fig, ax = plt.subplots(figsize=(5.4, 2.5))
    x = np.linspace(0, 1, 40)
    for row, (name, meaning) in enumerate(MEANINGS.items()):
        y = -row + 0.18 * np.sin(2 * np.pi * x) * (name != "truth")
        ax.plot(x, y, **plots.role(name))
        colour = plots.role(name)["color"]
        ax.text(1.08, -row + 0.05, name, color=colour, fontweight="bold", va="center", fontsize=9)
        ax.text(1.75, -row + 0.05, meaning, va="center", fontsize=9)
    ax.set(xlim=(-0.05, 4.9), ylim=(-5.5, 0.5))
    ax.axis("off")
    return fig


if __name__ == "__main__":
    TARGET.write_text(plots.adaptive_svg(draw()), encoding="utf-8")
