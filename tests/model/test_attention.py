"""Who sees whom: masks, windows, packed documents, padding, cache; both ways to compute it."""

import pytest
import torch
import torch.nn.functional as F

from llmlib.model import KVCache, ModelConfig, RopeScaling, Transformer, document_positions
from llmlib.model.attention import causal_mask, scaled_dot_product, window_mask

BASE = ModelConfig(vocab_size=60, d_model=48, n_layers=3, n_heads=6, max_seq_len=64, init_std=0.15)
VARIANTS = {
    "rope, grouped": {"n_kv_heads": 2},
    "multi-query, window": {"n_kv_heads": 1, "window": 7},
    "alibi": {"pos": "alibi"},
    "alibi, grouped, window": {"pos": "alibi", "n_kv_heads": 3, "window": 5},
    "learned, biases": {
        "pos": "learned",
        "norm": "layernorm",
        "norm_bias": True,
        "bias_qkv": True,
        "bias_o": True,
        "bias_mlp": True,
    },
    "sinusoidal, post": {"pos": "sinusoidal", "norm_place": "post", "gated": False},
    "parallel, partial": {"parallel": True, "rope_dim": 4, "tie_embeddings": False},
    "bare": {"pos": "none", "norm": "none", "activation": "relu2"},
    "sandwich, caps, some windows": {
        "norm_place": "sandwich",
        "qk_norm": "head",
        "n_kv_heads": 2,
        "window": 6,
        "window_layers": (True, False, True),
        "rope_theta_local": 50.0,
        "rope_scaling": RopeScaling("linear", 2.0),
        "attn_scale": 0.4,
        "attn_softcap": 2.0,
        "logit_softcap": 3.0,
        "embed_scale": 2.0,
    },
    "branch, experts": {
        "norm_place": "branch",
        "qk_norm": "full",
        "rope_interleaved": True,
        "n_kv_heads": 3,
        "n_experts": 4,
        "n_experts_per_token": 2,
        "d_expert": 20,
    },
    "relative, shared norm": {
        "pos": "relative",
        "rel_buckets": 8,
        "rel_max_distance": 16,
        "parallel": True,
        "shared_norm": True,
        "embed_norm": True,
        "attn_scale": 1.0,
        "logit_scale": 0.5,
        "bias_head": True,
    },
    "alibi scaled, offset head": {
        "pos": "alibi",
        "alibi_scaled": True,
        "tie_embeddings": False,
        "bias_head": True,
        "final_norm": False,
    },
}


@pytest.fixture(params=VARIANTS, ids=VARIANTS)
def model(request):
    torch.manual_seed(0)
    return Transformer(BASE.replace(**VARIANTS[request.param]))


def ids_of(rows=2, length=24, seed=0):
    return torch.randint(60, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_spelled_out_attention_is_torchs():
    q, k, v = torch.randn(3, 2, 4, 10, 8)
    for mask in (None, causal_mask(10), torch.randn(10, 10)):
        y, pattern = scaled_dot_product(q, k, v, mask)
        assert torch.allclose(y, F.scaled_dot_product_attention(q, k, v, mask), atol=1e-6)
        assert torch.allclose(pattern.sum(-1), torch.ones(2, 4, 10))


def test_masks_by_hand():
    assert causal_mask(2, 3).tolist() == [[True, True, False], [True, True, True]]
    assert window_mask(4, 2).int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 1],
    ]
    assert window_mask(1, 2, 5).int().tolist() == [[0, 0, 0, 1, 1]]


def test_eager_path_equals_fast_path(model):
    patterns = []
    ids, mask = ids_of(), torch.arange(24) >= torch.tensor([[0], [5]])
    for batch in ({}, {"pad_mask": mask}):
        patterns.clear()
        eager = model(ids, patterns=patterns, **batch)
        # 15 seeds: at most 1.4e-6
        assert (eager - model(ids, **batch)).abs().max() <= 5e-6 * max(1, eager.abs().max())
        assert [p.shape for p in patterns] == [(2, 6, 24, 24)] * 3
        for pattern in patterns:
            assert torch.allclose(pattern.sum(-1), torch.ones(2, 6, 24), atol=1e-5)
            assert pattern.triu(1).max() == 0
    assert torch.equal(model.attention_patterns(ids)[1], _patterns(model, ids)[1])


