"""The tests of the exercises, tested: what they find in a notebook, accept, and refuse."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from llmlib import checks

CONFTEST = Path(__file__).parents[1] / "exercises" / "conftest.py"
FOLDED = "<details><summary>{}</summary>\n\n{}\n\n</details>\n"
SOLUTION = "```python\ndef half(x):\n    return scale(x, 0.5)\n```\nBecause."


@checks.exercise("96.1", "half")
def ex_96_1(attempt):
    checks.close(attempt(3), 1.5, "half of 3", known={"that is the double": 6.0})


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A one-exercise notebook, read by the machinery of tests/exercises."""
    monkeypatch.setenv("TTA_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(checks, "ex_96_1", ex_96_1, raising=False)
    spec = importlib.util.spec_from_file_location("exercise_conftest", CONFTEST)
    machinery = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, machinery)  # dataclasses look their module up
    spec.loader.exec_module(machinery)
    monkeypatch.setattr(machinery, "HERE", tmp_path)
    (tmp_path / "test_ch96.py").write_text('NEEDS = ["scale", "one"]\nPRELUDE = "two = 2"\n')

    def markdown(text):
        return {"cell_type": "markdown", "source": text}

    def code(text, outputs=()):
        return {"cell_type": "code", "source": text, "outputs": list(outputs)}

    cells = [
        code("%pip install nothing\nimport math\nfrom llmlib import checks"),
        code("one = 1\ndef scale(x, by):\n    return x * by * one\nraise SystemExit('not run')"),
        markdown("## Exercises\n\n### Exercise 96.1: half ★ (5 min)\n\nWrite `half(x)`."),
        code("given = math.pi"),
        code("def half(x):\n    raise NotImplementedError"),
        code("checks.ex_96_1(half)", [{"text": ["· Exercise 96.1, half: not attempted yet.\n"]}]),
        markdown(FOLDED.format("Hint 1", "Times 0.5.") + FOLDED.format("Hint 2", "`scale`.")),
        markdown(FOLDED.format("Solution", SOLUTION) + "\n## Quiz\n\nNot part of it."),
        code("raise RuntimeError('belongs to the quiz')"),
    ]
    path = tmp_path / "96_halves.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    book = machinery.Book(path)
    book.machinery = machinery
    return book


def test_one_exercise_is_found_with_all_its_parts(book):
    (exercise,) = book.exercises
    assert exercise.id == "96.1"
    assert exercise.given == ["given = math.pi"]
    assert exercise.folded("Hint 2") == "\n`scale`.\n"
    assert exercise.solution.startswith("def half(x):")
    assert "not attempted yet" in exercise.output
    assert "Quiz" not in exercise.text


def test_stub_solution_and_mistakes_get_their_verdicts(book):
    (exercise,) = book.exercises
    assert exercise.judge().status == "not attempted"
    assert exercise.judge(exercise.solution).status == "passed"
    edited = book.machinery.mistaken(exercise, ("0.5", "2"))
    assert exercise.judge(edited).message == "that is the double."
    assert exercise.judge(lambda x: 2 * x).message == "that is the double."
    assert exercise.judge("def half(x):\n    return two").status == "wrong"


def test_an_edit_must_touch_the_solution(book):
    (exercise,) = book.exercises
    with pytest.raises(AssertionError, match="does not occur"):
        book.machinery.mistaken(exercise, ("0.25", "2"))


def test_needs_must_exist_in_the_notebook(book):
    book.tests.NEEDS.append("nowhere")
    with pytest.raises(AssertionError, match="nowhere"):
        book.exercises[0].judge()
