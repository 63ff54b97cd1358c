"""Running Python that a language model wrote, in a separate process with few rights.

    result = run_python("print(sum(range(10)))")
    result.ok, result.output                       # (True, '45\\n')

The code gets its own process, an empty folder, an empty environment, and limits on time, memory,
output, and files; in the end the process and the folder are gone. On top there are two guards:

guard="kernel" (Linux 5.13 and later, on x86-64 and ARM): the process gives up all privileges, and
    asks the kernel to refuse it every system call outside a short list (seccomp: no sockets, no
    processes or threads, no signals to others) and the content of every file but Python's library
    and its own folder (Landlock). Where the kernel has not got this, nothing is run: SandboxError.
guard="audit": hooks inside the interpreter refuse the same things where Python notices them. They
    stop accidents and clumsy tricks. They do not stop an attacker: code in the same process can
    undo them in ways that nobody has listed.

What this is not. The code still talks to the same kernel, through some hundred system calls: an
error in one of them is a way out. It can see that files exist (not what is in them), how long
things take, and what the machine is. Its limits are a process's, not a container's, and a
machine's caches are shared. It is a good fence for a model's own mistakes, on a machine without
secrets; for code from people who mean harm use a virtual machine or gVisor, throw it away after
use, and give it no network.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .jail import READY
from .tools import Tool, tool

JAIL = Path(__file__).with_name("jail.py")


class SandboxError(RuntimeError):
    """The code was not run, because it could not be run safely."""


@dataclass(frozen=True)
class PythonResult:
    """What came of running some code.

    output, errors: what it printed, and what it or Python wrote to standard error, each cut at the
        limit. ended: "done"; "failed" (an exception or an exit code); or what was exceeded or lost:
        "time", "output", "files", "crash" (a signal, also at the limit of processor time).
    """

    output: str
    errors: str
    ended: Literal["done", "failed", "time", "output", "files", "crash"]
    seconds: float

    @property
    def ok(self) -> bool:
        return self.ended == "done"


def run_python(
    code: str,
    *,
    guard: Literal["kernel", "audit"] = "kernel",
    timeout: float = 5.0,
    memory: int = 256 * 2**20,
    max_output: int = 20_000,
    max_file_size: int = 2**20,
    max_files: int = 100,
) -> PythonResult:
    """Run a program and return what it printed. Whatever the code does, this returns in time.

    timeout: seconds for all of it. memory: bytes of address space, Python's own 50 MiB or so
    included. max_output: bytes on each of output and errors. max_file_size, max_files: bytes of
    each file, and how many files.

    Raises SandboxError if the guard cannot be set up, and ValueError for a wrong argument.
    """
    if guard not in ("kernel", "audit"):
        raise ValueError(f'guard is "kernel" or "audit", not {guard!r}')
    if not isinstance(code, str) or not timeout > 0:
        raise ValueError(f"code is a string and timeout above 0, not {code!r}, {timeout!r}"[:200])
    if os.name != "posix":
        raise SandboxError("the sandbox needs Linux or macOS")
    start = time.monotonic()
    with _own_folder() as folder:
        cwd = os.path.realpath(folder)
        order = {"code": code, "guard": guard, "cwd": cwd, "memory": memory, "cpu": timeout}
        order |= {"file_size": max_file_size}
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(JAIL)], cwd=cwd, env={},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, close_fds=True,
        )  # fmt: skip
        try:
            line = json.dumps(order).encode() + b"\n"
            watch = _Watch(
                process, line, start + timeout, max_output, (cwd, max_file_size, max_files)
            )
            exceeded = watch.until_it_ends()
        finally:
            _kill(process)
    printed = watch.parts["stdout"]
    if not printed.startswith(READY) and exceeded != "time":
        raise SandboxError(watch.text("stderr").strip() or "the sandbox could not be set up")
    del printed[: len(READY)]
    ended = exceeded or ("crash" if process.returncode < 0 else "failed")
    if ended == "failed" and process.returncode == 0:
        ended = "done"
    errors = watch.text("stderr")
    if ended == "crash":
        errors += f"the process was ended by {signal.Signals(-process.returncode).name}\n"
    return PythonResult(watch.text("stdout"), errors, ended, time.monotonic() - start)


@contextlib.contextmanager
def _own_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="sandbox-")
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            _remove(folder)


def _remove(folder: str) -> None:
    """Delete a folder, however deep its folders lie in one another.

    `shutil.rmtree` calls itself once a level: a program that nests a thousand folders would make it
    fail, here, in the process that is to be kept safe. So what lies two levels down is lifted to
    the first level, until nothing lies that deep.
    """
    lifted = 0
    while entries := list(os.scandir(folder)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            for inner in list(os.scandir(entry.path)):
                if inner.is_dir(follow_symlinks=False):
                    os.chmod(inner.path, 0o700)  # moving a folder writes to it: its parent changes
                    lifted += 1
                    os.rename(inner.path, os.path.join(folder, f"lifted-{time.time_ns()}-{lifted}"))
                else:
                    os.unlink(inner.path)
            os.rmdir(entry.path)
    os.rmdir(folder)


def python_tool(**limits) -> Tool:
    """A tool `python(code)` for a `ToolRegistry`: returns what is printed, raises what fails.

    limits: arguments of `run_python`. Give the registry a longer timeout than these.
    """

    @tool(name="python", writes=False)
    def python(code: str) -> str:
        """Run a Python program and return what it prints. No network, no files, standard library.

        code: the whole program; print what you want to know
        """
        result = run_python(code, **limits)
        if result.ok:
            return result.output or "(it printed nothing)"
        why = {"time": "it took too long", "output": "it printed too much",
               "files": "it wrote too many files", "crash": "it crashed"}  # fmt: skip
        shown = f"{result.output[-2000:]}{result.errors[-2000:]}".strip()
        raise RuntimeError(f"{why.get(result.ended, 'it failed')}: {shown}")

    return python


class _Watch:
    """Feeds the process, collects its output, and ends it when a limit is passed."""

    def __init__(
        self, process: subprocess.Popen, line: bytes, until: float, most: int, files: tuple
    ):
        self.process, self.line, self.until, self.most = process, line, until, most
        self.files = files
        self.parts: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}

    def until_it_ends(self) -> str | None:
        """The limit that was passed, or None."""
        with selectors.DefaultSelector() as selector:
            os.set_blocking(self.process.stdin.fileno(), False)
            selector.register(self.process.stdin, selectors.EVENT_WRITE, "stdin")
            for name in self.parts:
                selector.register(getattr(self.process, name), selectors.EVENT_READ, name)
            look = time.monotonic()
            while selector.get_map():
                if (left := self.until - time.monotonic()) <= 0:
                    return "time"
                for key, _ in selector.select(min(left, 0.1)):
                    if self._move(key.data, key.fileobj) is None:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
                if any(len(part) > self.most for part in self.parts.values()):
                    return "output"
                if time.monotonic() - look > 0.1:
                    look = time.monotonic()
                    if _too_many_files(*self.files):
                        return "files"
        try:
            self.process.wait(max(0.0, self.until - time.monotonic()))
        except subprocess.TimeoutExpired:  # it closed its output and went on
            return "time"
        return None

    def _move(self, name: str, stream) -> bool | None:
        """Some bytes in or out; None at the end of a stream."""
        if name == "stdin":
            try:
                self.line = self.line[os.write(stream.fileno(), self.line[: 2**16]) :]
            except BrokenPipeError:
                return None
            return True if self.line else None
        data = os.read(stream.fileno(), 2**16)
        self.parts[name] += data
        return True if data else None

    def text(self, name: str) -> str:
        cut = bytes(self.parts[name][: self.most]).decode("utf-8", "replace")
        return cut + ("\n[cut]\n" if len(self.parts[name]) > self.most else "")


def _too_many_files(cwd: str, size: int, most: int) -> bool:
    count = total = 0
    for folder, folders, files in os.walk(cwd):
        count += len(folders) + len(files)
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
        if count > most or total > 10 * size:
            return True
    return False


def _kill(process: subprocess.Popen) -> None:
    """The process and all that it may have started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            stream.close()
