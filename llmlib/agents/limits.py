"""A limit on how long a function may take."""

import contextvars
import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Hung(BaseException):
    """The time is up. Not an Exception: a tool's `except Exception` should not swallow it."""


def run_for(seconds: float | None, function: Callable[[], T]) -> T:
    """Return what the function returns, raise what it raises, or raise Hung when the time is up.

    seconds: None waits for ever, and runs the function in this thread.

    With a limit the function runs in a thread of its own. Python cannot end a thread: one that is
    late is asked to stop by an exception, which reaches it at its next line of Python. So an
    endless loop ends, but a wait inside the operating system goes on unseen until it is over. Work
    that must be stopped for certain belongs in a process of its own (`sandbox`).
    """
    if seconds is None:
        try:
            return function()
        except SystemExit as error:
            raise _ended(error) from error
    outcome: dict[str, object] = {}

    def work() -> None:
        try:
            outcome["value"] = context.run(function)
        except BaseException as error:
            outcome["error"] = error

    context = contextvars.copy_context()
    thread = threading.Thread(target=work, daemon=True, name="tool")
    late = True
    try:
        thread.start()
        thread.join(seconds)
        late = thread.is_alive()
    finally:  # also when the caller is interrupted
        if late and thread.ident is not None:
            stop = ctypes.c_ulong(thread.ident), ctypes.py_object(Hung)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(*stop)
    if late:
        raise Hung
    if (error := outcome.get("error")) is None:
        return outcome["value"]
    raise error if isinstance(error, Exception) else _ended(error) from error


def _ended(error: BaseException) -> RuntimeError:
    """A tool may not end the program."""
    return RuntimeError(f"it tried to end the program with {type(error).__name__}")
