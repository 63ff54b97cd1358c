"""Take the landing page's measured figure from the executed pretraining chapter.

Run from anywhere, after ``make notebooks``: ``python book/scripts/take_promise.py``. The first
figure below the heading of the flagship run is written to ``book/figures/promise.svg``, and its
alternative text is printed, for ``book/welcome.md``. So the landing page shows a run that was
really made; a test holds picture and chapter equal.
"""

import base64
import html
import json
import re
from pathlib import Path

BOOK = Path(__file__).resolve().parent.parent
CHAPTER = BOOK.parent / "notebooks" / "06_pretraining.ipynb"
HEADING = "## The flagship run"
PICTURE = BOOK / "figures" / "promise.svg"
IMAGE = re.compile(r'alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]+)"')


def first_figure(notebook: dict, heading: str) -> tuple[str, str]:
    """(SVG, alternative text) of the first figure after a heading; LookupError if there is none."""
    seen = False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            seen = seen or heading in "".join(cell["source"]).splitlines()
        elif seen:
            for output in cell["outputs"]:
                found = IMAGE.search("".join(output.get("data", {}).get("text/html", "")))
                if found:
                    return base64.b64decode(found[2]).decode("utf-8"), html.unescape(found[1])
    raise LookupError(f"no figure below {heading!r}")


if __name__ == "__main__":
    picture, alt = first_figure(json.loads(CHAPTER.read_text(encoding="utf-8")), HEADING)
    PICTURE.write_text(picture, encoding="utf-8")
    print(alt)
