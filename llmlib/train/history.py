"""What a training run leaves behind, and the errors that end one."""

import signal
import threading
from dataclasses import asdict, dataclass, field


@dataclass
class History:
    """One entry a step in each list; `evals` has one dictionary an evaluation.

    `seconds` is the time spent training, evaluations and checkpoints left out, and goes on counting
    when a run is resumed. `interrupted` is True if the run was stopped before its last step.
    """

    step: list[int] = field(default_factory=list)  # steps done, from 1
    tokens: list[int] = field(default_factory=list)  # targets trained on so far
    loss: list[float] = field(default_factory=list)  # mean over the step's batch, nats a target
    lr: list[float] = field(default_factory=list)  # fraction of the peak learning rate
    grad_norm: list[float] = field(default_factory=list)  # before clipping
    seconds: list[float] = field(default_factory=list)  # training time so far
    tokens_per_second: list[float] = field(default_factory=list)  # of this step
    evals: list[dict] = field(default_factory=list)  # {"step", "tokens", "seconds", ...}
    interrupted: bool = False

    def record(self, tokens: int, loss: float, lr: float, grad_norm: float, seconds: float) -> None:
        """Append one step that trained on `tokens` targets and took `seconds`."""
        self.step.append(len(self.step) + 1)
        self.tokens.append(tokens + (self.tokens[-1] if self.tokens else 0))
        self.loss.append(loss)
        self.lr.append(lr)
        self.grad_norm.append(grad_norm)
        self.seconds.append(seconds + (self.seconds[-1] if self.seconds else 0.0))
        self.tokens_per_second.append(tokens / max(seconds, 1e-9))

    def record_eval(self, result: dict) -> None:
        """Append one evaluation, taken after the last recorded step."""
        last = {"step": 0, "tokens": 0, "seconds": 0.0}
        if self.step:
            last = {"step": self.step[-1], "tokens": self.tokens[-1], "seconds": self.seconds[-1]}
        self.evals.append(result | last)  # an evaluation may count tokens of its own

    def to_dict(self) -> dict:
        """Plain lists and numbers, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "History":
        """The history that `to_dict` wrote."""
        return cls(**values)


class TrainingDiverged(ArithmeticError):
    """The loss or the gradient stopped being a finite number.

    `step` is the step that failed (from 1). The weights are those before it: no update was made.
    """

    def __init__(self, step: int, loss: float, grad_norm: float, saved: str | None):
        self.step = step
        kept = (
            f"The last checkpoint is {saved}" if saved else "This run has saved no checkpoint yet"
        )
        super().__init__(
            f"step {step}: loss {loss}, gradient norm {grad_norm}. No update was made. {kept}. "
            "Try a lower learning rate, a longer warm-up or grad_clip=1.0; if it happens at once, "
            "look for a division by zero, a log of zero or a mask that hides a whole row"
        )


class StopRequest:
    """While active, Ctrl-C and SIGTERM set `requested` instead of stopping in mid-step.

    A second signal acts as usual. Outside the main thread, where Python takes no signals, this does
    nothing.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.requested = False
        self._before: dict = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._request) for s in self.SIGNALS}
        return self

    def _request(self, number, frame) -> None:
        self.requested = True
        self._put_back()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __exit__(self, *exception) -> None:
        self._put_back()
