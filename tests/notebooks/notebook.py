"""A chapter's notebook as its rules see it: cells, prose, headings, exercises."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))

FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"(`+)[^`]+?\1")
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    path: Path

    @cached_property
    def notebook(self):
        return nbformat.read(self.path, as_version=4)

    @property
    def number(self) -> str:
        return self.path.name[:2]

    @property
    def cells(self):
        return self.notebook.cells

    @property
    def code(self):
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @cached_property
    def markdown(self) -> str:
        """All Markdown cells, one after the other."""
        return "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")

    @cached_property
    def prose(self) -> str:
        """The Markdown without code, fenced or inline."""
        return INLINE_CODE.sub("", FENCE.sub("", self.markdown))

    @cached_property
    def headings(self) -> list[tuple[int, str]]:
        return [(len(marks), text) for marks, text in HEADING.findall(FENCE.sub("", self.markdown))]

    @cached_property
    def exercises(self) -> list[list]:
        """The cells of each exercise, from its heading to the next exercise or section."""
        groups, current = [], None
        for cell in self.cells:
            if cell.cell_type == "markdown":
                for part in re.split(r"(?m)^(?=#{2,3} )", cell.source):
                    if re.match(r"#{2,3} ", part):
                        is_exercise = part.startswith("### Exercise ")
                        current = [] if is_exercise else None
                        groups += [current] if is_exercise else []
                    if current is not None and part.strip():
                        current.append(nbformat.v4.new_markdown_cell(part))
            elif current is not None:
                current.append(cell)
        return groups


CHAPTERS = [Chapter(path) for path in PATHS]
