"""Draw the landing page's measured figure from a recorded training run on the world's text.

    python -m llmlib.recipes.pretrain … --data world-small --eval-every 10 --out RUN
    python book/scripts/draw_promise.py RUN     # keeps what it needs of RUN/history.json, and draws
    python book/scripts/draw_promise.py         # draws again from what was kept

Writes ``book/figures/promise.json`` (tokens, held-out losses, their floor, and the command that
gave them) and ``book/figures/promise.svg``.
"""

import json
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from llmlib import plots

FIGURES = Path(__file__).resolve().parent.parent / "figures"
DATA, PICTURE = FIGURES / "promise.json", FIGURES / "promise.svg"


def keep(run: Path) -> None:
    """Condense a finished run to what the figure shows."""
    history = json.loads((run / "history.json").read_text(encoding="utf-8"))
    if history["interrupted"] or not history["evals"]:
        raise SystemExit(f"{run} is not finished or was run without --eval-every")
    card = (run / "README.md").read_text(encoding="utf-8")
    command = re.search(r"python -m llmlib\.recipes\.pretrain[^`\n]*", card)
    data = {
        "command": command[0] if command else "",
        "seconds": round(history["seconds"][-1], 1),
        "floor": history["evals"][-1]["floor_nats_per_token"],
        "tokens": [evaluation["tokens"] for evaluation in history["evals"]],
        "loss": [round(evaluation["nats_per_token"], 4) for evaluation in history["evals"]],
    }
    DATA.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def draw():
    data = json.loads(DATA.read_text(encoding="utf-8"))
    plots.use()
    fig, ax = plt.subplots()
    millions = [tokens / 1e6 for tokens in data["tokens"]]
    ax.plot(millions, data["loss"], **plots.role("model", marker=None))
    plots.end_label(ax, millions[-1], data["loss"][-1], "our model", "model")
    plots.truth_line(ax, data["floor"])
    ax.set(xlabel="million tokens of training", title="held-out loss, nats per token")
    ax.set_xlim(0, millions[-1])
    return fig


if __name__ == "__main__":
    if len(sys.argv) > 1:
        keep(Path(sys.argv[1]))
    PICTURE.write_text(plots.adaptive_svg(draw()), encoding="utf-8")
