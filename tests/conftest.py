"""Tests need no network: a connection to anything but this machine fails at once and says so."""

import os
import socket

import pytest

# Child processes inherit these: a library that would look online for a newer file does not try.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

LOOPBACK = ("localhost", "::1", "0.0.0.0", "")
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


def _is_local(family: int, address) -> bool:
    if family == getattr(socket, "AF_UNIX", None):
        return True
    host = address[0] if isinstance(address, tuple) else str(address)
    return host in LOOPBACK or host.startswith("127.") or host == socket.gethostname()


def _refuse(address):
    raise AssertionError(f"a test tried to reach {address!r}: tests must not need the network")


def _guarded_connect(self, address):
    if not _is_local(self.family, address):
        _refuse(address)
    return _connect(self, address)


def _guarded_connect_ex(self, address):
    if not _is_local(self.family, address):
        _refuse(address)
    return _connect_ex(self, address)


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """Replace socket.connect for the whole session."""
    socket.socket.connect = _guarded_connect
    socket.socket.connect_ex = _guarded_connect_ex
    yield
    socket.socket.connect = _connect
    socket.socket.connect_ex = _connect_ex
