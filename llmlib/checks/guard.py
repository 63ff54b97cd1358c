"""What surrounds a check: inputs kept safe, a time limit, the same random numbers, errors in
readable words.
"""

import contextlib
import copy
import inspect
import random
import signal
import threading
import traceback
from pathlib import Path

import numpy as np
import torch


class Wrong(Exception):
    """Raised by a checker to reject. The message names the mistake and speaks to the reader."""


class Hung(BaseException):
    """The time limit struck. Not an Exception, so that an attempt's `except Exception` cannot
    swallow it.
    """


class Guarded:
    """A reader's function that watches itself: arguments unchanged, something returned, no NaN.

    Calls and attributes go through to the function, which stays reachable as `.function`.
    """

    def __init__(self, function, allowed):
        self.function, self.allowed = function, allowed
        self.__name__, self.__doc__ = function.__name__, function.__doc__
        self.__signature__ = inspect.signature(function)

    def __getattr__(self, name):
        return getattr(self.function, name)

    def __call__(self, *args, **kwargs):
        name = self.__name__
        try:
            given = self.__signature__.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise Wrong(
                f"{name}{self.__signature__} cannot be called the way the task says: {error}."
            ) from None
        before = {} if self.allowed["mutate"] else {n: snapshot(v) for n, v in given.items()}
        result = self.function(*args, **kwargs)
        for argument, old in before.items():
            if not same_value(old, given[argument]):
                raise Wrong(
                    f"{name} changed its argument {argument!r} while running. "
                    "Work on a copy (`.clone()`, `list(…)`): the caller still needs it."
                )
        if result is None and not self.allowed["none"]:
            raise Wrong(f"{name} returned None: is a `return` missing?")
        if not self.allowed["nan"] and _has_nan(result):
            raise Wrong(
                f"{name} returned NaN. Look for 0/0, log of a negative number, ∞ − ∞, or a "
                "softmax over a row in which everything is masked."
            )
        return result


def snapshot(value):
    """A copy to compare with later, or the thing itself where copying makes no sense (a model, an
    iterator).
    """
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, tuple):
        return tuple(map(snapshot, value))
    if isinstance(value, np.ndarray | list | dict | set | bytearray):
        with contextlib.suppress(Exception):
            return copy.deepcopy(value)
    return value


def same_value(old, new):
    if old is new:
        return True
    if isinstance(old, torch.Tensor):
        return old.shape == new.shape and bool(torch.equal(_nan_safe(old), _nan_safe(new.detach())))
    if isinstance(old, np.ndarray):
        return old.shape == new.shape and np.array_equal(old, new, equal_nan=old.dtype.kind in "fc")
    if isinstance(old, torch.Generator):  # has no ==: two with one state are the same
        return torch.equal(old.get_state(), new.get_state())
    if isinstance(old, list | tuple) and type(old) is type(new):
        return len(old) == len(new) and all(map(same_value, old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same_value(old[k], new[k]) for k in old)
    try:
        return bool(old == new)
    except Exception:  # a type that cannot be compared cannot be watched
        return True


def _nan_safe(tensor):
    return torch.nan_to_num(tensor, nan=0.123456789) if tensor.is_floating_point() else tensor


def _has_nan(value):
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and bool(torch.isnan(value).any())
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc" and bool(np.isnan(value).any())
    if isinstance(value, float):
        return value != value
    return isinstance(value, tuple | list) and any(_has_nan(item) for item in value)


@contextlib.contextmanager
def deterministic(seed=0):
    """Seed Python, NumPy and torch inside the block and put their states back afterwards.

    So a check gives the same verdict every time, and cells below it see the numbers they would have
    seen without.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        with torch.enable_grad():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


@contextlib.contextmanager
def time_limit(seconds):
    """Raise Hung inside the block after `seconds`. Needs SIGALRM and the main thread; elsewhere
    there is no limit.

    One long call into C, such as a huge matrix product, is interrupted only when it returns.
    """
    possible = hasattr(signal, "SIGALRM")
    if not possible or threading.current_thread() is not threading.main_thread():
        yield
        return

    def strike(signum, frame):
        raise Hung

    previous = signal.signal(signal.SIGALRM, strike)
    # strike again every second: a bare `except:` in the attempt would swallow the first
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def is_stub_error(error):
    """Whether this is the stub's `raise NotImplementedError`, and not one from inside a library."""
    if not isinstance(error, NotImplementedError):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return {"torch", "llmlib"}.isdisjoint(Path(frames[-1].filename).parts)


def explain(error, attempts):
    """An error that the checker did not foresee, in words: whose it is, what it says, where."""
    what = f"{type(error).__name__}: {error}".rstrip(": \n")
    files = {a.__code__.co_filename for a in attempts if inspect.isfunction(a)}
    files |= {m.__code__.co_filename for a in attempts if inspect.isclass(a) for m in _methods(a)}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            line = f"\nin {frame.name}, line {frame.lineno}: {frame.line}" if frame.line else ""
            return f"your code stopped with {what}{line}"
    return (
        f"the check could not use what your code returned ({what}). "
        "Compare the kind of result (tensor, list, number) with the task."
    )


def _methods(cls):
    return [value for value in vars(cls).values() if inspect.isfunction(value)]
