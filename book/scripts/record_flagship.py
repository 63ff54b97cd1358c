"""Run chapter 06's flagship once more, and keep its curve for the landing page.

    python book/scripts/record_flagship.py      # writes book/figures/promise.json
    python book/scripts/draw_promise.py         # draws it

The model, its settings and its data are those of the notebook: the cells tagged "flagship" are
executed as they stand, the assertion on the excess included.
"""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "06_pretraining.ipynb"
TARGET = ROOT / "book" / "figures" / "promise.json"


def run_flagship() -> dict:
    """The names that the notebook's cells tagged "flagship" leave behind."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    chosen = [c for c in cells if "flagship" in c["metadata"].get("tags", [])]
    if not chosen:
        raise SystemExit(f"{NOTEBOOK} has no cell tagged 'flagship'")
    names: dict = {"__name__": "flagship"}
    for cell in chosen:
        exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    return names


def curve(history, result: dict) -> dict:
    """What the figure shows: held-out losses on a fixed sample, their floor, what it took."""
    return {
        "command": "python book/scripts/record_flagship.py",
        "seconds": round(history.seconds[-1], 1),
        "floor": history.evals[-1]["floor_nats_per_token"],
        "tokens": [evaluation["tokens"] for evaluation in history.evals],
        "loss": [round(evaluation["nats_per_token"], 4) for evaluation in history.evals],
        "excess": round(result["excess"], 4),
    }


if __name__ == "__main__":
    left = run_flagship()
    data = curve(left["history"], left["result"])
    TARGET.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {TARGET.relative_to(ROOT)}")
