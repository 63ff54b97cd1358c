"""What runs inside the sandbox's process: it takes its own rights away, then runs the code.

A script of the standard library alone, run by `sandbox` as `python -I -S jail.py`; importing it
does nothing. It reads one line of JSON from standard input:
{"code", "guard", "cwd", "memory", "file_size", "cpu"}. If anything cannot be taken away, the
process ends before a line of the code has run, and without the sign READY.
"""

import ctypes
import io
import json
import linecache
import math
import os
import platform
import struct
import sys
import traceback

READY = b"\0"  # written to standard output when all is closed, before the code runs

# The system calls that a computation needs, out of some four hundred. Not among them: sockets,
# starting processes and threads, programs, signals to others, rights, links, limits, other
# processes' memory. (Numbers from Linux's asm/unistd_64.h and asm-generic/unistd.h.)
ALLOWED_CALLS = {
    "x86_64": (
        0xC000003E,
        [*range(26), 28, *range(32, 40), 60, 63, *range(72, 78), 79, 80, 82, 83, 84, 87, 89, 95,
         96, 98, 99, 100, 102, 104, 107, 108, 110, 131, 158, 186, 201, 202, 204, 217, 218, 221,
         *range(228, 234), 257, 258, 262, 263, 264, 267, 269, 270, 271, 273, 281, 291, 292, 293,
         316, 318, 332, 334, 436, 439],
    ),
    "aarch64": (
        0xC00000B7,
        [17, 20, 21, 22, 23, 24, 25, 29, 32, 34, 35, 38, 45, 46, 48, 49, 56, 57, 59,
         *range(61, 69), 72, 73, 78, 79, 80, 82, 83, 93, 94, 96, 98, 99, 101, 102, 103, 113, 114,
         115, 123, 124, 132, 134, 135, 139, 153, 160, 165, 166, 169, *range(172, 180), 214, 215,
         216, 222, 223, 226, 233, 276, 278, 291, 293, 436, 439],
    ),
}  # fmt: skip

# Python's own events (sys.audit) that the code may not cause, by what they begin with.
DENIED_EVENTS = tuple(
    "socket. subprocess. os.system os.exec os.posix_spawn os.spawn os.fork os.startfile os.kill "
    "os.chdir os.fchdir os.symlink os.link os.chmod os.chown os.chflags os.setxattr os.lockf pty. "
    "ctypes. signal. resource. fcntl. syslog. mmap. code.__new__ gc. urllib. http. ftplib. "
    "smtplib. imaplib. poplib. telnetlib. sqlite3. webbrowser. winreg. msvcrt. cpython.run_ "
    "sys.set sys.addaudithook sys.unraisablehook sys._current _thread.".split()
)
DENIED_MODULES = frozenset(
    "ctypes _ctypes socket _socket ssl _ssl subprocess _posixsubprocess multiprocessing "
    "_multiprocessing asyncio mmap fcntl resource pty _winapi sqlite3 _sqlite3 cffi pip site venv "
    "ensurepip _xxsubinterpreters".split()
)
READING = frozenset({"os.listdir", "os.scandir", "os.walk", "os.fwalk", "glob.glob"})
WRITING = frozenset({"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.utime"})
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Read the order, take the rights away, run the code."""
    order = json.loads(sys.stdin.buffer.readline())
    try:
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)  # takes the number that is free
        for stream in ("stdout", "stderr"):
            setattr(sys, stream, _plain_text(getattr(sys, stream)))
        readable = [path for path in sys.path if os.path.isdir(path)]
        _limit(order)
        if order["guard"] == "kernel":
            _forget_privileges()
            _close_files(order["cwd"], readable)
            _close_calls()
        else:
            for name in ("ctypes", "_ctypes", "ctypes._endian", "resource"):
                sys.modules.pop(name, None)
            for name in ("mkfifo", "mknod", "chroot"):  # cause no event
                for module in ("os", "posix"):
                    delattr(sys.modules[module], name)
            sys.addaudithook(_watch(order["cwd"], readable))
    except BaseException as error:  # whatever it is, nothing must run now
        os.write(2, f"not safe to run: {type(error).__name__}: {error}\n".encode())
        os._exit(1)
    os.write(1, READY)
    _run(order["code"])


def _plain_text(stream) -> io.TextIOWrapper:
    return io.TextIOWrapper(stream.buffer, "utf-8", "backslashreplace", "\n", line_buffering=True)


def _run(code: str) -> None:
    """As a program of its own; what it raises is reported without this file's frames."""
    space = {"__name__": "__main__", "__builtins__": __builtins__}
    linecache.cache["<code>"] = (len(code), None, code.splitlines(keepends=True), "<code>")
    try:
        exec(compile(code, "<code>", "exec"), space)
    except SystemExit:
        raise
    except BaseException as error:
        inner = error.__traceback__.tb_next
        sys.stdout.flush()
        traceback.print_exception(type(error), error, inner)
        sys.exit(1)


