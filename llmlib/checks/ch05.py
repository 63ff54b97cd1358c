"""Checkers for chapter 05, the transformer."""

import math

import torch

from llmlib.model import ModelConfig, Transformer, count_parameters

from . import Wrong, close, equal, exercise, expect, is_type, same_shape

CHAPTER = "The transformer"  # the name in the progress table


@exercise("05.1", "RMSNorm")
def ex_05_1(attempt):
    """Vectors with a mean, a scale that is not one, and an eps large enough to be seen."""
    x, weight, eps = torch.randn(2, 3, 8) + 1.0, torch.rand(8) + 0.5, 0.3
    mean_square = x.square().mean(-1, keepdim=True)
    centred = x - x.mean(-1, keepdim=True)
    got = attempt(x, weight, eps)
    same_shape(got, x, "the normed vectors")
    close(
        got,
        weight * x / (mean_square + eps).sqrt(),
        "the normed vectors",
        known={
            "you subtract the mean: that is LayerNorm's, RMSNorm leaves it in": weight
            * centred
            / (centred.square().mean(-1, keepdim=True) + eps).sqrt(),
            "you divide by the root of the sum of squares: it is the root of their mean": weight
            * x
            / (x.square().sum(-1, keepdim=True) + eps).sqrt(),
            "eps belongs inside the root, with the mean square": weight
            * x
            / (mean_square.sqrt() + eps),
            "the scale `weight` is not applied": x / (mean_square + eps).sqrt(),
            "you divide by the mean square and forget the root": weight * x / (mean_square + eps),
            "eps is not used": weight * x / mean_square.sqrt(),
            "the scale is `weight`, not 1 + `weight`": (1 + weight)
            * x
            / (mean_square + eps).sqrt(),
            "you average over the wrong axis: the numbers of one token are the last one": weight
            * x
            / (x.square().mean(0, keepdim=True) + eps).sqrt(),
            "you average over the whole tensor: each token has its own root mean square": weight
            * x
            / (x.square().mean() + eps).sqrt(),
        },
    )


