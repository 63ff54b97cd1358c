"""Colours, dashes and markers by meaning."""

from importlib.resources import as_file, files
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt

# role: (light colour, dark colour, dash, marker)
ROLES = {
    "truth": ("#1d2430", "#ece8df", (0, (5, 3)), None),
    "model": ("#1245cb", "#6193df", "-", "o"),
    "baseline": ("#6e737a", "#858b92", (0, (1, 1.6)), "s"),
    "gold": ("#986a00", "#f7d072", "-", "D"),
    "proxy": ("#77227d", "#f29bd0", (0, (7, 2, 1.5, 2)), "^"),
    "danger": ("#9f240e", "#f5714c", "-", "X"),
}

_END_LABEL = "end label"  # how a text is known as one


def use():
    """Apply the course style and register the colour map `tta_ink` (transparent to blue: fits any
    paper).
    """
    with as_file(files(__package__) / "course.mplstyle") as path:
        plt.style.use(str(path))
    if "tta_ink" not in mpl.colormaps:
        ends = [(0.27, 0.46, 0.85, alpha) for alpha in (0.0, 1.0)]
        mpl.colormaps.register(mpl.colors.LinearSegmentedColormap.from_list("tta_ink", ends))


def role(name, **overrides):
    """Keyword arguments for `ax.plot` that give a line its meaning: `ax.plot(x, y,
    **role("gold"))`.

    `overrides` are any arguments of `ax.plot`, and win. Raises ValueError for a name that is no
    role.
    """
    light, _, dash, marker = _role(name)
    line = {"color": light, "linestyle": dash, "linewidth": 1.6 if name == "truth" else 2.0}
    if marker:
        line |= {"marker": marker, "markevery": 0.18}
    if "lw" in overrides:
        line.pop("linewidth")
    return line | overrides


def end_label(ax, x, y, text, name, dx=6, transform="data"):
    """Write `text` at a line's end, in the colour of role `name`, `dx` points right of (x, y).

    (x, y) are in data units, or in those of `transform`. Labels that would cover one another are
    moved apart when the figure is shown.
    """
    label = ax.annotate(
        text,
        (x, y),
        (dx, 0),
        xycoords=transform,
        textcoords="offset points",
        va="center",
        color=_role(name)[0],
        fontsize=9.5,
        fontweight="bold" if name in ("model", "truth") else "normal",
        annotation_clip=False,
    )
    label.set_label(_END_LABEL)


def spread_labels(fig):
    """Move end labels apart, up and down, until none covers another."""
    fig.canvas.draw()  # the layout decides where the labels are
    points = 72 / fig.dpi  # points a pixel
    for ax in fig.axes:
        labels = [text for text in ax.texts if text.get_label() == _END_LABEL]
        boxes = [label.get_window_extent() for label in labels]
        order = sorted(range(len(labels)), key=lambda k: (boxes[k].y0, -k))
        shift = dict.fromkeys(order, 0.0)
        for _ in range(20 * len(order)):
            for below, above in pairwise(order):
                if boxes[below].x1 < boxes[above].x0 or boxes[above].x1 < boxes[below].x0:
                    continue
                top = boxes[below].y1 + shift[below]
                overlap = top - boxes[above].y0 - shift[above]
                if overlap > 0:
                    shift[below] -= overlap / 2
                    shift[above] += overlap / 2
        for k, label in enumerate(labels):
            dx, dy = label.xyann
            label.xyann = (dx, dy + shift[k] * points)


def _role(name):
    if name not in ROLES:
        raise ValueError(f"no role {name!r}; the roles are {', '.join(ROLES)}")
    return ROLES[name]
