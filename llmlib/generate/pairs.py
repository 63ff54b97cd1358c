"""Writing with an encoder–decoder: the text to read is given, the text to write begins empty.

Shapes: B batch, S length of the texts to read, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from llmlib.model import DecoderCache, EncoderDecoder

from .decode import as_batch, check_counts, stop_ids
from .sampling import Sampling, sample


@torch.no_grad()
def generate_pairs(
    model: EncoderDecoder,
    sources: Tensor | Sequence[int] | Sequence[Sequence[int]],
    *,
    start: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    stop: Sequence[int] = (),
    seed: int | None = None,
    cache: bool = True,
) -> list[list[int]]:
    """What the decoder writes to each source: one list of ids a row, its stop id the last.

    sources: texts to read (B, S), or lists of unequal lengths, or one text. start: the id that the
    decoder was trained to begin with; it is not part of the result. Other arguments: `generate`.
    """
    sampling = Sampling(temperature, top_k, top_p, min_p, 1.0)
    sampling.check()
    check_counts(max_new_tokens=max_new_tokens)
    device, stops = model.embed.weight.device, stop_ids(stop, model.config.vocab_size)
    ids, is_real = as_batch(sources, device)  # (B, S)
    memory = model.remember(model.encode(ids, is_real), is_real)
    B = len(ids)
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    store = None
    if cache:
        dtype = memory.keys_values[0][0].dtype  # under autocast not that of the weights
        store = DecoderCache(model.config, B, max_new_tokens, device, dtype)
    written = torch.full((B, 1), start, device=device)
    rows: list[list[int]] = [[] for _ in range(B)]
    alive = set(range(B))
    for _ in range(max_new_tokens):
        new = written[:, -1:] if cache else written
        logits = model.head(model.decoder_features(new, memory, store)[:, -1])  # (B, V)
        token = sample(logits, temperature, top_k, top_p, generator, min_p)  # (B,)
        for row in sorted(alive):
            rows[row].append(int(token[row]))
        alive -= {row for row in alive if rows[row][-1] in stops}
        if not alive:
            break
        written = torch.cat((written, token[:, None]), dim=1)
    return rows
