"""From an attempt to a verdict: the decorator that turns a function of assertions into an
exercise's checker.

    @exercise("04.2", "scaled scores")
    def ex_04_2(attempt):
        q, k = torch.randn(3, 8), torch.randn(5, 8) close(attempt(q, k), q @ k.T / 8**0.5, "the
        scores", known={"the division by √d_head is missing": q @ k.T})

The checker raises `Wrong` (or calls a helper of `asserts` that does) to reject, and returns to
accept. Everything around it is done here: "not attempted yet", errors inside the attempt, time
limit, progress, printing.
"""

import functools
import inspect
import textwrap
from dataclasses import dataclass

from . import record
from .guard import Guarded, Hung, Wrong, deterministic, explain, is_stub_error, time_limit

PASSED, WRONG, NOT_ATTEMPTED = "passed", "wrong", "not attempted"
_MARKS = {PASSED: "✓", WRONG: "✗", NOT_ATTEMPTED: "·"}
_WIDTH = 78

EXERCISES = {}  # id -> checker, filled as chapter modules are imported


@dataclass(frozen=True)
class Verdict:
    """What became of one attempt. `status` is "passed", "wrong" or "not attempted"; true only when
    passed.
    """

    id: str
    title: str
    status: str
    message: str = ""

    def __bool__(self):
        return self.status == PASSED

    def __str__(self):
        chapter, number = self.id.split(".")
        head = f"{_MARKS[self.status]} Exercise {int(chapter)}.{number}, {self.title}: "
        body = {
            PASSED: self.message or "correct.",
            WRONG: self.message,
            NOT_ATTEMPTED: "not attempted yet.",
        }[self.status]
        first, *rest = (head + body).split("\n")
        lines = textwrap.wrap(first, _WIDTH, subsequent_indent="  ")
        return "\n".join(lines + [f"  {line}" for line in rest])

    def _ipython_display_(self):
        """Show nothing: the verdict was printed already, and a cell's last value is shown again."""


def exercise(
    id, title, *, seconds=20, may_mutate=False, may_return_none=False, may_return_nan=False
):
    """Make a checker of a function `check(attempt, …)`.

    id: "NN.M" with a two-digit chapter. seconds: time limit for the whole check (a hanging attempt
    becomes a verdict where the platform allows it). Attempts that are plain functions are guarded:
    a call that changes its arguments, returns None or returns NaN is rejected at once, unless the
    matching `may_…` says that it belongs to the task. The checker is called with the reader's
    function or class (further arguments are handed on as they are), prints the verdict, records it
    and returns it; it never raises, except on Ctrl-C. A text that the check returns is said with
    the ✓.
    """

    def decorate(check):
        @functools.wraps(check)
        def checker(*attempts):
            guards = {"mutate": may_mutate, "none": may_return_none, "nan": may_return_nan}
            verdict = _judge(check, attempts, id, title, seconds, guards)
            record.write(verdict)
            print(verdict)
            return verdict

        checker.id, checker.title = id, title
        EXERCISES[id] = checker
        return checker

    return decorate


def _judge(check, attempts, id, title, seconds, guards):
    if not attempts or any(a is None or a is ... or a is NotImplemented for a in attempts):
        return Verdict(id, title, NOT_ATTEMPTED)
    guarded = [Guarded(a, guards) if inspect.isfunction(a) else a for a in attempts]
    try:
        with deterministic(), time_limit(seconds):
            note = check(*guarded)
    except Wrong as wrong:
        return Verdict(id, title, WRONG, str(wrong))
    except Hung:
        message = (
            f"still running after {seconds:g} s, so the check was stopped. "
            "Is there a loop that never ends, or far more work than the task needs?"
        )
        return Verdict(id, title, WRONG, message)
    except (Exception, SystemExit) as error:
        if is_stub_error(error):
            return Verdict(id, title, NOT_ATTEMPTED)
        return Verdict(id, title, WRONG, explain(error, attempts))
    return Verdict(id, title, PASSED, note if isinstance(note, str) else "")