def _patterns(model, ids):
    patterns = []
    model(ids, patterns=patterns)
    return patterns


def test_the_future_is_not_seen(model):
    a, b = ids_of(), ids_of()
    b[:, 15:] = (b[:, 15:] + 1) % 60
    assert torch.allclose(model(a)[:, :15], model(b)[:, :15], atol=1e-5)
    assert (model(a)[:, 15:] - model(b)[:, 15:]).abs().max() > 1e-3


@pytest.mark.parametrize("window", [1, 4, 24])
def test_window_sees_exactly_w_tokens(window):
    model = Transformer(BASE.replace(n_layers=1, window=window))
    ids = ids_of(rows=1)
    last = model(ids)[0, -1]
    for back in range(24):
        other = ids.clone()
        other[0, 23 - back] = (other[0, 23 - back] + 1) % 60
        seen = (model(other)[0, -1] - last).abs().max() > 1e-5
        assert seen == (back < window), f"{back} tokens back"


def test_cached_equals_uncached(model):
    ids = ids_of()
    cache, parts = KVCache(model.config, 2, 24), []
    for part in ids.split([11, 1, 1, 6, 1, 1, 1, 1, 1], dim=1):
        parts.append(model(part, cache=cache))
    assert (torch.cat(parts, dim=1) - model(ids)).abs().max() <= 2e-5


def test_a_cache_does_not_reach_beyond_the_context(model):
    """It may have been given more room than the model has positions."""
    cache = KVCache(model.config, 1, 80)
    model(ids_of(rows=1, length=64), cache=cache)
    with pytest.raises(ValueError, match="65 tokens are more than the model's max_seq_len 64"):
        model(ids_of(rows=1, length=1), cache=cache)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(model, side):
    short = ids_of(rows=1, length=16, seed=3)
    junk = ids_of(rows=1, length=8, seed=4)
    pieces = (junk, short) if side == "left" else (short, junk)
    mask = torch.cat([torch.full_like(p, p is short, dtype=torch.bool) for p in pieces], dim=1)
    ids = torch.cat((ids_of(rows=1), torch.cat(pieces, dim=1)))
    mask = torch.cat((torch.ones(1, 24, dtype=torch.bool), mask))
    logits = model(ids, pad_mask=mask)
    assert torch.isfinite(logits).all()
    assert torch.allclose(logits[1][mask[1]], model(short)[0], atol=2e-5)
    assert torch.allclose(logits[0], model(ids[:1])[0], atol=2e-5)


def test_left_padded_batch_with_cache(model):
    ids, mask = ids_of(), torch.arange(24) >= torch.tensor([[0], [9]])
    cache = KVCache(model.config, 2, 30)
    first = model(ids[:, :14], cache=cache, pad_mask=mask[:, :14])
    rest = [model(ids[:, t : t + 1], cache=cache) for t in range(14, 24)]
    together = torch.cat((first, *rest), dim=1)
    assert (together - model(ids, pad_mask=mask))[mask].abs().max() <= 2e-5


def test_packed_documents_do_not_see_each_other(model):
    a, b, c = (ids_of(rows=1, length=n, seed=n) for n in (9, 8, 7))
    doc_ids = torch.tensor([[4] * 9 + [7] * 8 + [2] * 7])
    packed = model(torch.cat((a, b, c), dim=1), doc_ids=doc_ids)
    alone = torch.cat([model(document) for document in (a, b, c)], dim=1)
    assert torch.allclose(packed, alone, atol=2e-5)
    assert document_positions(doc_ids).tolist() == [[*range(9), *range(8), *range(7)]]


