"""Writing text with a model, one token at a time.

Shapes: B batch, T prompt length, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from llmlib.model import KVCache, Transformer

from .constrained import ConstrainedRows, Constraint


@torch.no_grad()
def generate(
    model: Transformer,
    ids: Tensor | Sequence[int] | Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: Sequence[int] = (),
    seed: int | None = None,
    cache: bool = True,
    constraint: Constraint | Sequence[Constraint | None] | None = None,
) -> list[list[int]]:
    """Continue each prompt: the new ids only, one list a row, with the stop id that ended it last.

    ids: prompts (B, T), or lists of unequal lengths (padded on the left in here), or one prompt.
    temperature: logits are divided by it; 0 takes the likeliest token (greedy).
    top_k: only the k likeliest tokens; top_p: only the fewest likeliest whose probabilities, after
        temperature and top_k, add up to at least p (nucleus sampling, Holtzman et al. 2020).
    stop: ids that end a row. seed: makes the sample repeatable; None uses torch's global generator.
    cache: keep keys and values of earlier tokens; the text is the same without, only slower.
    constraint: what each row's new text must match, a `Regex` or a `JsonSchema`: one for all rows,
        or one (or None) a row. Tokens that would break it get no probability, the others share it
        in the model's proportions, before top_k and top_p; stop ids count where the text may end.

    A row ends at a stop id, after max_new_tokens, when its constraint allows nothing more, or when
    the context is full: the longest prompt and the new tokens together are at most
    model.config.max_seq_len, and a prompt that leaves no room is a ValueError. Nothing is dropped
    from the beginning behind the caller's back. A row that ran out of room may be half a match.
    """
    _check_sampling(max_new_tokens, temperature, top_k, top_p)
    device = model.embed.weight.device
    tokens, is_real = _as_batch(ids, device)  # (B, T)
    B, T = tokens.shape
    room = model.config.max_seq_len - T
    if room < 1:
        raise ValueError(
            f"a prompt of {T} tokens leaves no room in the model's context of "
            f"{model.config.max_seq_len}: shorten it"
        )
    n_new = min(max_new_tokens, room)
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    store = KVCache(model.config, B, T + n_new, device, _cache_dtype(model)) if cache else None
    rows: list[list[int]] = [[] for _ in range(B)]
    stop_ids, new, V = set(stop), tokens, model.config.vocab_size
    rules = None if constraint is None else ConstrainedRows(constraint, B, V, sorted(stop_ids))
    alive = {row for row in range(B) if rules is None or not rules.ended(row)}
    for _ in range(n_new if alive else 0):
        seen = new if cache else tokens
        pad_mask = None if is_real is None else is_real[:, -seen.shape[1] :]
        logits = model.head(model.features(seen, cache=store, pad_mask=pad_mask)[:, -1])  # (B, V)
        if rules is not None:
            logits = rules.restrict(logits, alive)
        new = sample(logits, temperature, top_k, top_p, generator)[:, None]  # (B, 1)
        written = new[:, 0].tolist()
        for row in sorted(alive):
            rows[row].append(written[row])
            if written[row] in stop_ids:
                alive.discard(row)
            elif rules is not None:
                rules.advance(row, written[row])
                alive -= {row} if rules.ended(row) else set()
        if not alive:
            break
        tokens = torch.cat((tokens, new), dim=1)
        if is_real is not None:
            is_real = torch.cat((is_real, is_real.new_ones(B, 1)), dim=1)
    return rows


def sample(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one id a row from logits (B, V) -> (B,); see `generate`. Ties break to the lowest id."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits.float() / temperature
    if top_k is not None or top_p is not None:
        logits, order = logits.sort(dim=-1, descending=True, stable=True)
        if top_k is not None:
            logits[:, top_k:] = -torch.inf
        probs = logits.softmax(dim=-1)
        if top_p is not None:
            probs[probs.cumsum(dim=-1) - probs >= top_p] = 0  # enough came before: not needed
        choice = torch.multinomial(probs, 1, generator=generator)
        return order.gather(-1, choice)[:, 0]
    return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]


def complete(
    model: Transformer,
    tokenizer,
    prompt: str,
    *,
    max_new_tokens: int = 100,
    stop: Sequence[str] = ("<|endoftext|>",),
    allowed_special: str | Sequence[str] = (),
    **sampling,
) -> str:
    """Continue a string: the new text only, without the stop token. Other arguments: `generate`.

    stop: names of special tokens that end the text; those the tokenizer does not know are ignored.
    allowed_special: special tokens that may be written in the prompt ("all", or their names). A
    prompt without a single token starts from <|endoftext|>, as every document does in training.
    """
    special = tokenizer.special_tokens
    ids = tokenizer.encode(prompt, allowed_special=allowed_special)
    if not ids:
        if "<|endoftext|>" not in special:
            raise ValueError("the prompt is empty and there is no <|endoftext|> to start from")
        ids = [special["<|endoftext|>"]]
    stop_ids = [special[name] for name in stop if name in special]
    new = generate(model, [ids], max_new_tokens=max_new_tokens, stop=stop_ids, **sampling)[0]
    return tokenizer.decode(new[:-1] if new and new[-1] in stop_ids else new)


def _as_batch(ids, device) -> tuple[Tensor, Tensor | None]:
    """Prompts as (B, T) on the device, and which are real: (B, T) bool, or None if all are."""
    if isinstance(ids, Tensor):
        return (ids if ids.dim() == 2 else ids[None]).to(device), None
    plain = [row.tolist() if hasattr(row, "tolist") else row for row in ids]  # arrays, too
    rows = [plain] if plain and isinstance(plain[0], int) else plain
    if not rows or not all(rows):
        raise ValueError("generate needs at least one prompt, each of at least one token")
    longest = max(len(row) for row in rows)
    tokens = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    is_real = torch.arange(longest, device=device) >= longest - lengths[:, None]
    return tokens, None if is_real.all() else is_real


def _cache_dtype(model: Transformer) -> torch.dtype:
    """Autocast makes keys and values in its own precision; else they are in the weights'."""
    device = model.embed.weight.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return model.embed.weight.dtype


def _check_sampling(max_new_tokens, temperature, top_k, top_p) -> None:
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (greedy) or above, not {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}")
