"""Where the code runs: device, precision, seeds, ranks, progress bars.

Nothing here is decided at import. Every function asks the machine when it is called, so the same
notebook runs on a laptop's processor, on one GPU and under `torchrun`.
"""

import io
import os
import random
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch
import torch.distributed as dist
from torch import Tensor
from tqdm import tqdm

PRECISIONS = ("float32", "bfloat16", "auto")


def pick_device(prefer: str | None = None) -> torch.device:
    """The device to train on: `prefer` if given, else CUDA, else Apple's MPS, else the CPU.

    Under `torchrun`, plain "cuda" becomes this process's own GPU (`LOCAL_RANK`). Raises
    `RuntimeError` if `prefer` names an accelerator that this machine does not have.
    """
    if prefer is None:
        if torch.cuda.is_available():
            prefer = "cuda"
        else:
            prefer = "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(prefer)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(f"device {prefer!r} asked for, but torch sees no CUDA GPU; use 'cpu'")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise RuntimeError("device 'mps' asked for, but torch sees no Apple GPU; use 'cpu'")
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


def seed_all(seed: int) -> None:
    """Seed Python's, NumPy's and torch's (all devices) global generators."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


# -- precision --------------------------------------------------------------------------------


@cache
def pick_precision(device: torch.device | str) -> str:
    """ "bfloat16" where it makes matrix products faster on `device`, else "float32".

    A GPU is asked (native bfloat16 arrived with compute capability 8.0; older cards emulate it).
    A CPU is timed, because an instruction set does not tell how fast a library's kernels are: one
    matrix product of the size a small transformer meets, once a process, about 20 ms.
    """
    device = torch.device(device)
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device)[0] >= 8
        return "bfloat16" if native else "float32"
    if device.type != "cpu":
        return "float32"
    return "bfloat16" if _cpu_speedup_of_bfloat16() > 1.3 else "float32"


def _cpu_speedup_of_bfloat16() -> float:
    """Time of a float32 product over that of the same product in bfloat16 (best of a few).

    Measured on one thread and in turns: on a busy machine several threads wait for one another,
    and it would be the waiting that is compared, not the arithmetic.
    """
    generator = torch.Generator().manual_seed(0)  # leaves the global generator alone
    x = torch.randn(1024, 256, generator=generator)
    w = torch.randn(512, 256, generator=generator)
    operands = (x, w), (x.bfloat16(), w.bfloat16())
    best = [float("inf")] * 2
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            for turn in range(8):
                for kind, (a, b) in enumerate(operands):
                    start = time.perf_counter()
                    torch.nn.functional.linear(a, b)
                    seconds = time.perf_counter() - start
                    if turn >= 2:  # the first calls choose and build kernels
                        best[kind] = min(best[kind], seconds)
    finally:
        torch.set_num_threads(threads)
    return best[0] / best[1]


def autocast(device: torch.device | str, precision: str) -> AbstractContextManager:
    """Context in which matrix products run in `precision` ("float32", "bfloat16" or "auto").

    Parameters stay float32; torch casts the operands of each product (`torch.autocast`). "auto"
    takes `pick_precision(device)`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {PRECISIONS}, not {precision!r}")
    device = torch.device(device)
    if precision == "auto":
        precision = pick_precision(device)
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


# -- processes --------------------------------------------------------------------------------


def rank() -> int:
    """This process's number among those training together; 0 when alone."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together; 1 when alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_main() -> bool:
    """True on the one process that prints and writes files."""
    return rank() == 0


def all_sum(values: Tensor) -> Tensor:
    """`values` summed over all processes, in place; unchanged when alone."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


# -- progress ---------------------------------------------------------------------------------


def progress(iterable: Iterable, **options) -> tqdm:
    """A `tqdm` bar over `iterable`; iterate over what is returned.

    Drawn on a terminal's standard error, or in a notebook as one line of text that is rewritten in
    place: nothing on standard error, no widget state to be stored. Silent on every rank but the
    first, and wherever standard error is a file or a pipe.
    """
    in_notebook = _in_notebook()
    watched = is_main() and (in_notebook or sys.stderr.isatty())
    options["disable"] = options.get("disable", False) or not watched
    options.setdefault("dynamic_ncols", not in_notebook)
    return (_NotebookLine if in_notebook else tqdm)(iterable, **options)


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class _NotebookLine(tqdm):
    """A tqdm bar written through the notebook's display channel instead of standard error."""

    def __init__(self, iterable: Iterable, **options):
        self._handle = None
        super().__init__(iterable, file=io.StringIO(), ncols=78, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        from IPython.display import Pretty, display

        line = Pretty(str(self) if msg is None else msg)
        if self._handle is None:
            self._handle = display(line, display_id=True)
        else:
            self._handle.update(line)
        return True
