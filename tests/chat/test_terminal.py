"""The chat as a program: through pipes, and in a terminal with Ctrl-C."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest
import torch

from llmlib import checkpoint
from llmlib.model import ModelConfig, Transformer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint that says nonsense for a long time."""
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=1024, d_model=8, n_layers=1, n_heads=2, max_seq_len=50_000)
    path = tmp_path_factory.mktemp("chat") / "model.safetensors"
    tok = checkpoint.load_shipped_tokenizer()
    checkpoint.save(path, Transformer(config), tok, {"stage": "sft"})
    return path


def command(model, *options):
    return [sys.executable, "-m", "llmlib.chat", "--model", str(model), "--device", "cpu", *options]


def test_pipes(model):
    """A line is a message; answers go to one stream and remarks to the other."""
    typed = "where?\n\n/reset\n" + "caf\u00e9?\n" + "bad \udcff byte\n"
    done = subprocess.run(
        command(model, "--seed", "1", "--max-tokens", "12"),
        input=typed.encode(errors="surrogateescape"),
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    out, remarks = done.stdout.decode(), done.stderr.decode().splitlines()
    assert out.endswith("\n") and out.count("\n") >= 3 and "> " not in out.split("\n")[0][:2]
    assert remarks.count("(stopped: the limit of 12 tokens)") + 1 == len(remarks)
    assert "(the conversation is forgotten)" in remarks


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "dumb"
            os.execv(command[0], command)
        self.text = ""

    def wait_for(self, found, seconds=90):
        """Read until `found(all text so far)`."""
        end = time.monotonic() + seconds
        while not found(self.text):
            assert time.monotonic() < end, f"waited in vain; so far: {self.text[-500:]!r}"
            if select.select([self.file], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.file, 4096).decode(errors="replace")
                except OSError:  # the program has closed the terminal
                    break
        return self.text

    def type(self, text):
        self.text = ""
        os.write(self.file, text.encode())

    def leave(self):
        """Press Ctrl-C at the prompt until the program has ended; its exit status.

        As a person would: a signal that comes in the instant between readline's prompt and its
        waiting for a key is seen only with the next key.
        """
        self.type("")
        for _ in range(20):
            try:
                os.write(self.file, b"\x03")
                self.wait_for(lambda text: False, seconds=3)
                break
            except AssertionError:
                continue
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        os.close(self.file)
        return os.waitstatus_to_exitcode(status)


def test_ctrl_c_in_a_terminal(model):
    terminal = Terminal(command(model, "--max-tokens", "40000", "--temperature", "1"))
    try:
        terminal.wait_for(lambda text: text.endswith("> "))
        terminal.type("hello\n")
        terminal.wait_for(lambda text: len(text) > 100)  # the answer is under way
        terminal.type("\x03")  # the terminal makes SIGINT of it
        stopped = terminal.wait_for(lambda text: text.endswith("> "))
        assert "(stopped)" in stopped and "Traceback" not in stopped
        terminal.type("/reset\n")
        terminal.wait_for(lambda text: "forgotten" in text and text.endswith("> "))
        assert terminal.leave() == 0
        assert "Traceback" not in terminal.text
    finally:
        if os.path.exists(f"/proc/{terminal.pid}"):
            os.kill(terminal.pid, signal.SIGKILL)


def test_a_reader_that_leaves_ends_the_chat_quietly(model):
    process = subprocess.Popen(
        command(model, "--max-tokens", "40000"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(b"hello\n")
    process.stdin.flush()
    process.stdout.read(20)
    process.stdout.close()
    assert process.wait(60) == 0
    assert b"Traceback" not in process.stderr.read()
    process.stdin.close()
    process.stderr.close()