def test_positions_given_override_those_of_documents():
    torch.manual_seed(0)
    model = Transformer(BASE.replace(pos="learned"))
    ids, doc_ids = ids_of(rows=1), torch.tensor([[0] * 12 + [1] * 12])
    running = model(ids, doc_ids=doc_ids, position_ids=torch.arange(24))
    assert torch.allclose(running[:, :12], model(ids, doc_ids=doc_ids)[:, :12], atol=1e-5)
    assert (running - model(ids, doc_ids=doc_ids))[:, 12:].abs().max() > 1e-3


def test_gradients_are_finite_and_reach_every_parameter(model):
    ids, mask = ids_of(), torch.arange(24) >= torch.tensor([[0], [5]])
    with torch.enable_grad():
        model(ids, pad_mask=mask).logsumexp(-1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0 or name.endswith("k_proj.bias"), name


def test_sixteen_bits_train_like_thirty_two(model):
    """On a CPU attention leaves bfloat16 for its backward pass: same gradients, same types."""
    ids, doc_ids = ids_of(), torch.tensor([[0] * 24, [0] * 9 + [1] * 15])
    grads = []
    for low in (False, True):
        model.zero_grad()
        with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            logits = model(ids, doc_ids=doc_ids)
            F.cross_entropy(logits.float().flatten(0, 1), ids.flatten()).backward()
        assert logits.dtype == (torch.bfloat16 if low else torch.float32)
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert F.cosine_similarity(*grads, dim=0) > 0.99
    whole = model.bfloat16()  # weights too, masks and biases with them
    with torch.enable_grad():
        whole(ids, doc_ids=doc_ids).float().logsumexp(-1).sum().backward()
    assert whole.embed.weight.grad.isfinite().all()


def test_hidden_states_end_where_the_head_begins(model):
    ids = ids_of()
    states = model.hidden_states(ids)
    assert [s.shape for s in states] == [(2, 24, 48)] * 4
    assert torch.allclose(model.head(model.norm(states[-1])), model(ids), atol=1e-6)
    assert torch.equal(model.norm(states[-1]), model.features(ids))


def test_weights_survive_a_state_dict_and_a_deep_copy(model):
    import copy

    ids, twin = ids_of(), copy.deepcopy(model)
    assert torch.equal(twin(ids), model(ids))
    tied = model.config.tie_embeddings
    assert (twin.head.weight is twin.embed.weight) == tied
    assert ("head.weight" in model.state_dict()) != tied
    fresh = Transformer(model.config)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(ids), model(ids))


def test_bad_input_is_refused():
    model = Transformer(BASE)
    good = ids_of(rows=1)
    cases = [
        (torch.zeros(0, 5, dtype=torch.long), {}, "at least one"),
        (torch.zeros(2, 0, dtype=torch.long), {}, "at least one"),
        (torch.zeros(5, dtype=torch.long), {}, "shape"),
        (torch.zeros(1, 5), {}, "whole numbers"),
        (torch.zeros(1, 65, dtype=torch.long), {}, "max_seq_len"),
        (good, {"pad_mask": torch.ones(1, 24)}, "bool"),
        (good, {"pad_mask": torch.ones(1, 23, dtype=torch.bool)}, "shaped like ids"),
        (good, {"doc_ids": torch.zeros(24, dtype=torch.long)}, "shaped like ids"),
        (good, {"cache": KVCache(BASE, 1, 20)}, "room"),
        (good, {"cache": KVCache(BASE, 2, 30)}, "rows"),
        (good, {"cache": KVCache(BASE, 1, 30), "doc_ids": torch.zeros_like(good)}, "doc_ids"),
    ]
    for ids, batch, message in cases:
        with pytest.raises(ValueError, match=message):
            model(ids, **batch)
    for wrong in (-1, 60):
        with pytest.raises(IndexError, match="vocabulary"):
            model(torch.tensor([[3, wrong]]))
    with pytest.raises(ValueError, match="room"):
        KVCache(BASE, 0)
