"""The exercise checkers: what a reader is told, what is guarded, what is remembered."""

import json
import time

import pytest
import torch

from llmlib import checks
from llmlib.checks import record
from llmlib.checks.verdict import EXERCISES


@pytest.fixture(autouse=True)
def progress_file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "progress.json"
    monkeypatch.setenv("TTA_PROGRESS", str(path))
    monkeypatch.setattr(record, "_warned", False)
    yield path
    for id in [id for id in EXERCISES if id.startswith("99.")]:
        del EXERCISES[id]


def make(check, **options):
    return checks.exercise("99.1", "halving", **options)(check)


@checks.exercise("98.1", "scaled scores")
def scores_checker(attempt):
    q, k = torch.randn(3, 8), torch.randn(5, 8)
    products = q @ k.T
    checks.close(
        attempt(q, k),
        products / 8**0.5,
        "the scores",
        known={"the scores are not divided by √K": products},
    )


def stub(q, k):
    raise NotImplementedError


def test_the_three_verdicts_are_printed_and_returned(capsys):
    assert scores_checker(stub).status == "not attempted"
    assert scores_checker(lambda q, k: q @ k.T).status == "wrong"
    assert scores_checker(lambda q, k: q @ k.T / 8**0.5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "· Exercise 98.1, scaled scores: not attempted yet."
    assert lines[1] == "✗ Exercise 98.1, scaled scores: the scores are not divided by √K."
    assert lines[2] == "✓ Exercise 98.1, scaled scores: correct."


def test_a_note_of_the_check_is_said_with_the_tick(capsys):
    make(lambda attempt: "correct, and in one pass.")(lambda: 1)
    assert "✓ Exercise 99.1, halving: correct, and in one pass." in capsys.readouterr().out


def test_verdicts_are_narrow_enough_for_the_page(capsys):
    make(lambda attempt: checks.expect(False, "word " * 60))(lambda: 1)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 78


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda q, k: k @ q.T, "looks transposed"),
        (lambda q, k: q @ k.T / 4, "Everywhere yours is 0.7071 times"),
        (lambda q, k: None, "is a `return` missing?"),
        (lambda q, k: q @ k.T * float("nan"), "returned NaN"),
        (lambda q: q, "cannot be called the way the task says"),
        (lambda q, k: q @ k, "your code stopped with RuntimeError"),
        (lambda q, k: "scores", "not a str"),
        (lambda q, k: (q @ k.T / 8**0.5).unsqueeze(0), "axes of length 1"),
        (lambda q, k: torch.nn.Module()(q), "your code stopped with NotImplementedError"),
    ],
)
def test_wrong_attempts_hear_what_is_wrong(attempt, words):
    verdict = scores_checker(attempt)
    assert verdict.status == "wrong"
    assert words in verdict.message


def test_an_error_shows_the_readers_line():
    def attempt(q, k):
        return q.nonsense

    assert "in attempt, line" in scores_checker(attempt).message
    assert "return q.nonsense" in scores_checker(attempt).message


def test_an_attempt_may_not_change_its_inputs():
    def attempt(q, k):
        k /= 8**0.5
        return q @ k.T

    assert "changed its argument 'k'" in scores_checker(attempt).message

    def append(items, *, extra):
        extra.append(1)
        return items

    by_keyword = make(lambda attempt: attempt([1], extra=[2]))
    assert "changed its argument 'extra'" in by_keyword(append).message
    state = {"rng": torch.Generator(), "step": 1}
    assert make(lambda attempt: attempt(state) and None)(lambda state: state["step"])
    drawn = make(lambda attempt: attempt(state))(
        lambda state: torch.rand(1, generator=state["rng"])
    )
    assert "changed its argument 'state'" in drawn.message
    allowed = make(lambda attempt: attempt([1], extra=[2]) and None, may_mutate=True)
    assert allowed(append)


def test_nan_in_an_input_is_no_change():
    checker = make(lambda attempt: attempt(torch.tensor([float("nan")])) and None)
    assert checker(lambda x: 1)


def test_a_hanging_attempt_is_stopped():
    def hang():
        while True:
            pass

    begin = time.monotonic()
    assert "still running after 0.2 s" in make(lambda a: a(), seconds=0.2)(hang).message
    assert time.monotonic() - begin < 5


def test_a_hanging_attempt_cannot_swallow_the_stop():
    caught = []

    def hang_twice():
        try:
            while True:
                pass
        except Exception:
            caught.append("Exception")
        except:  # noqa: E722 - a bare except swallows the first strike; the next one stops it
            caught.append("bare")
        while True:
            pass

    assert make(lambda a: a(), seconds=0.2)(hang_twice).status == "wrong"
    assert caught == ["bare"]


def test_a_check_leaves_the_random_numbers_alone_and_repeats_itself():
    seen = []
    checker = make(lambda attempt: seen.append(torch.rand(2).tolist()))
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    checker(stub)
    checker(stub)
    assert torch.equal(torch.rand(1), first)
    assert seen[0] == seen[1]


def test_leaving_the_stub_as_a_placeholder_is_not_attempted():
    assert scores_checker(None).status == "not attempted"
    assert scores_checker(...).status == "not attempted"
    assert scores_checker().status == "not attempted"


def test_ctrl_c_is_not_swallowed():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(lambda a: a())(interrupted)


