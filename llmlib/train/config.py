"""What a training run is told, and the learning rate at each step."""

import math
from dataclasses import dataclass

OPTIMIZERS = ("adamw", "muon")
DECAYS = ("cosine", "linear", "wsd", "none")


@dataclass(frozen=True)
class TrainConfig:
    """One training run. A batch is what one optimizer step sees, over all processes together."""

    steps: int
    batch_size: int = 32  # rows in a step
    seq_len: int = 256  # tokens in a row
    # optimizer
    optimizer: str = "muon"  # "muon": Muon on hidden matrices, AdamW on the rest; or "adamw"
    lr: float = 3e-3  # AdamW's peak learning rate
    muon_lr: float = 0.02  # Muon's peak learning rate
    betas: tuple[float, float] = (0.9, 0.95)  # AdamW's moments
    momentum: float = 0.95  # Muon's
    weight_decay: float = 0.0  # decoupled; matrices only, never norms, biases or embeddings
    grad_clip: float | None = 1.0  # largest gradient norm over all parameters; None: no clipping
    # schedule
    warmup: int = 0  # steps of linear rise from zero
    decay: str = "linear"  # "cosine", "linear", "wsd" (constant, then linear fall) or "none"
    decay_fraction: float = 0.5  # "wsd" only: the share of all steps spent falling
    final_lr: float = 0.0  # where the decay ends, as a fraction of the peak
    # machinery
    grad_accum: int = 1  # pieces a batch is cut into, one after another, to save memory
    precision: str = "auto"  # "float32", "bfloat16" or "auto" (bfloat16 where it is fast)
    compile: bool = False  # torch.compile the model: slower start, faster steps
    eval_every: int = 0  # steps between evaluations; 0: only after the last step
    save_every: int = 0  # steps between checkpoints; 0: only after the last step
    seed: int = 0

    def __post_init__(self):
        for name in ("steps", "batch_size", "seq_len", "grad_accum"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.grad_accum > self.batch_size:
            raise ValueError(
                f"grad_accum ({self.grad_accum}) cuts a batch into pieces of at least one row, and "
                f"a batch has only {self.batch_size}"
            )
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {OPTIMIZERS}, not {self.optimizer!r}")
        if self.decay not in DECAYS:
            raise ValueError(f"decay must be one of {DECAYS}, not {self.decay!r}")
        if not 0 <= self.warmup < self.steps:
            raise ValueError(f"warmup ({self.warmup}) must be shorter than the run ({self.steps})")
        if not 0 <= self.decay_fraction <= 1 or not 0 <= self.final_lr <= 1:
            raise ValueError("decay_fraction and final_lr are fractions between 0 and 1")
        if self.grad_clip is not None and self.grad_clip <= 0:
            raise ValueError("grad_clip must be positive; None turns clipping off")


def lr_at(step: int, config: TrainConfig) -> float:
    """The learning rate of `step` (counted from 0) as a fraction of its peak.

    Warm-up rises linearly and reaches 1 at step `warmup`. The decay then falls to `final_lr`, which
    the step after the last would have: the last step itself still learns something.
    """
    if step < config.warmup:
        return (step + 1) / (config.warmup + 1)
    if config.decay == "none":
        return 1.0
    length = config.steps - config.warmup  # steps that the decay may use
    done = min(1.0, (step - config.warmup) / length)
    if config.decay == "wsd":  # warm-up, stable, decay
        hold = 1 - config.decay_fraction
        done = 0.0 if done <= hold else (done - hold) / config.decay_fraction
    shape = (1 + math.cos(math.pi * done)) / 2 if config.decay == "cosine" else 1 - done
    return config.final_lr + (1 - config.final_lr) * shape