@exercise("05.2", "the width of a SwiGLU")
def ex_05_2(attempt):
    """Exact multiples, just above and just below one."""
    for d_model, multiple in [(4096, 256), (768, 64), (5120, 256), (128, 16), (96, 1)]:
        got = attempt(d_model, multiple)
        is_type(got, int, "the width")
        low = 8 * d_model // (3 * multiple) * multiple
        equal(
            got,
            -(-8 * d_model // (3 * multiple)) * multiple,
            f"the width for d_model {d_model} in multiples of {multiple}",
            known={
                f"for d_model {d_model} in multiples of {multiple} you round down: the width "
                "should be at least 8/3 of d_model": low,
                f"8/3 of {d_model} is already a multiple of {multiple}, and you go one step "
                "further": low + multiple,
                "the width has to be a multiple of `multiple_of`": 8 * d_model // 3,
                "4 × d_model is the width of a plain MLP; with three matrices it is 8/3": 4
                * d_model,
            },
        )


_LLAMAS = [  # vocab_size, d_model, n_layers, n_heads, n_kv_heads, d_ff, tied
    (97, 24, 3, 6, 2, 40, True),
    (97, 24, 3, 6, 6, 40, False),
    (50, 32, 2, 4, 1, 88, False),
]


def _llama_count(V, D, L, n_heads, n_kv_heads, d_ff, tied):
    config = ModelConfig(V, D, L, n_heads, n_kv_heads, d_ff=d_ff, tie_embeddings=tied)
    return count_parameters(config)["total"]


@exercise("05.3", "count a Llama")
def ex_05_3(attempt):
    """Tied and untied, full and grouped attention, against the parameters of the built model."""
    for sizes in _LLAMAS:
        got = attempt(*sizes)
        V, D, L, n_heads, n_kv_heads, d_ff, tied = sizes
        want = _llama_count(*sizes)
        spared = 2 * L * D * (D - n_kv_heads * D // n_heads)
        table = 0 if tied else V * D
        equal(
            got,
            want,
            f"the count for {sizes}",
            known={
                "keys and values have n_kv_heads heads, and you count n_heads": want + spared,
                "an untied head has a table of its own: it is missing": want - table,
                "the norm after the last block is missing": want - D,
                "a SwiGLU has three matrices, and you count two": want - L * D * d_ff,
                "a block has two norms, and you count one": want - L * D,
                "you count norms with a shift: RMSNorm has a scale only": want + (2 * L + 1) * D,
                "a tied head is the embedding table: you count it twice": want + V * D,
                "the embedding table is missing": want - V * D,
                "the norms are missing: two in each block, one after the last": want
                - (2 * L + 1) * D,
                "you count biases: there are none anywhere": want
                + L * (2 * D + 2 * n_kv_heads * D // n_heads),
                "attention has four matrices, and one of D × D is missing": want - L * D * D,
                "the key–value heads are n_kv_heads, and you count one": want
                - 2 * L * D * (n_kv_heads - 1) * D // n_heads,
            },
        )


@exercise("05.4", "when attention takes over")
def ex_05_4(attempt):
    """GPT-2's shape, a gated one, and sizes whose quotient is not whole."""
    for d_model, d_ff, gated in [(768, 3072, False), (4096, 11008, True), (10, 7, True)]:
        got = attempt(d_model, d_ff, gated)
        is_type(got, int, "the context length")
        matrices = 2 * (4 * d_model + (3 if gated else 2) * d_ff)
        other = 2 * (4 * d_model + (2 if gated else 3) * d_ff)
        equal(
            got,
            -(-matrices // 4),
            f"the context length for d_model {d_model}, d_ff {d_ff}, gated {gated}",
            known={
                "one token earlier the scores still cost less: round up, not down": matrices // 4,
                "the scores cost 4 T D, and you count 2 T D: both the products with the keys and "
                "the averaging of the values": -(-matrices // 2),
                "you count one FLOP for each weight of a matrix; a multiplication and an addition "
                "are two": -(-matrices // 8),
                "a gated MLP has three matrices, a plain one two: yours has it the wrong way or "
                "ignores `gated`": -(-other // 4),
                "6 d_model is right for GPT-2's shape only, where d_ff is 4 d_model": 6 * d_model,
                "at this length the scores cost as much as the matrices already: at least as much "
                "is asked, not more": matrices // 4 + 1,
                "the matrices of attention are missing": -(-2 * (3 if gated else 2) * d_ff // 4),
            },
        )


@exercise("05.5", "predict the stream with ReLU")
def ex_05_5(attempt):
    """Sizes that are all different, so that none can stand in for another."""
    for d, f, layers, std, out in [(64, 200, 5, 0.1, 0.03), (768, 3072, 12, 0.02, 0.02)]:
        gain = d * std**2
        start, attention, mlp = 2 * std**2, gain * d * out**2, gain / 2 * f * out**2
        want = start + layers * (attention + mlp)
        close(
            attempt(d, f, layers, std, out),
            want,
            f"the mean square for d_model {d}, d_ff {f}, {layers} blocks, std {std}, std_out {out}",
            rtol=1e-6,
            atol=0,
            known={
                "the ReLU halves the mean square of what the detectors say": start
                + layers * (attention + 2 * mlp),
                "down_proj has d_ff inputs, not d_model": start
                + layers * (attention + mlp * d / f),
                "the stream starts with two tables, so at 2 std²": start / 2
                + layers * (attention + mlp),
                "the embedding at the start is missing": layers * (attention + mlp),
                "that is the root mean square; the task asks for the mean square": math.sqrt(want),
                "attention is two matrices in a row: yours has one": start
                + layers * (d * out**2 + mlp),
                "you add one block only: every block writes": start + attention + mlp,
                "the MLPs are missing": start + layers * attention,
                "attention is missing": start + layers * mlp,
                "a matrix multiplies the mean square by its inputs times the *square* of the "
                "standard deviation": start + layers * (d * std * d * out + d * std / 2 * f * out),
                "`std_out` is not used: the writers have a standard deviation of their own": start
                + layers * (gain * gain + gain / 2 * f * std**2),
                "the norm sets the input of every worker to mean square 1, so what a block adds "
                "does not depend on the stream": start * (1 + attention + mlp) ** layers,
            },
        )


@exercise("05.6", "the votes of the blocks")
def ex_05_6(attempt):
    """A random model of three blocks; the votes must sum to its own logit."""
    model = Transformer(
        ModelConfig(vocab_size=11, d_model=16, n_layers=3, n_heads=2, init_std=0.4, norm_eps=0.1)
    )
    with torch.no_grad():
        model.norm.weight.copy_(torch.rand(16) + 0.5)
        ids = torch.randint(11, (2, 5))
        logit = model(ids)[..., 4]
        states = model.hidden_states(ids)
        weight, direction = model.norm.weight.detach().clone(), model.head.weight[4].clone()
    eps = 0.1

    def votes(parts, roots, scale=weight):
        return torch.stack([scale * p / r @ direction for p, r in zip(parts, roots, strict=True)])

    def root(x):
        return (x.square().mean(-1, keepdim=True) + eps).sqrt()

    parts = [states[0], *(b - a for a, b in zip(states, states[1:], strict=False))]
    shared = [root(states[-1])] * 4
    got = attempt(states, weight, eps, direction)
    same_shape(got, (4, 2, 5), "the votes")
    close(
        got,
        votes(parts, shared),
        "the votes",
        rtol=1e-4,
        atol=1e-5,
        known={
            "these are the votes of the whole stream up to each block; take the difference of "
            "neighbouring states": votes(states, shared),
            "you divide each part by its own root mean square; the norm divides all of them by "
            "that of the final stream": votes(parts, map(root, parts)),
            "you divide by the root mean square of the stream at that block; the norm sees only "
            "the final one": votes(parts, map(root, states)),
            "the scale `weight` of the norm is missing": votes(parts, shared, 1.0),
            "eps is missing under the root": votes(
                parts, [states[-1].square().mean(-1, keepdim=True).sqrt()] * 4
            ),
            "you subtract means: that is LayerNorm's, and the model ends in an RMSNorm": votes(
                [p - p.mean(-1, keepdim=True) for p in parts],
                [(states[-1].var(-1, unbiased=False, keepdim=True) + eps).sqrt()] * 4,
            ),
            "the norm is missing: nothing is divided": votes(parts, [torch.ones(1)] * 4),
        },
    )
    close(got.sum(0), logit, "the sum of the votes", rtol=1e-4, atol=1e-4)


@exercise("05.7", "GPT-2's start", may_mutate=True, may_return_none=True)
def ex_05_7(attempt):
    """Spoil every parameter, let the attempt start it anew, measure each one's spread."""
    model = Transformer(
        ModelConfig(
            vocab_size=300,
            d_model=64,
            n_layers=8,
            n_heads=4,
            max_seq_len=300,
            norm="layernorm",
            norm_bias=True,
            gated=False,
            pos="learned",
            bias_qkv=True,
            bias_o=True,
            bias_mlp=True,
        )
    )
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(7.0)
    attempt(model, 0.05)
    for name, p in model.named_parameters():
        _check_start(name, p.detach(), 0.05, layers=8)


def _check_start(name, p, std, layers):
    if (p == 7.0).all():
        raise Wrong(f"{name} was left as it was: every parameter has to be overwritten.")
    if p.dim() == 1:
        want = 0.0 if name.endswith("bias") else 1.0
        kind = "a bias should start at 0" if want == 0 else "the scale of a norm should start at 1"
        expect(bool((p == want).all()), f"{kind}; {name} has mean {p.mean():.3g}.")
        return
    spread, mean = p.std().item(), p.mean().item()
    writer = name.endswith(("o_proj.weight", "down_proj.weight"))
    want = std / math.sqrt(2 * layers) if writer else std
    if writer and _near(spread, std):
        raise Wrong(f"{name} writes to the stream, but is not divided by √(2L).")
    if writer and _near(spread, std / math.sqrt(layers)):
        raise Wrong(f"{name} is divided by √L: L blocks have 2L writers.")
    if writer and _near(spread, std / (2 * layers)):
        raise Wrong(f"{name} is divided by 2L, not by its root.")
    if not writer and _near(spread, std / math.sqrt(2 * layers)):
        raise Wrong(f"{name} only reads the stream: it should not be divided.")
    expect(
        _near(spread, want) and abs(mean) < 0.2 * want,
        f"{name} should have mean 0 and standard deviation {want:.4g}; yours has mean "
        f"{mean:.4g} and standard deviation {spread:.4g}.",
    )


def _near(a, b):
    return abs(a / b - 1) < 0.08


@exercise("05.8", "the block that fades")
def ex_05_8(attempt):
    """Silent workers show what happens to the stream, speaking ones what they read."""

    scale, other = torch.rand(8) + 0.5, torch.rand(8) + 0.5

    def norm(x):  # with a scale, so that norming twice can be told from norming once
        return scale * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()

    def halved(x):  # a second norm, so that the two cannot be swapped unseen
        return 0.5 * other * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()

    x = 3 * torch.randn(2, 4, 8) + 1
    W, U = torch.randn(8, 8), torch.randn(8, 8)
    silent = attempt(x, torch.zeros_like, torch.zeros_like, norm, halved)
    same_shape(silent, x, "the stream")
    message = (
        "with silent workers (they return zeros) the stream should come out as it went in; yours "
    )
    if torch.equal(silent, torch.zeros_like(x)):
        raise Wrong(message + "comes out zero: somewhere `x +` is missing.")
    if not torch.allclose(silent, x, atol=1e-6):
        raise Wrong(message + "is normed: a norm may touch only the copy that a worker reads.")

    def attn(z):
        return torch.sin(z @ W)

    def mlp(z):
        return torch.tanh(z @ U)

    middle = x + attn(norm(x))
    close(
        attempt(x, attn, mlp, norm, halved),
        middle + mlp(halved(middle)),
        "the stream",
        known={
            "the MLP reads the stream from before attention wrote: that is a parallel block": middle
            + mlp(halved(x)),
            "the workers read the stream without a norm": x + attn(x) + mlp(x + attn(x)),
            "the MLP reads the stream without a norm": middle + mlp(middle),
            "the second sum adds to the stream from before attention, and loses what it wrote": x
            + mlp(halved(middle)),
            "the MLP reads a copy that was normed twice": middle + mlp(halved(norm(middle))),
            "the two norms are swapped": x + attn(halved(x)) + mlp(norm(x + attn(halved(x)))),
            "the norm is applied to what the worker wrote, not to what it reads": x
            + norm(attn(x))
            + halved(mlp(x + norm(attn(x)))),
        },
    )


@exercise("05.9", "a norm without its scale")
def ex_05_9(attempt):
    """A square matrix, where rows and columns can be confused unseen, and one that is not."""
    for F in (4, 6):
        weight, bias = torch.rand(4) + 0.5, torch.randn(4)
        W, b = torch.randn(F, 4), torch.randn(F)
        pair = attempt(weight, bias, W, b)
        expect(
            isinstance(pair, tuple | list) and len(pair) == 2,
            "return a pair: the new matrix and the new bias.",
        )
        new_W, new_b = pair
        mistakes = {"W is unchanged: the scale has to go into it": W}
        if F == 4:
            mistakes["you scale the rows of W; the scale belongs to its inputs, the columns"] = (
                W * weight[:, None]
            )
        mistakes["you divide by the scale: without it, the matrix has to do the multiplying"] = (
            W / weight
        )
        close(new_W, W * weight, "the new matrix", known=mistakes)
        close(
            new_b,
            b + W @ bias,
            "the new bias",
            known={
                "the shift of the norm is lost: it passes through W before it adds to b": b,
                "b itself is missing from the new bias": W @ bias,
                "the shift goes through the old matrix: it is not scaled by `weight`": b
                + (W * weight) @ bias,
            }
            | (
                {
                    "the shift of the norm has to pass through W first": b + bias,
                    "the shift goes through W transposed": b + bias @ W,
                    "the shift scales the rows of W; each row has to be summed with it": b
                    + (W * bias[:, None]).sum(1),
                }
                if F == 4
                else {}
            ),
        )
