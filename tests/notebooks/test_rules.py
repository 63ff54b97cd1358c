"""Rules that every chapter keeps, so that it reads well on the site, in JupyterLab and in Colab."""

import json
import re
import sys
import tempfile
from pathlib import Path

import pytest

from tests.notebooks.notebook import CHAPTERS, ROOT

MAX_BYTES = 2**20
MAX_COLUMNS = 78  # what the page shows without scrolling
MAX_LINES = 30
MYST = re.compile(r"^:{3,}\s*\{|^`{3,}\{|\{(?:cite|doc|term|ref|numref|eq)[^}]*\}`", re.MULTILINE)
HEAD = re.compile(r'<div class="tta-head">\n\n.*\breading \d+ min\b.*?\n\n</div>', re.DOTALL)
RUN_TIME = re.compile(r"running (?:\d+ s|\d+(?:\.\d+)? min(?: \d+ s)?) on 2 CPU cores")
EXERCISE = re.compile(r"### Exercise (\d{1,2})\.(\d+): .+ (★{1,3}) \((\d+) min\)$", re.MULTILINE)
SECTIONS = (
    "In real systems",
    "Where it breaks",
    "Exercises",
    "Quiz",
    "Summary",
    "Further reading",
)

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.path.stem)


def outputs(chapter):
    return [(n, output) for n, cell in enumerate(chapter.code) for output in cell.outputs]


@every_chapter
def test_file_is_small_and_holds_no_widget_state(chapter):
    assert chapter.path.stat().st_size < MAX_BYTES
    assert "widgets" not in chapter.notebook.metadata
    assert chapter.notebook.metadata.kernelspec.name == "python3"
    assert not [c.id for c in chapter.cells if "execution" in c.metadata]


@every_chapter
def test_cells_fit_the_page(chapter):
    wide = [line for cell in chapter.code for line in cell.source.splitlines()]
    assert [line for line in wide if len(line) > MAX_COLUMNS] == []
    assert [c.source for c in chapter.code if len(c.source.splitlines()) > MAX_LINES] == []


@every_chapter
def test_notebook_was_run_from_top_to_bottom(chapter):
    counts = [cell.execution_count for cell in chapter.code if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))


@every_chapter
def test_outputs_are_clean(chapter):
    here = (str(ROOT), str(Path.home()), tempfile.gettempdir(), sys.prefix)
    for number, output in outputs(chapter):
        tags = chapter.code[number].metadata.get("tags", [])
        assert output.output_type != "error" or "raises-exception" in tags, f"code cell {number}"
        assert output.get("name") != "stderr", f"code cell {number}: {output.text[:80]}"
        text = json.dumps(output)
        assert not [path for path in here if path + "/" in text], f"code cell {number}"


@every_chapter
def test_first_code_cell_installs_only_what_is_missing(chapter):
    cells = [other.code[0].source for other in CHAPTERS]
    assert chapter.code[0].source == cells[0]
    assert re.fullmatch(
        r"try:\n    import llmlib\nexcept ImportError:\n"
        r'    %pip install -q "llmlib @ git\+https://github\.com/[^/\s]+/[^/\s]+"',
        chapter.code[0].source.strip(),
    )


@every_chapter
def test_head_says_what_to_expect(chapter):
    first = chapter.cells[0].source
    assert re.match(r"# \S.*\n\n\S", first), "a title, then one sentence of promise"
    opening = "\n\n".join(c.source for c in chapter.cells[:3] if c.cell_type == "markdown")
    head = HEAD.search(opening)
    assert head, "the head with its objectives and minutes"
    assert RUN_TIME.search(head[0]), "the measured run time"
    assert 3 <= len(re.findall(r"^- ", head[0], re.MULTILINE)) <= 5
    assert f"/blob/main/notebooks/{chapter.path.name})" in chapter.markdown


@every_chapter
def test_markdown_is_plain(chapter):
    assert not MYST.search(chapter.prose)
    assert not re.search(r"!\[[^\]]*\]\(https?:", chapter.prose), "no hot-linked picture"


@every_chapter
def test_pictures_have_alternative_text(chapter):
    for number, output in outputs(chapter):
        data = output.get("data", {})
        if any(kind.startswith("image/") for kind in data) and "text/html" not in data:
            alt = chapter.code[number].metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.split()) >= 5, f"code cell {number} draws a picture without alt text"
        for alt in re.findall(r"<img\b(?:(?!alt=)[^>])*(?:alt=\"([^\"]*)\")?", _html(data)):
            assert len(alt.split()) >= 5, f"code cell {number}: alt text {alt!r}"
    for alt in re.findall(r"!\[([^\]]*)\]\(", chapter.prose):
        assert len(alt.split()) >= 5


def _html(data) -> str:
    html = data.get("text/html", "")
    return html if isinstance(html, str) else "".join(html)


@every_chapter
def test_sections_are_there_in_order(chapter):
    titles = [text for level, text in chapter.headings if level == 2]
    places = [titles.index(name) for name in SECTIONS]
    assert places == sorted(places)
    for kind in ("Predict", "Proof"):
        assert [t for _, t in chapter.headings if re.match(rf"{kind}: \S", t)], kind
    repeated = {t for _, t in chapter.headings if [x for _, x in chapter.headings].count(t) > 1}
    assert not repeated, "a repeated heading loses its look and its address"


@every_chapter
def test_exercises_are_whole(chapter):
    assert len(chapter.exercises) >= 6
    for place, cells in enumerate(chapter.exercises, start=1):
        heading = EXERCISE.match(cells[0].source)
        assert heading, cells[0].source.splitlines()[0]
        assert (int(heading[1]), int(heading[2])) == (int(chapter.number), place)
        text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
        code = [c.source for c in cells if c.cell_type == "code"]
        assert "NotImplementedError" in code[0]
        assert any(f"checks.ex_{chapter.number}_{place}(" in source for source in code[1:])
        summaries = re.findall(r"<summary>(.*?)</summary>", text)
        assert [s.strip() for s in summaries] == ["Hint 1", "Hint 2", "Solution"], heading[0]
        assert re.search(r"<summary>Solution</summary>\n\n.*```python\n.*```", text, re.DOTALL)


@every_chapter
def test_links_between_pages_resolve(chapter):
    for target in re.findall(r"\]\(([^)\s]+)\)", chapter.prose):
        if not target.startswith(("http", "#", "mailto:")):
            assert (chapter.path.parent / target.split("#")[0]).exists(), target


@every_chapter
def test_claims_are_asserted_in_view(chapter):
    assert any(re.search(r"^\s*assert\b", c.source, re.MULTILINE) for c in chapter.code)


@every_chapter
def test_papers_stand_in_the_list_of_references(chapter):
    listed = (ROOT / "book" / "references.md").read_text(encoding="utf-8")
    papers = re.findall(
        r"\]\((https?://(?:arxiv\.org|aclanthology\.org|doi\.org)/[^)]+)\)", chapter.prose
    )
    assert [url for url in papers if url not in listed] == []
