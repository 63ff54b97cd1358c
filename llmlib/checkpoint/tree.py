"""Nested Python values with tensors in them, as JSON and a flat dictionary of tensors."""

from torch import Tensor


def flatten(value, prefix: str = "") -> tuple[object, dict[str, Tensor]]:
    """(JSON-able skeleton, tensors by name) of nested dicts, lists, tuples, numbers and tensors.

    >>> flatten({"step": 3, "moments": [torch.zeros(2)]}, "state")[0]
    {'step': 3, 'moments': [{'<tensor>': 'state.moments.0'}]}
    """
    if isinstance(value, Tensor):
        return {"<tensor>": prefix}, {prefix: value.detach()}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            pairs = {key: flatten(item, f"{prefix}.{key}") for key, item in value.items()}
            tensors = {k: t for _, found in pairs.values() for k, t in found.items()}
            return {key: skeleton for key, (skeleton, _) in pairs.items()}, tensors
        # JSON would turn other keys, such as the optimizers' integers, into strings
        skeleton, tensors = flatten([list(pair) for pair in value.items()], prefix)
        return {"<items>": skeleton}, tensors
    if isinstance(value, (list, tuple)):
        parts = [flatten(item, f"{prefix}.{i}") for i, item in enumerate(value)]
        tensors = {k: t for _, found in parts for k, t in found.items()}
        skeleton = [part for part, _ in parts]
        return {"<tuple>": skeleton} if isinstance(value, tuple) else skeleton, tensors
    if value is None or isinstance(value, (bool, int, float, str)):
        return value, {}
    raise TypeError(f"cannot store a {type(value).__name__} in a checkpoint (at {prefix})")


def unflatten(skeleton, tensors: dict[str, Tensor]):
    """What `flatten` took apart."""
    if isinstance(skeleton, list):
        return [unflatten(item, tensors) for item in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    if skeleton.keys() == {"<tensor>"}:
        return tensors[skeleton["<tensor>"]].clone()
    if skeleton.keys() == {"<tuple>"}:
        return tuple(unflatten(skeleton["<tuple>"], tensors))
    if skeleton.keys() == {"<items>"}:
        return dict(unflatten(skeleton["<items>"], tensors))
    return {key: unflatten(item, tensors) for key, item in skeleton.items()}