def _limit(order: dict) -> None:
    import resource

    limits = {
        "RLIMIT_CPU": math.ceil(order["cpu"]) + 1,  # the parent's clock comes first
        "RLIMIT_AS": order["memory"],
        "RLIMIT_FSIZE": order["file_size"],
        "RLIMIT_NOFILE": 32,
        "RLIMIT_NPROC": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in limits.items():
        if hasattr(resource, name):  # not every system has all of them
            resource.setrlimit(getattr(resource, name), (value, value))


def _call(number: int, *args) -> int:
    """A system call; OSError if it fails."""
    result = _libc().syscall(ctypes.c_long(number), *args)
    if result < 0:
        raise OSError(
            ctypes.get_errno(), f"system call {number}: {os.strerror(ctypes.get_errno())}"
        )
    return result


def _prctl(*args: int) -> None:
    if _libc().prctl(*map(ctypes.c_ulong, (*args, *[0] * (5 - len(args))))) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {args[0]}: {os.strerror(ctypes.get_errno())}")


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _forget_privileges() -> None:
    """No way to more rights, no capabilities of root's, and no life without the parent."""
    _prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    _prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    header = struct.pack("<Ii", 0x20080522, 0)
    capset = {"x86_64": 126, "aarch64": 91}[platform.machine()]
    _call(capset, ctypes.c_char_p(header), ctypes.c_char_p(bytes(24)))


def _close_files(cwd: str, readable: list) -> None:
    """Landlock: the libraries may be read, `cwd` read and written; all other content is closed."""
    version = _call(444, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    rights = 13 + (version >= 2) + (version >= 3)  # so many kinds of access are known
    everything = (1 << rights) - 1
    read = 1 << 2 | 1 << 3  # files, folders
    # in `cwd`: all but running programs and making devices, sockets, pipes and links
    work = everything & ~(1 << 0 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12)
    rules = _call(444, ctypes.c_char_p(struct.pack("<Q", everything)), ctypes.c_size_t(8), 0)
    for path, allowed in [(cwd, work), *((path, read) for path in readable)]:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        rule = struct.pack("<Qi", allowed, folder)
        _call(445, ctypes.c_int(rules), ctypes.c_int(1), ctypes.c_char_p(rule), 0)
        os.close(folder)
    _call(446, ctypes.c_int(rules), 0)
    os.close(rules)


def _close_calls() -> None:
    """Seccomp: every system call that is not in ALLOWED_CALLS fails with EPERM."""
    architecture, allowed = ALLOWED_CALLS[platform.machine()]
    refuse, allow, kill = 0x00050001, 0x7FFF0000, 0x80000000

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_true, if_false, value)

    load, equal, give = 0x20, 0x15, 0x06
    program = [step(load, 4), step(equal, architecture, 1), step(give, kill), step(load, 0)]
    for place, number in enumerate(allowed):
        program.append(step(equal, number, len(allowed) - place))
    program += [step(give, refuse), step(give, allow)]
    code = ctypes.create_string_buffer(b"".join(program))
    filter = struct.pack("@HP", len(program), ctypes.addressof(code))
    given = ctypes.create_string_buffer(filter)  # must live until the call returns, as `code`
    _prctl(22, 2, ctypes.addressof(given))


def _watch(cwd: str, readable: list):
    """Python's own guard: raises PermissionError at events that the code may not cause.

    It is code in the same process as what it watches, and no wall against somebody who tries. It
    looks nothing up that the code could replace: all that it needs are its default arguments, and
    none of these can be changed.
    """

    def watch(
        event, args, own=(cwd,), places=(cwd, *readable), denied=DENIED_EVENTS,
        modules=DENIED_MODULES, reading=READING, writing=WRITING, changing=CHANGING,
        error=PermissionError, no_module=ImportError, type=type, str=str, int=int, bytes=bytes,
    ):  # fmt: skip
        paths, folders = (), places
        if event == "open":
            path, mode, flags = args
            paths = (path,)
            if (type(flags) is int and flags & changing) or (
                type(mode) is str and ("w" in mode or "a" in mode or "+" in mode or "x" in mode)
            ):
                folders = own
        elif event == "import":
            if type(args[0]) is not str or args[0].partition(".")[0] in modules:
                raise no_module("this module is closed")
        elif event in reading:
            paths = args[:1]
        elif event in writing:
            paths, folders = args[: 1 + (event == "os.rename")], own
        elif event == "object.__setattr__":
            if args[1] == "__code__":
                raise error("functions cannot be changed")
        elif event.startswith(denied):
            raise error(event, "is closed")
        for path in paths:
            if path is None or type(path) is int:
                continue  # here, or a file that is open already
            if type(path) is bytes:
                path = path.decode("utf-8", "surrogateescape")
            if type(path) is not str or ".." in path:
                raise error("this path is closed")
            inside = path[:1] != "/"  # the working directory cannot be left
            for folder in folders:
                inside = inside or path == folder or path.startswith(folder + "/")
            if not inside:
                raise error("files outside the working directory are closed")

    return watch


if __name__ == "__main__":
    main()
