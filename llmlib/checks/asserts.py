"""Assertions that speak to the reader. Each raises `Wrong` with a message that names what differs
and where.

`what` names the thing in the reader's words ("the attention weights"). `known` maps a message to
the value that a well-known mistake would give: when the attempt shows exactly that value, the
message is the verdict.
"""

import contextlib

import numpy as np
import torch

from .guard import Wrong, same_value, snapshot


def expect(condition, message):
    """Reject with `message` unless `condition` holds."""
    if not condition:
        raise Wrong(message)


def is_type(got, kind, what="the result"):
    """Reject unless `got` is an instance of `kind` (a type or a tuple of types)."""
    if not isinstance(got, kind):
        names = [k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,))]
        article = "an" if names[0][0] in "aeiou" else "a"
        raise Wrong(f"{what} should be {article} {' or '.join(names)}, not {_kind(got)}.")


def same_shape(got, shape, what="the result"):
    """Reject unless `got` is a tensor or array of this shape; `shape` may be a tensor to compare
    with.
    """
    shape = tuple(getattr(shape, "shape", shape))
    if not hasattr(got, "shape"):
        raise Wrong(f"{what} should be a tensor of shape {shape}, not {_kind(got)}.")
    if tuple(got.shape) == shape:
        return
    hint = ""
    if tuple(got.shape) == shape[::-1] and len(shape) == 2:
        hint = " It looks transposed."
    elif tuple(n for n in got.shape if n != 1) == tuple(n for n in shape if n != 1):
        hint = " Only axes of length 1 differ: look at keepdim, squeeze and unsqueeze."
    raise Wrong(f"{what} should have shape {shape}; yours has {tuple(got.shape)}.{hint}")


def same_dtype(got, dtype, what="the result"):
    """Reject unless the tensor has this dtype; `dtype` may be a tensor to compare with."""
    dtype = getattr(dtype, "dtype", dtype)
    if got.dtype != dtype:
        raise Wrong(f"{what} should stay {_short(dtype)}; yours is {_short(got.dtype)}.")


def same_device(got, device, what="the result"):
    """Reject unless the tensor is on this device; `device` may be a tensor to compare with."""
    device = torch.device(getattr(device, "device", device))
    if got.device != device:
        raise Wrong(
            f"{what} is on {got.device}, the inputs on {device}. "
            "Make new tensors with `device=x.device`."
        )


def finite(got, what="the result"):
    """Reject NaN and infinity."""
    values = _tensor(got, what)
    bad = ~torch.isfinite(values)
    if bad.any():
        where = _where(bad.flatten().nonzero()[0].item(), values.shape)
        value = values.flatten()[bad.flatten()][0].item()
        raise Wrong(
            f"{what} is {value} {where}: {int(bad.sum())} of {bad.numel()} values are not finite."
        )


def sums_to_one(got, dim=-1, what="the probabilities", atol=1e-4):
    """Reject unless all values are ≥ 0 and sum to one along `dim`."""
    values = _tensor(got, what).double()
    if (values < 0).any():
        raise Wrong(f"{what} contain the negative value {values.min().item():.4g}.")
    totals = values.sum(dim)
    off = (totals - 1).abs()
    if off.max() > atol:
        worst = totals.flatten()[off.argmax()].item()
        other = "" if values.ndim < 2 or not _one_elsewhere(values, dim, atol) else _WRONG_AXIS
        raise Wrong(
            f"{what} should sum to 1 along axis {dim}; one of yours sums to {worst:.4g}.{other}"
        )


_WRONG_AXIS = " They do sum to 1 along another axis: did you normalise over the wrong one?"


def _one_elsewhere(values, dim, atol):
    dims = set(range(values.ndim)) - {dim % values.ndim}
    return any(((values.sum(d) - 1).abs() <= atol).all() for d in dims)


def close(got, want, what="the result", rtol=1e-5, atol=1e-6, known=None):
    """Reject unless the numbers agree: |got − want| ≤ atol + rtol·|want|, with equal shapes.

    got, want: tensor, array, number or nested list. known: {message: value} of well-known mistakes.
    """
    want = _tensor(want, "the expected value")
    values = _tensor(got, what)
    for message, mistaken in (known or {}).items():
        mistaken = _tensor(mistaken, "the mistaken value")
        if mistaken.shape == values.shape and _agree(values, mistaken, rtol, atol):
            if _agree(mistaken, want, rtol, atol):
                continue  # here the mistake cannot be told from the truth
            raise Wrong(_sentence(message))
    same_shape(values, want, what)
    if _agree(values, want, rtol, atol):
        return
    values, want = values.double(), want.double()
    gap = (values - want).abs().nan_to_num(nan=float("inf")) - rtol * want.abs().nan_to_num(
        posinf=0
    )
    i = int(gap.flatten().argmax())
    mine, theirs = values.flatten()[i].item(), want.flatten()[i].item()
    where = _where(i, want.shape)
    ratio = _constant_ratio(values, want)
    hint = f" Everywhere yours is {ratio:.4g} times what it should be." if ratio else ""
    raise Wrong(
        f"{what} {where} should be {theirs:.5g}; yours is {mine:.5g}.{hint}".replace("  ", " ")
    )


