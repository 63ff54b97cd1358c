"""The cache of a window: the same logits, few slots, tokens taken back, rows moved."""

import itertools

import pytest
import torch

from llmlib.generate import generate
from llmlib.model import KVCache, ModelConfig, Transformer

BASE = ModelConfig(
    vocab_size=40, d_model=32, n_layers=3, n_heads=4, n_kv_heads=2, max_seq_len=130, init_std=0.2
)
LAYERS = {"all": None, "some": (True, False, True)}
PIECES = {
    "a prompt, then one by one": [30] + [1] * 90,
    "all at once": [120],
    "chunks that just fit and do not": [3, 40, 1, 1, 20, 2, 2, 5, 6, 4, 4, 1, 31],
    "pairs": [2] * 60,
}


def build(**fields):
    torch.manual_seed(0)
    return Transformer(BASE.replace(**fields)), torch.randint(0, 40, (2, 120))


def in_pieces(model, ids, mask, pieces, cache):
    parts, start = [], 0
    for size in pieces:
        part = slice(start, start + size)
        pad_mask = None if mask is None else mask[:, part]
        parts.append(model(ids[:, part], cache=cache, pad_mask=pad_mask))
        start += size
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("pos", ["rope", "alibi"])
@pytest.mark.parametrize("padded", [False, True])
@torch.no_grad()
def test_cached_equals_uncached_beyond_the_windows_slots(layers, pos, padded):
    model, ids = build(window=7, window_layers=LAYERS[layers], pos=pos)
    mask = torch.ones(2, 120, dtype=torch.bool)
    mask[0, :9] = not padded
    mask_or_none = mask if padded else None
    expected = model(ids, pad_mask=mask_or_none)
    for pieces in PIECES.values():
        cache = KVCache(model.config, 2, 120, slack=4)
        logits = in_pieces(model, ids, mask_or_none, pieces, cache)
        assert (logits - expected)[mask].abs().max() <= 2e-5
        assert cache.k[0].shape[2] == 7 + 8


@pytest.mark.parametrize("layers", LAYERS)
@torch.no_grad()
def test_tokens_can_be_taken_back(layers):
    """A walk to and fro, as speculative decoding walks: never more than `slack` back."""
    model, ids = build(window=6, window_layers=LAYERS[layers])
    expected, generator = model(ids), torch.Generator().manual_seed(1)
    cache, at = KVCache(model.config, 2, 120, slack=4), 0
    while at < 120:
        forth, back = (int(n) for n in torch.randint(1, 7, (2,), generator=generator))
        part = slice(at, min(at + forth, 120))
        assert (model(ids[:, part], cache=cache) - expected[:, part]).abs().max() <= 2e-5
        at = max(0, part.stop - min(back - 1, forth - 1, 4))
        cache.truncate(at)
    with pytest.raises(ValueError, match="cannot go back to 40"):
        cache.truncate(40)
    with pytest.raises(ValueError, match="cannot go back to 121"):
        cache.truncate(121)


def test_without_a_window_everything_can_be_taken_back():
    model, ids = build()
    cache = KVCache(model.config, 2, 120)
    mask = torch.ones(2, 50, dtype=torch.bool)
    mask[0, :20] = False
    first = model(ids[:, :50], cache=cache, pad_mask=mask)
    cache.truncate(0)
    again = model(ids[:, :50], cache=cache)  # the padding is forgotten, too
    assert (again - model(ids[:, :50])).abs().max() <= 2e-5
    assert (first - again)[0].abs().max() > 0.1


def test_memory_is_the_windows_not_the_texts():
    config = BASE.replace(window=64, max_seq_len=100_000)
    token = 2 * 2 * 8 * 4  # keys and values, G heads, K numbers, bytes each
    assert KVCache(config, 1).n_bytes == 3 * token * (64 + 32)
    assert KVCache(config, 1, 40).n_bytes == 3 * token * 40
    assert KVCache(config.replace(window=None), 1).n_bytes == 3 * token * 100_000
    some = config.replace(window_layers=(True, True, False))
    assert KVCache(some, 1).n_bytes == token * (2 * 96 + 100_000)


@pytest.mark.parametrize("window", [1, 6])
def test_a_text_goes_on_far_beyond_the_cache(window):
    model, _ = build(window=window)
    options = {"max_new_tokens": 200, "temperature": 0}
    prompts = [[1, 2, 3], [4] * 20, [5]]
    rows = generate(model, prompts, **options)
    assert {len(row) for row in rows} == {110}  # up to max_seq_len: 20 + 110
    assert rows == generate(model, prompts, cache=False, **options)


@torch.no_grad()
def test_rows_can_be_moved():
    model, ids = build(window=6, window_layers=LAYERS["some"])
    cache = KVCache(model.config, 2, 120, slack=2)
    model(ids[:, :50], cache=cache)
    cache.select([1, 1, 0])
    logits = model(ids[[1, 1, 0], 50:60], cache=cache)
    assert cache.batch_size == 3
    assert (logits - model(ids[:, :60])[[1, 1, 0], 50:]).abs().max() <= 2e-5


@pytest.mark.parametrize("sizes", list(itertools.product((0, 1), repeat=3)))
def test_a_cache_needs_room(sizes):
    if all(sizes):
        assert KVCache(BASE, sizes[0], sizes[1], slack=sizes[2]).slots == 1
        return
    with pytest.raises(ValueError, match="needs room"):
        KVCache(BASE, sizes[0], sizes[1], slack=sizes[2])