# ── helpers ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: checks.close([1.0, 2.0], [1.0, 3.0], "the losses"), "the losses at [1]"),
        (lambda: checks.close(2.0, 3.0, "the loss"), "the loss should be 3; yours is 2."),
        (lambda: checks.close(object(), 3.0, "the loss"), "should be a tensor or a number"),
        (lambda: checks.equal([1, 2], [1, 3], "the ids"), "position 1 should be 3; yours is 2"),
        (lambda: checks.equal([1], [1, 3], "the ids"), "2 entries"),
        (lambda: checks.equal("a", b"a", "the text"), "a bytes, not a str"),
        (lambda: checks.equal(3, 4, known={"one too few": 3}), "one too few."),
        (lambda: checks.same_dtype(torch.zeros(1), torch.int64, "x"), "stay int64"),
        (lambda: checks.finite(torch.tensor([1.0, float("inf")]), "p"), "p is inf at [1]"),
        (lambda: checks.sums_to_one(torch.full((2, 4), 0.5), -1), "along another axis"),
        (lambda: checks.sums_to_one(torch.tensor([1.5, -0.5])), "negative value"),
        (lambda: checks.is_type([], torch.Tensor), "should be a Tensor, not a list"),
        (lambda: checks.is_type(1.5, int), "should be an int, not a float"),
        (
            lambda: checks.equal(torch.eye(2).bool(), torch.ones(2, 2).bool()),
            "at [0, 1] should be True; yours is False",
        ),
        (lambda: checks.raises(ValueError, int, "3", what="a digit"), "yours returned 3"),
        (lambda: checks.raises(KeyError, int, "x"), "yours raised ValueError"),
    ],
)
def test_helpers_name_what_differs(call, words):
    with pytest.raises(checks.Wrong) as caught:
        call()
    assert words in str(caught.value)


def test_helpers_accept_what_is_right():
    checks.close(torch.ones(2), [1, 1])
    checks.close(float("inf"), float("inf"))
    checks.equal(torch.tensor([1, 2]), torch.tensor([1, 2]))
    checks.equal({"a": [1]}, {"a": [1]})
    checks.sums_to_one(torch.softmax(torch.randn(3, 4), -1))
    assert isinstance(checks.raises(ValueError, int, "x"), ValueError)
    with checks.unchanged([1, 2]):
        pass


def test_known_mistake_that_equals_the_truth_does_not_reject():
    checks.close(torch.ones(2), torch.ones(2), known={"never": torch.ones(2)})


def test_unchanged_catches_methods():
    x = torch.zeros(2)
    with pytest.raises(checks.Wrong, match="x was changed in place"), checks.unchanged(x, what="x"):
        x += 1


# ── progress ─────────────────────────────────────────────────────────────────


def right(q, k):
    return q @ k.T / 8**0.5


def test_progress_remembers_the_best(progress_file):
    scores_checker(stub)
    assert not progress_file.exists(), "a stub leaves no trace"
    scores_checker(lambda q, k: q)
    scores_checker(right)
    scores_checker(lambda q, k: q)
    entry = json.loads(progress_file.read_text())["exercises"]["98.1"]
    assert (entry["status"], entry["tries"]) == ("passed", 2)
    assert [p.name for p in progress_file.parent.iterdir()] == ["progress.json"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"exercises": 3}', "\x00\xff"])
def test_a_damaged_file_is_set_aside(progress_file, damage):
    progress_file.parent.mkdir()
    progress_file.write_text(damage)
    assert record.read() == {}
    assert scores_checker(right)
    assert record.read()["98.1"]["status"] == "passed"
    assert progress_file.with_name("progress.json.damaged").read_text() == damage


def test_entries_of_another_make_are_skipped(progress_file):
    progress_file.parent.mkdir()
    progress_file.write_text('{"exercises": {"01.1": {"status": "passed"}, "01.2": 5}}')
    assert scores_checker(right)
    assert set(record.read()) >= {"98.1"}


def test_nowhere_to_write_is_said_once_and_the_verdict_stands(tmp_path, monkeypatch, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("TTA_PROGRESS", str(blocked / "progress.json"))
    assert scores_checker(right)
    assert scores_checker(right)
    assert capsys.readouterr().out.count("Progress could not be saved") == 1


def test_progress_without_a_setting_is_in_the_users_data_folder(monkeypatch):
    monkeypatch.delenv("TTA_PROGRESS")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    monkeypatch.setattr(record.sys, "platform", "linux")
    assert str(record.path()) == "/somewhere/token-to-agent/progress.json"


def test_table_counts_across_chapters():
    scores_checker(right)
    titles = {"98.1": "scaled scores", "98.2": "masks", "97.1": "counts"}
    text = record.table(titles, {"97": "Counting", "98": "Attention"})
    assert "97  Counting" in text
    assert "98  Attention" in text
    assert "1 of 2   ✓·" in text
    assert "1 of 3 " in text.splitlines()[-1]
    assert "✓ 98.1  scaled scores  (1 try)" in record.details(titles, "98")


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match="ex_04_2 and the like"):
        checks.exercise_4  # noqa: B018 - the access is what is tested
    with pytest.raises(AttributeError, match="no exercises for chapter 77"):
        checks.ex_77_1  # noqa: B018


def test_importing_checks_writes_nothing(progress_file):
    for number in checks._chapters():
        checks._module(number)
    checks.progress()
    assert not progress_file.exists()