def equal(got, want, what="the result", known=None):
    """Reject unless got == want exactly: integers, strings, bytes, lists, sets, dicts; tensors by
    value.
    """
    for message, mistaken in (known or {}).items():
        if _equal(got, mistaken) and not _equal(mistaken, want):
            raise Wrong(_sentence(message))
    if _equal(got, want):
        return
    if type(got) is not type(want) and not isinstance(got, int | float | torch.Tensor):
        raise Wrong(f"{what} should be {_kind(want)}, not {_kind(got)}.")
    if isinstance(want, list | tuple) and isinstance(got, list | tuple):
        if len(got) != len(want):
            raise Wrong(
                f"{what} should have {len(want)} entries, {_cut(want)}; "
                f"yours has {len(got)}, {_cut(got)}."
            )
        i = next(i for i, (a, b) in enumerate(zip(got, want, strict=True)) if not _equal(a, b))
        raise Wrong(f"{what} at position {i} should be {_cut(want[i])}; yours is {_cut(got[i])}.")
    if isinstance(want, torch.Tensor) and isinstance(got, torch.Tensor) and want.shape == got.shape:
        i = int((got != want).flatten().nonzero()[0])
        mine, theirs = got.flatten()[i].item(), want.flatten()[i].item()
        raise Wrong(f"{what} {_where(i, want.shape)} should be {theirs}; yours is {mine}.")
    raise Wrong(f"{what} should be {_cut(want)}; yours is {_cut(got)}.")


def raises(error, call, *args, what=None, **kwargs):
    """Reject unless `call(*args, **kwargs)` raises `error` (a class or a tuple of classes). Returns
    the error.

    what: the situation in the reader's words, such as "an empty text". NotImplementedError passes
    through, so that a stub stays "not attempted".
    """
    classes = error if isinstance(error, tuple) else (error,)
    names = " or ".join(c.__name__ for c in classes)
    situation = what or "this input"
    try:
        result = call(*args, **kwargs)
    except classes as caught:
        return caught
    except (Wrong, NotImplementedError):
        raise
    except Exception as other:
        raise Wrong(
            f"{situation} should raise {names}; yours raised {type(other).__name__}: {other}"
        ) from other
    raise Wrong(f"{situation} should raise {names}; yours returned {_cut(result)}.")


@contextlib.contextmanager
def unchanged(*values, what="an input"):
    """Reject when the block changed one of `values` in place (for methods, which are not guarded by
    themselves).
    """
    before = [snapshot(value) for value in values]
    yield
    for old, new in zip(before, values, strict=True):
        if not same_value(old, new):
            raise Wrong(
                f"{what} was changed in place. Work on a copy: the caller still needs the original."
            )


def _tensor(value, what):
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    try:
        if isinstance(value, list | tuple) and any(isinstance(v, torch.Tensor) for v in value):
            return torch.stack([torch.as_tensor(v).detach().cpu() for v in value])
        return torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"{what} should be a tensor or a number, not {_kind(value)}.") from None


def _agree(a, b, rtol, atol):
    if a.shape != b.shape:
        return False
    return bool(torch.allclose(a.double(), b.double(), rtol=rtol, atol=atol, equal_nan=True))


def _equal(a, b):
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            a, b = torch.as_tensor(a), torch.as_tensor(b)
            return a.shape == b.shape and bool((a == b).all())
        return False
    return same_value(a, b) if isinstance(b, list | tuple | dict | np.ndarray) else bool(a == b)


def _constant_ratio(values, want):
    """The one factor between two tensors, or 0: a forgotten scale, a sum where a mean was asked,
    log base 2.
    """
    used = want.abs() > 1e-8
    if int(used.sum()) < 2:
        return 0.0
    ratios = values[used] / want[used]
    middle = ratios.median()
    same = torch.isfinite(ratios).all() and ((ratios - middle).abs() <= 1e-4 * middle.abs()).all()
    return middle.item() if same and middle != 0 else 0.0


def _where(flat, shape):
    if not len(shape):
        return ""
    return f"at [{', '.join(str(int(i)) for i in np.unravel_index(flat, tuple(shape)))}]"


def _kind(value):
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _short(dtype):
    return str(dtype).removeprefix("torch.")


def _cut(value, width=60):
    text = repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _sentence(message):
    return message if message.endswith((".", "?", "!", "`")) else message + "."
