"""The training loop: one function for pretraining, fine-tuning, reward models and DPO."""

import math
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmlib import runtime
from llmlib.train.config import TrainConfig, lr_at
from llmlib.train.history import History, StopRequest, TrainingDiverged
from llmlib.train.optim import Optimizers, make_optimizer

LossFn = Callable[[nn.Module, object], tuple[Tensor, Tensor]]
MAY_CHANGE = {"eval_every", "save_every", "grad_accum", "compile"}  # when a run is resumed


def next_token_loss(model: nn.Module, batch) -> tuple[Tensor, Tensor]:
    """(sum of −log p over the targets that `batch.mask` keeps, how many there are).

    `batch` has ids, targets, mask (B, T) and doc_ids (B, T) or None. A sum and a count rather than
    a mean, so that pieces of a batch with unequal counts add up to exactly the whole batch's mean.
    """
    logits = model(batch.ids, doc_ids=batch.doc_ids)  # (B, T, V)
    targets = batch.targets.masked_fill(~batch.mask, -100)
    total = F.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="sum"
    )
    return total, batch.mask.sum()


def pair_loss(model: nn.Module, batch) -> tuple[Tensor, Tensor]:
    """As `next_token_loss`, for an encoder–decoder and `llmlib.data.PairBatch`: the text to write
    is predicted from the text to read, and from what was written of it before."""
    logits = model(batch.encoder_ids, batch.ids, encoder_mask=batch.encoder_mask)  # (B, T, V)
    targets = batch.targets.masked_fill(~batch.mask, -100)
    total = F.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="sum"
    )
    return total, batch.mask.sum()


def train(
    model: nn.Module,
    batches: Iterable,
    loss_fn: LossFn,
    config: TrainConfig,
    *,
    evaluate: Callable[[nn.Module], dict] | None = None,
    save: Callable[[dict], str] | None = None,
    state: dict | None = None,
    show: bool = True,
) -> History:
    """Train `model` in place for `config.steps` steps, and return what happened.

    batches   yields batches with `len()`, `.rows(start, stop)` and `.to(device)` (`llmlib.data`).
              Every process draws the same ones and takes its own rows. To be resumed they need
              `state_dict` and `load_state_dict`.
    loss_fn   (model, batch) -> (sum of losses, count); a step minimises sum / count of its batch.
    evaluate  model -> dictionary of numbers: every `eval_every` steps, and after the last.
    save      gets the trainer's state every `save_every` steps, after the last, and on Ctrl-C;
              it writes state and model (`llmlib.checkpoint.save`) and returns where.
    state     such a state: the run goes on from there, bit for bit as if it had never stopped. The
              model must hold the weights saved with it.

    Ctrl-C (or SIGTERM) lets the current step finish, saves, and returns a history with
    `interrupted=True`; a second one stops at once. Raises `TrainingDiverged` at the first loss or
    gradient that is not finite, before it can touch the weights.
    """
    config = _settle_precision(config, state, next(model.parameters()).device)
    optimizer = make_optimizer(model, config)
    history = _restore(state, config, optimizer, batches) if state else History()
    forward = torch.compile(model) if config.compile else model
    source = iter(batches)
    done, saved = len(history.step), "the one that this run went on from" if state else None
    with StopRequest() as stop:
        steps = range(done, config.steps)
        bar = runtime.progress(steps, initial=done, total=config.steps, disable=not show)
        for step in bar:
            started = time.perf_counter()
            batch = next(source, None)
            if batch is None or len(batch) == 0:
                raise ValueError(f"the batches ended after {step} of {config.steps} steps")
            model.train()
            loss, count, stopped = _gradients(forward, batch, loss_fn, config, stop)
            norm = _scale_gradients(model, count, config.grad_clip)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrainingDiverged(step + 1, loss, norm, saved)
            optimizer.set_lr(lr_at(step, config))
            optimizer.step()
            optimizer.zero_grad()
            seconds = time.perf_counter() - started
            history.record(count, loss, lr_at(step, config), norm, seconds)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            last = step + 1 == config.steps
            history.interrupted = stopped and not last
            if evaluate and not history.interrupted and _due(step, config.eval_every, last):
                history.record_eval(evaluate(model))
            if save and _due(step, config.save_every, last or stopped):
                saved = save(_state(history, config, optimizer, batches))
            if stopped:
                break
    return history


