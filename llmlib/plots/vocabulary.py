"""The few drawings that chapters repeat: a loss on its floor, a heat map, seeds as a band, the
truth.
"""

import numpy as np

from .style import end_label, role


def truth_line(ax, y, label="exact floor"):
    """Draw what is known exactly as a dashed line: a number gives a horizontal line, (x, y) arrays
    a curve.

    The label stands at the line's end on the right; `label=""` leaves it out.
    """
    if np.ndim(y) == 0:
        ax.axhline(y, **role("truth"))
        if label:  # x in fractions of the axes, y in data units
            end_label(ax, 1, y, label, "truth", transform=ax.get_yaxis_transform())
        return
    x, y = (np.asarray(side, dtype=float) for side in y)
    ax.plot(x, y, **role("truth"))
    if label:
        end_label(ax, x[-1], y[-1], label, "truth")


def loss_curve(ax, history, floor=None, label="model", name="model"):
    """Plot a training loss in nats per token over steps, with the exact floor when it is known.

    history: what `train` returned (a `History`), a pair (steps, losses), or the
    losses alone (then steps count from 0). label: text at the curve's end; name: its role.
    """
    steps, losses = _series(history)
    ax.plot(steps, losses, **role(name, marker=None))
    end_label(ax, steps[-1], losses[-1], label, name)
    if floor is not None:
        truth_line(ax, floor)
    ax.set(xlabel="training step", title="loss, nats per token")
    ax.set_xlim(steps[0], steps[-1])


def bands(ax, x, runs, name="model", label=""):
    """Plot several seeds as one line and a band: mean, and the full range from the lowest to the
    highest run.

    x: (N,); runs: (seeds, N). The range is drawn rather than a standard deviation because with
    three to five seeds it is what was really seen.
    """
    runs = np.asarray(runs, dtype=float)  # (seeds, N)
    if runs.ndim != 2 or runs.shape[1] != len(x):
        raise ValueError(f"runs must be (seeds, {len(x)}), one row a seed; got {runs.shape}")
    line = role(name)
    ax.fill_between(x, runs.min(0), runs.max(0), color=line["color"], alpha=0.16)
    ax.plot(x, runs.mean(0), **line)
    if label:
        end_label(ax, x[-1], runs[:, -1].mean(), label, name)


def heat(ax, matrix, rows, cols, vmax=None, label="weight", numbers=False):
    """Draw a matrix of non-negative values, such as an attention map: row = who looks, column =
    where.

    matrix: (len(rows), len(cols)); vmax: the value drawn in full ink (the largest one when left
    out). `numbers=True` writes each value into its cell. Call `use()` first: it registers the
    colour map.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (len(rows), len(cols)):
        raise ValueError(
            f"{len(rows)} rows and {len(cols)} columns named; matrix is {matrix.shape}"
        )
    image = ax.imshow(matrix, cmap="tta_ink", vmin=0, vmax=matrix.max() if vmax is None else vmax)
    ax.set_xticks(range(len(cols)), cols, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.grid(False)
    if numbers:
        for i, j in np.ndindex(matrix.shape):
            ax.text(j, i, f"{matrix[i, j]:.2f}", ha="center", va="center", fontsize=8)
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label=label)
    return image


def _series(history):
    if hasattr(history, "step") and hasattr(history, "loss"):
        return list(history.step), list(history.loss)
    if isinstance(history, tuple) and len(history) == 2:
        return list(history[0]), list(history[1])
    return list(range(len(history))), list(history)
