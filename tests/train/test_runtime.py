"""What the machine is asked, and where progress is drawn."""

import sys
import time

import numpy as np
import pytest
import torch

from llmlib import runtime


def test_seeds_reach_all_generators():
    import random

    draws = []
    for _ in range(2):
        runtime.seed_all(7)
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]


def test_a_device_that_is_not_there_is_refused():
    assert runtime.pick_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="use 'cpu'"):
            runtime.pick_device("cuda")


def test_precision_follows_the_measured_speed(monkeypatch):
    for speedup, expected in [(0.4, "float32"), (2.5, "bfloat16")]:
        runtime.pick_precision.cache_clear()
        monkeypatch.setattr(runtime, "_cpu_speedup_of_bfloat16", lambda s=speedup: s)
        assert runtime.pick_precision("cpu") == expected
        with runtime.autocast("cpu", "auto"):
            product = torch.ones(4, 4) @ torch.ones(4, 4)
        assert product.dtype == getattr(torch, expected)
    runtime.pick_precision.cache_clear()


def test_the_measurement_is_quick_and_leaves_the_seed_alone():
    runtime.seed_all(1)
    expected = torch.rand(1)
    runtime.seed_all(1)
    started = time.perf_counter()
    assert runtime._cpu_speedup_of_bfloat16() > 0
    assert time.perf_counter() - started < 5
    assert torch.equal(torch.rand(1), expected)


def test_autocast_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="float32"):
        runtime.autocast("cpu", "float16")


def test_a_lone_process_is_the_main_one():
    assert (runtime.rank(), runtime.world_size(), runtime.is_main()) == (0, 1, True)
    assert runtime.all_sum(torch.ones(2)).tolist() == [1, 1]


def test_progress_is_silent_in_a_pipe_and_seen_on_a_terminal(capsys, monkeypatch):
    assert list(runtime.progress(range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(runtime.progress(range(3), desc="steps")) == [0, 1, 2]
    assert "steps" in capsys.readouterr().err
    monkeypatch.setattr(runtime, "is_main", lambda: False)
    assert list(runtime.progress(range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_progress_in_a_notebook_is_one_line_of_text(capsys, monkeypatch):
    shown = []

    class Handle:
        def update(self, line):
            shown.append(line.data)

    def display(line, display_id):
        shown.append(line.data)
        return Handle()

    monkeypatch.setattr(runtime, "_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    assert list(runtime.progress(range(3), desc="steps")) == [0, 1, 2]
    assert "3/3" in shown[-1] and capsys.readouterr() == ("", "")
