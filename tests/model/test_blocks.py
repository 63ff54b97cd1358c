"""Blocks and their parts against their formulas: norm places, experts, caps, scales, windows."""

import pytest
import torch

from llmlib.model import ModelConfig, Transformer
from llmlib.model.attention import Context, scaled_dot_product
from llmlib.model.blocks import make_block
from llmlib.model.layers import MoE, RMSNorm

BASE = ModelConfig(vocab_size=60, d_model=32, n_layers=2, n_heads=4, max_seq_len=64, init_std=0.2)
PLAIN = Context(None, None, None, None)


def shaken(module):
    """Every weight of ordinary size: norms that differ from 1, biases from 0."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(0.3 * noise if parameter.dim() > 1 else parameter + 0.3 * noise)
    return module


@pytest.mark.parametrize("place", ["pre", "post", "sandwich", "branch", "parallel", "shared"])
def test_where_the_norms_sit(place):
    parallel = place in ("parallel", "shared")
    config = BASE.replace(
        norm_place="pre" if parallel else place, parallel=parallel, shared_norm=place == "shared"
    )
    block = shaken(make_block(config, 0))
    x = torch.randn(2, 5, 32)

    def attn(x):
        return block.attn(x, PLAIN)

    a, m = block.attn_norm, block.mlp_norm
    if place == "pre":
        y = x + attn(a(x))
        expected = y + block.mlp(m(y))
    elif place == "post":
        y = a(x + attn(x))
        expected = m(y + block.mlp(y))
    elif place == "sandwich":
        y = x + block.attn_out_norm(attn(a(x)))
        expected = y + block.mlp_out_norm(block.mlp(m(y)))
    elif place == "branch":
        y = x + a(attn(x))
        expected = y + m(block.mlp(y))
    else:
        m = a if place == "shared" else m
        expected = x + attn(a(x)) + block.mlp(m(x))
    assert torch.equal(block(x, PLAIN), expected)


@pytest.mark.parametrize("renormalize", [True, False])
def test_experts_one_token_at_a_time(renormalize):
    config = BASE.replace(
        n_experts=5, n_experts_per_token=2, d_expert=12, renormalize_experts=renormalize
    )
    moe, x = shaken(MoE(config)), torch.randn(2, 7, 32)
    watched = []
    y = moe(x, watched)
    (routing,) = watched
    assert routing.experts.shape == routing.weights.shape == (2, 7, 2)
    assert routing.probs.shape == (2, 7, 5)
    for b in range(2):
        for t in range(7):
            probs = moe.router(x[b, t]).softmax(-1)
            best = probs.topk(2)
            weights = best.values / best.values.sum() if renormalize else best.values
            expected = sum(
                w * moe.experts[e](x[b, t]) for w, e in zip(weights, best.indices, strict=True)
            )
            assert torch.allclose(y[b, t], expected, atol=1e-5)
            assert routing.experts[b, t].tolist() == best.indices.tolist()
            assert torch.allclose(routing.weights[b, t], weights, atol=1e-6)


def test_routing_of_every_layer_is_watched_and_learns():
    config = BASE.replace(n_experts=4, n_experts_per_token=1)
    model, routing = Transformer(config), []
    with torch.enable_grad():
        model(torch.arange(12)[None], routing=routing)
        assert len(routing) == 2 and routing[0].probs.shape == (1, 12, 4)
        (4 * (routing[0].probs.mean((0, 1)) ** 2).sum()).backward()  # a load-balancing loss
    assert model.blocks[0].mlp.router.weight.grad.abs().max() > 0


def test_one_expert_is_a_plain_network():
    """With a single expert the mixture is the MLP: same weights, same logits."""
    torch.manual_seed(0)
    plain = Transformer(BASE)
    mixed = Transformer(BASE.replace(n_experts=1, n_experts_per_token=1))
    weights = {
        name.replace(".mlp.", ".mlp.experts.0."): t for name, t in plain.state_dict().items()
    }
    weights |= {n: t for n, t in mixed.state_dict().items() if "router" in n}
    mixed.load_state_dict(weights)
    ids = torch.arange(9)[None]
    assert torch.allclose(mixed(ids), plain(ids), atol=1e-6)


def test_caps_and_scales_by_hand():
    q, k, v = torch.randn(3, 1, 2, 6, 8)
    _, pattern = scaled_dot_product(q, k, v, scale=0.7, softcap=1.5)
    expected = (1.5 * torch.tanh(0.7 * q @ k.mT / 1.5)).softmax(-1)
    assert torch.allclose(pattern, expected, atol=1e-6)
    torch.manual_seed(0)
    for tied in (True, False):
        config = BASE.replace(tie_embeddings=tied, logit_scale=0.3, logit_softcap=0.5)
        model = Transformer(config.replace(bias_head=True))
        model.head.bias.normal_()
        x = torch.randn(1, 3, 32)
        logits = 0.3 * (x @ model.head.weight.T + model.head.bias)
        assert torch.allclose(model.head(x), 0.5 * torch.tanh(logits / 0.5), atol=1e-6)
        assert ("head.weight" in model.state_dict()) != tied


def test_embeddings_are_scaled_before_positions_and_normed_after():
    config = BASE.replace(pos="learned", pos_offset=2, embed_scale=3.0, embed_norm=True)
    model = shaken(Transformer(config))
    assert model.pos_embed.weight.shape == (66, 32)
    ids = torch.tensor([[5, 6, 7]])
    summed = 3 * model.embed.weight[5:8] + model.pos_embed.weight[2:5]
    assert isinstance(model.embed_norm, RMSNorm)
    assert torch.allclose(model.hidden_states(ids)[0][0], model.embed_norm(summed), atol=1e-6)


@pytest.mark.parametrize("kind", ["head", "full"])
def test_queries_and_keys_are_normed_before_they_turn(kind):
    """Twice the queries' weights change nothing: the norm takes the length out."""
    torch.manual_seed(0)
    model, ids = Transformer(BASE.replace(qk_norm=kind, norm_eps=1e-12)), torch.arange(9)[None]
    before = model(ids)
    for block in model.blocks:
        block.attn.q_proj.weight *= 2
        block.attn.k_proj.weight *= 3
    assert torch.allclose(model(ids), before, atol=1e-5)
    model.blocks[0].attn.q_norm.weight *= 2
    assert (model(ids) - before).abs().max() > 1e-3
    widths = {"head": 8, "full": 32}
    assert model.blocks[0].attn.k_norm.weight.shape == (widths[kind],)


def test_only_the_chosen_layers_have_the_window():
    patterns = Transformer(BASE.replace(window=3, window_layers=(False, True))).attention_patterns(
        torch.arange(8)[None]
    )
    assert (patterns[0][0, :, 7] > 0).all()
    assert (patterns[1][0, :, 7, :5] == 0).all() and (patterns[1][0, :, 7, 5:] > 0).all()


def test_cross_attention_reads_another_stream():
    """Keys and values of the memory, no mask, no rotation: every query sees every key."""
    attn = shaken(make_block(BASE.replace(n_kv_heads=2), 0)).attn
    x, other = torch.randn(2, 3, 32), torch.randn(2, 7, 32)
    context = Context(None, None, None, None, causal=False)
    y = attn(x, context, memory=attn.keys_values(other))
    q = attn.q_proj(x).view(2, 3, 4, 8).transpose(1, 2)
    k, v = (p(other).view(2, 7, 2, 8).transpose(1, 2) for p in (attn.k_proj, attn.v_proj))
    k, v = (t.repeat_interleave(2, dim=1) for t in (k, v))
    out, _ = scaled_dot_product(q, k, v)
    assert torch.allclose(y, attn.o_proj(out.transpose(1, 2).flatten(2)), atol=1e-5)
