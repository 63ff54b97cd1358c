"""Run notebooks in a fresh kernel and store their outputs; nothing else in them changes.

``make notebooks`` runs them all; ``make notebooks ONLY="04 05"`` those whose names start so.
A notebook is replaced in one step after its last cell, so a failure or Ctrl-C leaves the old one
whole. Execution counts are kept, because nbval needs them; time stamps, widget state and the name
of the machine's Python are not, because they would differ at each run.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
CELL_TIMEOUT = 300  # seconds, as in the tests
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def chosen(prefixes: list[str]) -> list[Path]:
    """Notebooks whose file name starts with one of the prefixes; all of them when none is given."""
    found = sorted(NOTEBOOKS.glob("*.ipynb"))
    return [path for path in found if not prefixes or path.name.startswith(tuple(prefixes))]


def without_traces(notebook):
    """Drop what differs from run to run without a reader seeing it."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


def run(path: Path) -> float:
    """Execute the notebook at ``path`` and replace it; return the seconds its cells took."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
    )
    start = time.monotonic()
    client.execute()
    seconds = time.monotonic() - start
    new = path.with_suffix(".ipynb.new")
    try:
        nbformat.write(without_traces(notebook), new)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    return seconds


def main(prefixes: list[str]) -> int:
    paths = chosen(prefixes)
    if not paths:
        print(f"no notebook in {NOTEBOOKS.name}/ starts with {' or '.join(prefixes)}")
        return 2
    failed = []
    for path in paths:
        try:
            print(f"{path.name:<40} {run(path):6.1f} s", flush=True)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed.append(path.name)
            print(f"{path.name:<40} failed, and was left as it was\n{error}", file=sys.stderr)
    print(f"{len(paths) - len(failed)} of {len(paths)} notebooks were run and stored")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
