"""Attempts to get out of the sandbox, under each guard. None may succeed; none may last.

An attack prints ESCAPED if it worked, or leaves a mark that the test looks for.
"""

import functools
import os
import platform
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from llmlib.agents import jail, sandbox
from llmlib.agents.backends.base import ToolCall
from llmlib.agents.sandbox import SandboxError, python_tool, run_python
from llmlib.agents.tools import ToolRegistry

from .attacks import ATTACKS, BOMBS, HONEST, SHELL

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the sandbox needs Linux or macOS")


@functools.cache
def missing() -> str:
    """Why the kernel's guard cannot be had on this machine, or "" where it can."""
    try:
        run_python("", guard="kernel", timeout=60)
    except SandboxError as error:
        return str(error)
    return ""


@pytest.fixture(params=["kernel", "audit"])
def guard(request) -> str:
    if request.param == "kernel" and missing():
        pytest.skip(missing())
    return request.param


def test_linux_has_the_kernels_guard():
    """On the machines that this was made for, the strong guard is not skipped unseen."""
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if sys.platform == "linux" and release >= (5, 13) and platform.machine() == "x86_64":
        landlock = Path("/sys/kernel/security/lsm")
        if landlock.exists() and "landlock" not in landlock.read_text():
            pytest.skip("this kernel was started without Landlock")
        assert missing() == ""


@pytest.mark.parametrize("name", HONEST)
def test_honest_programs_run(guard, name):
    code, output = HONEST[name]
    result = run_python(code, guard=guard, timeout=30)
    assert result.ok, result
    assert output is None or result.output == output


