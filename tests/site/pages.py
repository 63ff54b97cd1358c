"""The pages of the book, read from ``_toc.yml``: a chapter is tested once it is listed."""

from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"


@dataclass(frozen=True)
class Page:
    name: str  # path of the source without its suffix, as in _toc.yml

    @property
    def source(self) -> Path:
        found = [ROOT / f"{self.name}{suffix}" for suffix in (".md", ".ipynb")]
        return next((path for path in found if path.exists()), found[0])

    @property
    def html(self) -> Path:
        return SITE / f"{self.name}.html"

    @property
    def is_chapter(self) -> bool:
        return self.name.startswith("notebooks/")


def _files(node) -> list[str]:
    """Every ``root:`` and ``file:`` entry below a node of the table of contents, in order."""
    if isinstance(node, list):
        return [name for item in node for name in _files(item)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("root", "file") if key in node]
    return own + [name for value in node.values() for name in _files(value)]


PAGES = [Page(name) for name in _files(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8")))]
CHAPTERS = [page for page in PAGES if page.is_chapter]
