"""Muon, and how parameters are shared out between optimizers.

Shapes: a matrix is (R, C) rows by columns; a stack of n equal ones is (n, R, C).
"""

from collections import defaultdict

import torch
from torch import Tensor, nn

from llmlib import runtime
from llmlib.train.config import TrainConfig

# The quintic a·x + b·x³ + c·x⁵ of Keller Jordan's Muon (2024): its slope at zero is as steep as it
# can be while five rounds still bring every singular value in (0, 1] into about [0.7, 1.2].
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: Tensor, steps: int = 5, eps: float = 1e-7) -> Tensor:
    """Matrices with the same singular vectors and singular values near 1 (0.7 to 1.2).

    Newton–Schulz: an odd polynomial of the matrix acts on its singular values alone, and needs
    products only, no decomposition. Takes (R, C) or a stack (n, R, C); keeps shape and type.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices.size(-2) > matrices.size(-1)
    x = matrices.mT if tall else matrices  # the smaller side first: cheaper products
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=eps)  # largest singular value ≤ 1
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, then orthogonalized: for the hidden matrices of a network, and only for them.

    For each weight W (out, in) with gradient G:

        M ← momentum · M + G
        U ← orthogonalize(G + momentum · M)             (Nesterov: look one step ahead)
        W ← W − lr · weight_decay · W − lr · √max(1, out/in) · U

    The factor is Jordan's original convention: an update changes the output of a layer by about
    `lr` whatever the layer's shape, so one `lr` (about 0.02) serves every matrix. Matrices of one
    shape are orthogonalized as one stack. `dtype` is the type of that computation (None: the
    weight's own); the method tolerates bfloat16.
    """

    def __init__(
        self,
        params,
        lr: float = 0.02,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        ns_steps: int = 5,
        dtype: torch.dtype | None = None,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "ns_steps": ns_steps,
        }
        super().__init__(params, defaults)
        self.dtype = dtype
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon is for matrices, and got a parameter of shape {tuple(p.shape)}; "
                        "give biases, norms and embeddings to AdamW (see make_optimizer)"
                    )

    @torch.no_grad()
    def step(self, closure=None):
        """One update of every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    by_shape[p.shape].append(p)
            for params in by_shape.values():
                self._update(params, group)
        return loss

    def _update(self, params: list[nn.Parameter], group: dict) -> None:
        """Update `params`, all of one shape."""
        for p in params:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        grads = [p.grad for p in params]
        momenta = [self.state[p]["momentum"] for p in params]
        beta, lr = group["momentum"], group["lr"]
        torch._foreach_mul_(momenta, beta)
        torch._foreach_add_(momenta, grads)
        ahead = torch._foreach_add(grads, momenta, alpha=beta) if group["nesterov"] else momenta
        stack = torch.stack(ahead).to(self.dtype or params[0].dtype)  # (n, R, C)
        updates = orthogonalize(stack, group["ns_steps"]).to(params[0].dtype)
        rows, columns = params[0].shape
        torch._foreach_mul_(params, 1 - lr * group["weight_decay"])
        torch._foreach_add_(params, list(updates), alpha=-lr * max(1, rows / columns) ** 0.5)


class Optimizers:
    """Several optimizers stepped as one, their learning rates moved together by a schedule."""

    def __init__(self, *optimizers: torch.optim.Optimizer):
        self.optimizers = optimizers
        for group in self.groups():
            group.setdefault("peak_lr", group["lr"])

    def groups(self) -> list[dict]:
        """All parameter groups, in a fixed order."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def set_lr(self, fraction: float) -> None:
        """Set every group's learning rate to `fraction` of its peak."""
        for group in self.groups():
            group["lr"] = group["peak_lr"] * fraction

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_state_dict(self, states: list[dict]) -> None:
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)


def split_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Trainable parameters by the treatment they get: "hidden", "embedding", "vector".

    "hidden" are the matrices between embedding and head; "embedding" is every embedding table and
    the output head (tied or not); "vector" is the rest: norms, biases, anything not a matrix.
    """
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    head = getattr(model, "head", None)
    tables |= {id(p) for p in head.parameters()} if isinstance(head, nn.Module) else set()
    kinds: dict[str, list[nn.Parameter]] = {"hidden": [], "embedding": [], "vector": []}
    for p in model.parameters():
        if p.requires_grad:
            matrix = "embedding" if id(p) in tables else "hidden"
            kinds[matrix if p.ndim == 2 else "vector"].append(p)
    return kinds


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizers:
    """The optimizers `config` asks for, over `model`'s trainable parameters.

    "adamw": everything. "muon": Muon for the hidden matrices, AdamW for embeddings, head, norms
    and biases, for which orthogonal updates make no sense. Weight decay acts on hidden matrices
    only. Muon computes in the precision of the run. AdamW runs fused where torch has it, which it
    does on CPU and CUDA.
    """
    kinds = split_parameters(model)
    if not any(kinds.values()):
        raise ValueError("the model has no parameter that requires a gradient")
    decay = config.weight_decay
    adamw_groups = [{"params": kinds["embedding"] + kinds["vector"], "weight_decay": 0.0}]
    optimizers = []
    if config.optimizer == "adamw":
        adamw_groups.insert(0, {"params": kinds["hidden"], "weight_decay": decay})
    elif kinds["hidden"]:
        precision = config.precision
        if precision == "auto":
            precision = runtime.pick_precision(kinds["hidden"][0].device)
        muon = Muon(
            kinds["hidden"],
            lr=config.muon_lr,
            momentum=config.momentum,
            weight_decay=decay,
            dtype=torch.bfloat16 if precision == "bfloat16" else None,
        )
        optimizers.append(muon)
    adamw_groups = [group for group in adamw_groups if group["params"]]
    if adamw_groups:
        fused = all(p.device.type in ("cpu", "cuda") for g in adamw_groups for p in g["params"])
        adamw = torch.optim.AdamW(adamw_groups, lr=config.lr, betas=config.betas, fused=fused)
        optimizers.append(adamw)
    return Optimizers(*optimizers)
