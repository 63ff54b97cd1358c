"""Several processes that train one model together.

`torchrun --nproc-per-node 2 -m llmlib.recipes.pretrain …` starts them, all with one program. Every
process draws the same batches and takes its own rows (`llmlib.train`); gradients are averaged, so
that the weights stay equal everywhere, and the loss curve is that of one process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn

from llmlib import runtime


@contextmanager
def processes() -> Iterator[None]:
    """Join the processes that `torchrun` started, and leave them at the end; nothing without it."""
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def data_parallel(model: nn.Module) -> nn.Module:
    """`model` with its gradients averaged over processes in `backward`; `model` itself when alone.

    The first process's weights are copied to all.
    """
    if runtime.world_size() == 1:
        return model
    device = next(model.parameters()).device
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=ids)


@contextmanager
def main_first() -> Iterator[None]:
    """The first process runs this block before the others: it writes the files that all read."""
    if not runtime.is_main():
        dist.barrier()
    yield
    if runtime.is_main() and runtime.world_size() > 1:
        dist.barrier()
