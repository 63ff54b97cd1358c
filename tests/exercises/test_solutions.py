"""Every exercise of every notebook: whole, solvable by its own solution, and safe against its
mistakes.
"""

import re

from llmlib import checks

FOLDED = re.compile(r"<summary>[^<]*</summary>\n\n(?:.*?\n)?\n</details>", re.S)


def test_a_chapter_has_six_exercises_and_each_its_checker(book):
    numbers = [exercise.number for exercise in book.exercises]
    assert numbers == list(range(1, len(numbers) + 1)), "exercises are numbered 1, 2, 3, …"
    assert len(numbers) >= 6
    module = checks._module(book.chapter)
    checkers = {name for name in vars(module) if re.fullmatch(r"ex_\d\d_\d+", name)}
    assert checkers == {f"ex_{book.chapter}_{n}" for n in numbers}
    assert module.CHAPTER
    ids = {exercise.id for exercise in book.exercises}
    assert set(book.tests.MISTAKES) == ids, "MISTAKES names exercises that the notebook lacks"


def test_an_exercise_is_whole(exercise):
    assert re.search(r": .+ ★{1,3} \(\d+ min\)$", exercise.heading), exercise.heading
    assert exercise.attempt, "no attempt cell with NotImplementedError"
    assert f"checks.ex_{exercise.id.replace('.', '_')}(" in exercise.check, "no check cell"
    for summary in ("Hint 1", "Hint 2"):
        assert exercise.folded(summary).strip(), f"no {summary}"
    assert exercise.solution.strip(), "no fenced python in a folded Solution"
    count = exercise.text.count("<details>")
    assert len(FOLDED.findall(exercise.text)) == count, "<details> needs blank lines inside"
    mistakes = getattr(exercise.book.tests, "MISTAKES", {}).get(exercise.id, ())
    assert len(mistakes) >= 3, f"tests/exercises/test_ch{exercise.book.chapter}.py: 3 mistakes"


def test_the_page_shows_that_the_stub_is_not_attempted(exercise):
    assert "not attempted yet" in exercise.output or not exercise.output


def test_stub_is_not_attempted_yet(exercise):
    assert exercise.judge().status == "not attempted"


def test_solution_is_accepted(exercise):
    verdict = exercise.judge(exercise.solution)
    assert verdict.status == "passed", str(verdict)


def test_mistake_is_rejected_by_name(exercise, mistake, fragment, attempt_of):
    verdict = exercise.judge(attempt_of(exercise, mistake))
    assert verdict.status == "wrong", f"accepted or not attempted: {verdict}"
    assert fragment in verdict.message, f"{fragment!r} is not in: {verdict.message}"