def test_what_goes_wrong_is_told(guard):
    failed = run_python("print(1)\ndef f():\n    return 1 / 0\nf()", guard=guard, timeout=30)
    assert (failed.ended, failed.output) == ("failed", "1\n")
    assert failed.errors.endswith("ZeroDivisionError: division by zero\n")
    assert 'File "<code>", line 3, in f\n    return 1 / 0' in failed.errors
    assert "jail" not in failed.errors and "sandbox" not in failed.errors
    assert "SyntaxError" in run_python("def f(:", guard=guard, timeout=30).errors
    assert run_python("raise SystemExit(3)", guard=guard, timeout=30).ended == "failed"
    assert run_python("raise SystemExit", guard=guard, timeout=30).ok


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """A secret file, a place for marks, and a server that counts its visitors."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret").write_text("sesame")
    os.chmod(folder / "secret", 0o600)
    visits = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                visits.append(connection)
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield folder, server.getsockname()[1], visits


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_gets_out(guard, name, outside, monkeypatch):
    folder, port, visits = outside
    monkeypatch.setenv("MY_SECRET", "sesame")
    mark, root = folder / f"mark-{guard}-{name}", str(Path(jail.__file__).parents[2])
    names = {"mark": str(mark), "secret": str(folder / "secret"), "port": port, "root": root,
             "jail": jail.__file__}  # fmt: skip
    code = f"SHELL = {SHELL.format(mark=mark)!r}\n" + ATTACKS[name].format(**names)
    before = Path(jail.__file__).read_text()
    start = time.monotonic()
    result = run_python(code, guard=guard, timeout=20)
    assert time.monotonic() - start < 25
    assert "ESCAPED" not in result.output, result
    for secret in ("root:x", "root:*", "sesame"):
        assert secret not in result.output + result.errors, result
    assert not mark.exists() and not visits
    assert (folder / "secret").read_text() == "sesame"
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600
    assert Path(jail.__file__).read_text() == before


@pytest.mark.parametrize(
    "name", ["subclasses", "system", "passwd_up", "passwd_symlink", "write_rename", "socket_raw",
             "ctypes_socket", "pickle", "import_project", "finalizer"],
)  # fmt: skip
def test_the_attacks_are_real(name, outside, monkeypatch, tmp_path):
    """Without a guard they do get out: it is the guards that hold them."""
    folder, port, visits = outside
    open_jail = tmp_path / "jail.py"
    source = Path(jail.__file__).read_text()
    start, end = source.index('        if order["guard"]'), source.index("    except BaseException")
    open_jail.write_text(source[:start] + source[end:])
    monkeypatch.setattr("llmlib.agents.sandbox.JAIL", open_jail)
    mark, root = folder / f"mark-{name}", str(Path(jail.__file__).parents[2])
    code = f"SHELL = {SHELL.format(mark=mark)!r}\n" + ATTACKS[name].format(
        mark=str(mark), secret="", port=port, root=root, jail=""
    )
    result = run_python(code, timeout=20)
    assert "ESCAPED" in result.output or "root:" in result.output or mark.exists(), result
    mark.unlink(missing_ok=True)
    visits.clear()


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize("name", BOMBS)
def test_no_bomb_goes_off(guard, name):
    code, ends = BOMBS[name]
    start = time.monotonic()
    result = run_python(code, guard=guard, timeout=2)
    assert result.ended in ends | {"time"}, result
    assert time.monotonic() - start < 8
    assert len(result.output) < 25_000 and len(result.errors) < 25_000


def test_nothing_is_left(guard, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for code in ("open('x', 'w').write('x')", "import time\ntime.sleep(100)", "1 / 0"):
        run_python(code, guard=guard, timeout=2)
        assert list(tmp_path.iterdir()) == []


def test_a_folder_is_deleted_however_deep_it_goes(tmp_path):
    """`shutil.rmtree` recurses: a thousand folders in one another would end the caller."""
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for depth in range(3 * sys.getrecursionlimit()):
        if depth % 400 == 7:
            os.close(os.open("note", os.O_WRONLY | os.O_CREAT, dir_fd=here))
            os.symlink("/", "way-out", dir_fd=here)
        os.mkdir("d", 0o700, dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    sandbox._remove(str(top))
    assert list(tmp_path.iterdir()) == []


def test_runs_do_not_see_each_other(guard):
    run_python("open('note', 'w').write('x')", guard=guard, timeout=30)
    assert run_python("import os; print(os.listdir('.'))", guard=guard, timeout=30).output == "[]\n"


def test_what_cannot_be_closed_is_not_run(monkeypatch, tmp_path):
    """A jail that fails at any step of closing itself runs nothing."""
    source = Path(jail.__file__).read_text()
    for step in ("_limit(order)", "_close_files(", "_close_calls()", "_forget_privileges()"):
        broken = tmp_path / "jail.py"
        assert source.count(f"        {step}") == 1
        broken.write_text(source.replace(f"        {step}", f"        raise OSError; {step}"))
        monkeypatch.setattr("llmlib.agents.sandbox.JAIL", broken)
        with pytest.raises(SandboxError, match="not safe to run: OSError"):
            run_python("print('ESCAPED')", guard="kernel", timeout=30)
    broken.write_text("raise SystemExit(0)")
    with pytest.raises(SandboxError):
        run_python("print('ESCAPED')", timeout=30)


def test_an_unknown_machine_is_not_safe(monkeypatch, tmp_path):
    broken = tmp_path / "jail.py"
    broken.write_text(
        Path(jail.__file__).read_text().replace("x86_64", "y").replace("aarch64", "z")
    )
    monkeypatch.setattr("llmlib.agents.sandbox.JAIL", broken)
    with pytest.raises(SandboxError, match="not safe to run: KeyError"):
        run_python("print('ESCAPED')", guard="kernel", timeout=30)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="guard"):
        run_python("1", guard="none")
    with pytest.raises(ValueError, match="timeout"):
        run_python("1", timeout=0)
    with pytest.raises(ValueError, match="code"):
        run_python(b"1")


def test_as_a_tool(guard):
    registry = ToolRegistry([python_tool(guard=guard, timeout=5)], timeout=30)
    run = lambda code: registry.run(ToolCall("c", "python", {"code": code}))  # noqa: E731
    assert run("print(6 * 7)").text == "42\n"
    assert run("x = 1").text == "(it printed nothing)"
    failed = run("print('so far')\nprint(1 / 0)")
    assert failed.is_error and "so far" in failed.text and "ZeroDivisionError" in failed.text
    assert "it took too long" in run("while True: pass").text
