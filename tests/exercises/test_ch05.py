"""Wrong attempts at the exercises of chapter 05, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "05.1": [
        (("x.square().mean", "(x - x.mean(-1, keepdim=True)).square().mean"), "should be"),
        (
            "def rmsnorm(x, weight, eps):\n"
            "    x = x - x.mean(-1, keepdim=True)\n"
            "    return weight * x / (x.square().mean(-1, keepdim=True) + eps).sqrt()\n",
            "subtract the mean",
        ),
        ((".mean(-1", ".sum(-1"), "root of the sum"),
        (("(mean_square + eps).sqrt()", "(mean_square.sqrt() + eps)"), "inside the root"),
        (("weight * x", "x"), "`weight` is not applied"),
        ((".mean(-1, keepdim=True)", ".mean()"), "each token has its own"),
        ((".mean(-1, keepdim=True)", ".mean(0, keepdim=True)"), "wrong axis"),
        (("weight * x", "(1 + weight) * x"), "not 1 + `weight`"),
    ],
    "05.2": [
        (("-(-8 * d_model // (3 * multiple_of))", "(8 * d_model // (3 * multiple_of))"), "down"),
        (
            (
                "-(-8 * d_model // (3 * multiple_of))",
                "(8 * d_model // (3 * multiple_of) + 1)",
            ),
            "one step further",
        ),
        (("-(-8 * d_model // (3 * multiple_of)) * multiple_of", "4 * d_model"), "plain MLP"),
        (
            (
                "-(-8 * d_model // (3 * multiple_of))",
                "round(8 * d_model / (3 * multiple_of))",
            ),
            "down",
        ),
        (("-(-8 * d_model // (3 * multiple_of)) * multiple_of", "8 * d_model // 3"), "multiple"),
        (("-(-8 * d_model //", "(8 * d_model /"), "an int"),
    ],
    "05.3": [
        (("n_kv_heads * (d_model // n_heads)", "d_model"), "you count n_heads"),
        (("(1 if tied else 2)", "1"), "untied head"),
        ((" + d_model\n", "\n"), "after the last block"),
        (("3 * d_model * d_ff", "2 * d_model * d_ff"), "three matrices"),
        (("(1 if tied else 2)", "2"), "twice"),
        (("(1 if tied else 2)", "(0 if tied else 1)"), "table is missing"),
        (("norms = 2 * d_model", "norms = -d_model / n_layers"), "norms are missing"),
        (("attention = 2 *", "attention = 2 * d_model + 2 * kv_width + 2 *"), "biases"),
        (("attention = 2 * d_model", "attention = d_model"), "one of D × D"),
        (("n_kv_heads * (d_model", "(d_model"), "you count one"),
    ],
    "05.4": [
        (("-(-matrices // 4)", "matrices // 4"), "round up"),
        (("// 4)", "// 2)"), "4 T D"),
        (("matrices = 2 * (", "matrices = ("), "one FLOP"),
        (("(3 if gated else 2)", "2"), "three matrices"),
        (("4 * d_model + ", ""), "matrices of attention are missing"),
        (("-(-matrices // 4)", "6 * d_model"), "GPT-2's shape only"),
        (("-(-matrices // 4)", "matrices // 4 + 1"), "not more"),
    ],
    "05.5": [
        (("(gain / 2)", "gain"), "halves"),
        (("* d_ff", "* d_model"), "d_ff inputs"),
        (("2 * std**2 +", "std**2 +"), "two tables"),
        (("2 * std**2 + ", ""), "start is missing"),
        (("gain * d_model * std_out**2", "d_model * std_out**2"), "two matrices"),
        (("n_layers * ", ""), "every block writes"),
        (("(attention + mlp)", "attention"), "MLPs are missing"),
        (("(attention + mlp)", "mlp"), "attention is missing"),
        (
            (
                "std_out**2\n    mlp = (gain / 2) * d_ff * std_out**2",
                "std**2\n    mlp = (gain / 2) * d_ff * std**2",
            ),
            "not used",
        ),
        (
            "def stream_mean_square(d_model, d_ff, n_layers, std, std_out):\n"
            "    attention = d_model * std * d_model * std_out\n"
            "    mlp = d_model * std / 2 * d_ff * std_out\n"
            "    return 2 * std**2 + n_layers * (attention + mlp)\n",
            "*square*",
        ),
        (
            (
                "2 * std**2 + n_layers * (attention + mlp)",
                "2 * std**2 * (1 + attention + mlp) ** n_layers",
            ),
            "does not depend on the stream",
        ),
    ],
    "05.6": [
        (
            (
                "parts = [states[0]]\n    parts += [b - a for a, b in zip(states, states[1:])]",
                "parts = states",
            ),
            "difference",
        ),
        (
            (
                "weight * p / rms @ direction",
                "weight * p / (p.square().mean(-1, keepdim=True) + eps).sqrt() @ direction",
            ),
            "its own root mean square",
        ),
        (("weight * p / rms", "p / rms"), "`weight` of the norm is missing"),
        (("weight * p / rms", "weight * p"), "norm is missing"),
        ((" + eps).sqrt()", ").sqrt()"), "eps is missing"),
        (
            "def block_votes(states, weight, eps, direction):\n"
            "    parts = [states[0]] + [b - a for a, b in zip(states, states[1:])]\n"
            "    rms = (states[-1].var(-1, unbiased=False, keepdim=True) + eps).sqrt()\n"
            "    parts = [p - p.mean(-1, keepdim=True) for p in parts]\n"
            "    return torch.stack([weight * p / rms @ direction for p in parts])\n",
            "LayerNorm's",
        ),
    ],
    "05.7": [
        (("2 * model.config.n_layers", "model.config.n_layers"), "divided by √L"),
        (('("o_proj.weight", "down_proj.weight")', '"o_proj.weight"'), "not divided by √(2L)"),
        (("nn.init.ones_(p)", "nn.init.zeros_(p)"), "scale of a norm should start at 1"),
        (('elif name.endswith("bias"):', "elif False:"), "bias should start at 0"),
        (
            "def init_gpt(model, std):\n"
            "    for name, p in model.named_parameters():\n"
            "        if p.dim() == 2:\n"
            "            nn.init.normal_(p, std=std / math.sqrt(2 * model.config.n_layers))\n"
            "        elif name.endswith('bias'):\n"
            "            nn.init.zeros_(p)\n"
            "        else:\n"
            "            nn.init.ones_(p)\n",
            "only reads the stream",
        ),
    ],
    "05.8": [
        (
            "def good_block(x, attn, mlp, attn_norm, mlp_norm):\n"
            "    x = attn_norm(x)\n    x = x + attn(x)\n"
            "    x = mlp_norm(x)\n    return x + mlp(x)\n",
            "is normed",
        ),
        (
            "def good_block(x, attn, mlp, attn_norm, mlp_norm):\n"
            "    x = attn_norm(x + attn(x))\n    return mlp_norm(x + mlp(x))\n",
            "is normed",
        ),
        (
            "def good_block(x, attn, mlp, attn_norm, mlp_norm):\n"
            "    return x + attn(attn_norm(x)) + mlp(mlp_norm(x))\n",
            "parallel",
        ),
        (("x = x + mlp(mlp_norm(x))", "x = mlp(mlp_norm(x))"), "`x +` is missing"),
        (("mlp(mlp_norm(x))", "mlp(x)"), "MLP reads the stream without a norm"),
        (
            "def good_block(x, attn, mlp, attn_norm, mlp_norm):\n"
            "    x = x + attn_norm(attn(x))\n    return x + mlp_norm(mlp(x))\n",
            "what the worker wrote",
        ),
        (
            "def good_block(x, attn, mlp, attn_norm, mlp_norm):\n"
            "    y = attn_norm(x)\n"
            "    x = x + attn(y)\n"
            "    return x + mlp(mlp_norm(attn_norm(x)))\n",
            "normed twice",
        ),
        (
            "def good_block(x, attn, mlp, attn_norm, mlp_norm):\n"
            "    middle = x + attn(attn_norm(x))\n"
            "    return x + mlp(mlp_norm(middle))\n",
            "loses what it wrote",
        ),
    ],
    "05.9": [
        (("W * weight, b + W @ bias", "W * weight, b"), "shift of the norm is lost"),
        (("W * weight, b + W @ bias", "W * weight, W @ bias"), "b itself is missing"),
        (("W * weight", "W"), "W is unchanged"),
        (("b + W @ bias", "b + (W * weight) @ bias"), "not scaled by `weight`"),
        (("W * weight", "W / weight"), "multiplying"),
        (("W * weight", "W * weight[:, None]"), "scale the rows"),
        (("W @ bias", "bias @ W"), "W transposed"),
    ],
}