def _settle_precision(config: TrainConfig, state: dict | None, device) -> TrainConfig:
    """`config` with "auto" replaced: by what the saved run had, or by what all processes find fast.

    The choice rests on a measurement, so it is made once a run: a run that is taken up again, on a
    busier machine perhaps, must not go on in another precision.
    """
    if config.precision != "auto":
        return config
    if state:
        return replace(config, precision=state["config"]["precision"])
    fast = torch.tensor([float(runtime.pick_precision(device) == "bfloat16")], device=device)
    agreed = runtime.all_sum(fast).item() == runtime.world_size()
    return replace(config, precision="bfloat16" if agreed else "float32")


def _due(step: int, every: int, last: bool) -> bool:
    """Whether what happens every `every` steps (0: only at the end) is due after `step`."""
    return last or (every > 0 and (step + 1) % every == 0)


def _gradients(
    model: nn.Module, batch, loss_fn: LossFn, config: TrainConfig, stop: StopRequest
) -> tuple[float, int, bool]:
    """Add the gradient of the *summed* loss; return mean loss, count, and whether to stop.

    This process takes its share of the rows, cut into `grad_accum` pieces. Loss, count and stop
    request are summed over processes, so that all agree on them.
    """
    device = next(model.parameters()).device
    pieces = runtime.world_size() * config.grad_accum
    if len(batch) < pieces:
        raise ValueError(f"{len(batch)} rows cannot be shared by {pieces} processes × grad_accum")
    first = runtime.rank() * config.grad_accum
    totals = torch.zeros(3, dtype=torch.float64, device=device)  # loss, count, stop requests
    for i in range(first, first + config.grad_accum):
        piece = batch.rows(len(batch) * i // pieces, len(batch) * (i + 1) // pieces).to(device)
        not_yet = i + 1 < first + config.grad_accum
        quiet = model.no_sync() if not_yet and hasattr(model, "no_sync") else nullcontext()
        with quiet:  # data-parallel models exchange gradients with the last piece only
            with runtime.autocast(device, config.precision):
                total, count = loss_fn(model, piece)
            total.backward()
        totals[0] += total.detach()
        totals[1] += count
    totals[2] = float(stop.requested)
    total, count, stops = runtime.all_sum(totals).tolist()
    if count == 0:
        raise ValueError("no target in the whole batch: its mask is False everywhere")
    return total / count, int(count), stops > 0


def _scale_gradients(model: nn.Module, count: int, clip: float | None) -> float:
    """Turn gradients of the sum into gradients of the mean, clip them, return their norm before.

    Data parallelism has already averaged over processes, hence the factor `world_size`.
    """
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    scale = runtime.world_size() / count
    norm = scale * float(nn.utils.get_total_norm(grads))
    if clip is not None and norm > clip:
        scale *= clip / norm
    torch._foreach_mul_(grads, scale)
    return norm


def _state(history: History, config: TrainConfig, optimizer: Optimizers, batches) -> dict:
    """Everything beside the weights that the next step depends on."""
    if not hasattr(batches, "state_dict"):
        raise TypeError("these batches cannot be resumed (no state_dict): train with save=None")
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    return {
        "config": asdict(config),
        "history": history.to_dict(),
        "optimizer": optimizer.state_dict(),
        "batches": batches.state_dict(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state() if on_gpu else None,
    }


def _restore(state: dict, config: TrainConfig, optimizer: Optimizers, batches) -> History:
    """Put optimizer, batches and generators back to `state`; return the history so far."""
    old, new = TrainConfig(**state["config"]), config
    changed = [
        f"{name}: {getattr(old, name)} → {getattr(new, name)}"
        for name in asdict(new)
        if name not in MAY_CHANGE and getattr(old, name) != getattr(new, name)
    ]
    if changed:
        raise ValueError(
            f"the saved run had another configuration ({'; '.join(changed)}). Resume with the old "
            "one, or start afresh in another folder"
        )
    optimizer.load_state_dict(state["optimizer"])
    batches.load_state_dict(state["batches"])
    torch.set_rng_state(state["random"])
    if state["random_cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["random_cuda"])
    history = History.from_dict(state["history"])
    history.interrupted = False
    return history
