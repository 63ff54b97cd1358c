"""Exercises that check themselves.

In a chapter:            checks.ex_04_2(my_function)     prints ✓, ✗ and why, or "not attempted yet"
Across chapters:         checks.progress()               what you have passed so far
                         checks.progress(4)              one chapter, exercise by exercise

The checkers of chapter NN live in `llmlib/checks/chNN.py` and are imported when first asked for.
"""

import importlib
import pkgutil
import re

from . import record
from .asserts import (
    close,
    equal,
    expect,
    finite,
    is_type,
    raises,
    same_device,
    same_dtype,
    same_shape,
    sums_to_one,
    unchanged,
)
from .guard import Wrong
from .verdict import EXERCISES, Verdict, exercise

__all__ = [
    "Verdict",
    "Wrong",
    "close",
    "equal",
    "exercise",
    "expect",
    "finite",
    "is_type",
    "progress",
    "raises",
    "same_device",
    "same_dtype",
    "same_shape",
    "sums_to_one",
    "unchanged",
]


def progress(chapter=None):
    """Print what you have passed: a line a chapter, or the exercises of one chapter
    (`progress(4)`).
    """
    numbers = _chapters()
    if chapter is not None:
        number = f"{int(chapter):02d}"
        if number not in numbers:
            raise ValueError(f"no exercises for chapter {chapter}; there are {', '.join(numbers)}")
        numbers = [number]
    names = {n: _module(n).CHAPTER for n in numbers}
    titles = {id: checker.title for id, checker in EXERCISES.items() if id[:2] in names}
    if chapter is not None:
        print(f"{names[number]}\n{record.details(titles, number)}")
    else:
        print(record.table(titles, names))


def _chapters():
    return sorted(
        m.name[2:] for m in pkgutil.iter_modules(__path__) if re.fullmatch(r"ch\d\d", m.name)
    )


def _module(number):
    return importlib.import_module(f"{__name__}.ch{number}")


def __getattr__(name):
    match = re.fullmatch(r"ex_(\d+)_(\d+)", name)
    if not match:
        raise AttributeError(
            f"llmlib.checks has no {name!r}; exercises are called ex_04_2 and the like"
        )
    number = f"{int(match[1]):02d}"
    if number not in _chapters():
        raise AttributeError(
            f"no exercises for chapter {number}; chapters with exercises: {', '.join(_chapters())}"
        )
    module = _module(number)
    if not hasattr(module, name):
        known = [n for n in vars(module) if re.fullmatch(r"ex_\d\d_\d+", n)]
        raise AttributeError(f"no {name} in chapter {number}; it has {', '.join(sorted(known))}")
    return getattr(module, name)


def __dir__():
    return [*__all__, *(f"ex_{id.replace('.', '_')}" for id in sorted(EXERCISES))]
