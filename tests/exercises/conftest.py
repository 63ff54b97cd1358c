"""Finds every exercise in the notebooks and turns it into test cases: stub, solution, mistakes.

The notebooks are those of `notebooks/`, or of the folder named in TTA_NOTEBOOKS. Each case builds a
fresh namespace: the notebook's imports, the chapter's PRELUDE, the definitions named in NEEDS, then
the exercise's cells with one attempt in place of the stub. The check cell is run as it stands in
the notebook.
"""

import ast
import importlib.util
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NOTEBOOKS = Path(os.environ.get("TTA_NOTEBOOKS", HERE.parents[1] / "notebooks"))

HEADING = re.compile(r"^(#{2,4}) Exercise (\d+)\.(\d+)(.*)$")
FENCE = re.compile(r"^(```+|~~~+)")
DETAILS = re.compile(r"<details>\s*<summary>([^<]*)</summary>[ \t]*\n(.*?)\n?</details>", re.S)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


@dataclass
class Exercise:
    """One exercise as it stands in a notebook."""

    book: "Book"
    number: int
    heading: str
    text: str = ""  # all Markdown below the heading
    given: list[str] = field(default_factory=list)  # code cells before the check that are no stub
    attempt: str = ""
    check: str = ""
    output: str = ""  # what the stored check cell printed

    @property
    def id(self):
        return f"{self.book.chapter}.{self.number}"

    def folded(self, summary):
        """The Markdown inside `<details><summary>{summary}</summary>`, or ""."""
        return dict(DETAILS.findall(self.text)).get(summary, "")

    @property
    def solution(self):
        return "\n".join(PYTHON.findall(self.folded("Solution") + "\n"))

    def judge(self, attempt=None):
        """The Verdict of the check cell for `attempt`: source, a callable, or None for the stub."""
        names = self.book.namespace()
        for source in [*self.given, self.attempt]:
            exec(compile(source, f"<{self.id} attempt cell>", "exec"), names)
        if callable(attempt):
            names[defined(self.attempt)[0]] = attempt
        elif attempt is not None:
            exec(compile(attempt, f"<{self.id} attempt>", "exec"), names)
        *before, last = ast.parse(self.check).body
        if not isinstance(last, ast.Expr):
            raise AssertionError(f"{self.id}: the check cell must end in checks.ex_…(…)")
        exec(compile(ast.Module(before, []), f"<{self.id} check>", "exec"), names)
        return eval(compile(ast.Expression(last.value), f"<{self.id} check>", "eval"), names)


class Book:
    """One notebook: its exercises, and the namespace in which they run."""

    def __init__(self, path):
        self.path, self.chapter = path, path.name[:2]
        self.cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        self.code = [ast.parse(plain(c)) for c in self.cells if c["cell_type"] == "code"]
        self.tests = chapter_tests(self.chapter)
        self.exercises = list(self._find())

    def namespace(self):
        names = {"__name__": "attempt"}
        wanted = set(getattr(self.tests, "NEEDS", ()))
        body = [node for cell in self.code for node in cell.body]
        imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        run(imports, names, self.path.name)
        exec(getattr(self.tests, "PRELUDE", ""), names)
        needed = [node for node in body if bound(node) & wanted]
        run(needed, names, self.path.name)
        if missing := wanted - set(names):
            raise AssertionError(f"NEEDS names that {self.path.name} never defines: {missing}")
        return names

    def _find(self):
        current = None
        for cell in self.cells:
            if cell["cell_type"] == "markdown":
                current = yield from self._read(text(cell), current)
            elif current and cell["cell_type"] == "code":
                self._place(plain(cell), cell, current)
        if current:
            yield current

    def _read(self, markdown, current):
        """Hand each line to the exercise it belongs to; a heading of the same level ends it."""
        fenced = False
        for line in markdown.splitlines():
            fenced ^= bool(FENCE.match(line))
            if not fenced and (match := re.match(r"(#{1,6}) ", line)):
                level = len(match[1])
                if current and level <= len(re.match("#+", current.heading)[0]):
                    yield current
                    current = None
                if found := HEADING.match(line):
                    current = Exercise(self, int(found[3]), line)
                    assert int(found[2]) == int(self.chapter), f"{line!r} in {self.path.name}"
                    continue
            if current:
                current.text += line + "\n"
        return current

    @staticmethod
    def _place(source, cell, exercise):
        if re.search(r"\bchecks\.ex_\d\d_\d+\(", source):
            exercise.check = source
            exercise.output = "".join("".join(o.get("text", "")) for o in cell.get("outputs", []))
        elif exercise.check:
            return
        elif not exercise.attempt and "NotImplementedError" in source:
            exercise.attempt = source
        else:
            exercise.given.append(source)


def text(cell):
    return "".join(cell["source"])


def plain(cell):
    """A code cell without the lines that only IPython understands."""
    lines = text(cell).splitlines()
    return "\n".join(re.sub(r"^(\s*)[%!].*", r"\1pass", line) for line in lines)


def bound(node):
    """The names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return {
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and type(n.ctx) is ast.Store
        }
    return set()


def defined(source):
    """Names of the functions and classes that a piece of source defines at top level."""
    kinds = ast.FunctionDef | ast.ClassDef
    return [node.name for node in ast.parse(source).body if isinstance(node, kinds)]


def run(nodes, names, where):
    exec(compile(ast.Module(nodes, []), f"<{where}>", "exec"), names)


def chapter_tests(chapter):
    """The module test_chNN.py (MISTAKES, NEEDS, PRELUDE), or None."""
    path = HERE / f"test_ch{chapter}.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location(f"mistakes_ch{chapter}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mistaken(exercise, mistake):
    """The attempt a MISTAKES entry stands for: source, a callable, or (old, new) edits of the
    solution.
    """
    if not isinstance(mistake, tuple):
        return mistake
    old, new = mistake
    assert old in exercise.solution, f"{exercise.id}: {old!r} does not occur in the solution"
    return exercise.solution.replace(old, new)


def pytest_generate_tests(metafunc):
    if "book" in metafunc.fixturenames:
        values = [pytest.param(book, id=f"ch{book.chapter}") for book in books()]
        metafunc.parametrize("book", values)
    if "exercise" not in metafunc.fixturenames:
        return
    cases = []
    for exercise in (e for book in books() for e in book.exercises):
        id = f"ch{exercise.book.chapter}-ex{exercise.number}"
        if "mistake" not in metafunc.fixturenames:
            cases.append(pytest.param(exercise, id=id))
            continue
        mistakes = getattr(exercise.book.tests, "MISTAKES", {}).get(exercise.id, ())
        for i, (mistake, fragment) in enumerate(mistakes, 1):
            cases.append(pytest.param(exercise, mistake, fragment, id=f"{id}-mistake{i}"))
    names = "exercise,mistake,fragment" if "mistake" in metafunc.fixturenames else "exercise"
    metafunc.parametrize(names, cases)


_books = []


def books():
    if not _books:
        paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
        _books.extend(Book(path) for path in paths if has_exercises(path))
    return _books


def has_exercises(path):
    return "Exercise" in path.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    """Nobody's progress is touched by a test."""
    monkeypatch.setenv("TTA_PROGRESS", str(tmp_path / "progress.json"))


@pytest.fixture
def attempt_of():
    """(exercise, entry of MISTAKES) -> the attempt that it stands for."""
    return mistaken
