"""Wrong attempts at the exercises of chapter 04, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "04.1": [
        (("tril(n_keys - n_queries)", "tril(n_keys - n_queries - 1)"), "diagonal is False"),
        (("tril(n_keys - n_queries)", "tril()"), "last query should be the last key"),
        (("tril(n_keys - n_queries)", "triu(n_keys - n_queries)"), "look ahead"),
        (("return table", "return ~table"), "upside down"),
        (("n_keys - n_queries)", "n_keys - n_queries + 1)"), "one token too many"),
        (("tril(n_keys - n_queries)", "tril(n_queries - n_keys)"), "shifted the wrong way"),
        (("dtype=torch.bool", "dtype=torch.float32"), "bool"),
    ],
    "04.2": [
        ((" / q.shape[-1] ** 0.5", ""), "not divided by √K"),
        (("q.shape[-1] ** 0.5", "q.shape[-1]"), "square root"),
        (
            "def safe_attention(q, k, v, mask):\n"
            "    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5\n"
            "    return scores.masked_fill(mask, -torch.inf).softmax(dim=-1) @ v\n",
            "upside down",
        ),
        (("    scores = scores.masked_fill(~mask, -torch.inf)\n", ""), "denominator"),
        ((".masked_fill(~mask, 0.0)", ""), "NaN"),
        (
            "def safe_attention(q, k, v, mask):\n"
            "    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5\n"
            "    return scores.masked_fill(~mask, -1e9).softmax(dim=-1) @ v\n",
            "averages all values",
        ),
        (("softmax(dim=-1)", "softmax(dim=-2).nan_to_num()"), "softmax runs over the queries"),
        (("k.transpose(-2, -1)", "k.T"), "your code stopped"),
        (("q.shape[-1] ** 0.5", "q.shape[-2] ** 0.5"), "number of queries"),
        (
            "def safe_attention(q, k, v, mask):\n"
            "    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5\n"
            "    return (scores * mask).softmax(dim=-1) @ v\n",
            "e⁰ is 1",
        ),
    ],
    "04.3": [
        (
            "def all_heads(q, k, v, n_heads):\n"
            "    B, T, D = q.shape\n"
            "    q, k, v = (z.view(B, n_heads, T, D // n_heads) for z in (q, k, v))\n"
            "    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)\n"
            "    return y.reshape(B, T, D)\n",
            "cuts the text into heads",
        ),
        (("y.transpose(1, 2).reshape", "y.reshape"), "merged without swapping"),
        (
            "def all_heads(q, k, v, n_heads):\n"
            "    B, T, D = q.shape\n"
            "    q, k, v = (z.view(B, T, n_heads, D // n_heads) for z in (q, k, v))\n"
            "    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)\n"
            "    return y.reshape(B, T, D)\n",
            "over the heads of each token",
        ),
        (
            "def all_heads(q, k, v, n_heads):\n"
            "    return F.scaled_dot_product_attention(q, k, v, is_causal=True)\n",
            "only one head",
        ),
        ((".reshape(B, T, D)", ""), "shape"),
        ((", is_causal=True", ""), "must be causal"),
        (("is_causal=True", "is_causal=True, scale=D**-0.5"), "divided by √D"),
    ],
    "04.4": [
        (("per_token = 2 * n_layers", "per_token = n_layers"), "there are values"),
        (("2 * n_layers * ", "2 * "), "one layer is counted"),
        ((" * kept * batch", " * kept"), "batch is not counted"),
        ((" * bytes_per_number", " * 2"), "bytes_per_number is ignored"),
        (
            ("n_tokens if window is None else min(n_tokens, window)", "n_tokens"),
            "window is ignored",
        ),
        (
            ("n_tokens if window is None else min(n_tokens, window)", "window or n_tokens"),
            "shorter than the window",
        ),
    ],
    "04.5": [
        (("back < window", "back <= window"), "includes the token itself"),
        (("(back >= 0)", "(back > 0)"), "first of its window"),
        (("[:, None] - torch.arange(T)", " - torch.arange(T)[:, None]"), "transposed"),
        (("(back >= 0) & (back < window)", "back.abs() < window"), "causal"),
        (("n_layers * (window - 1) + 1", "n_layers * window"), "overlap in one token"),
        (("min(T, n_layers * (window - 1) + 1)", "n_layers * (window - 1) + 1"), "no more than"),
        (("n_layers * (window - 1) + 1", "window ** n_layers"), "does not multiply"),
        (("n_layers * (window - 1) + 1", "n_layers * (window - 1)"), "not counted"),
    ],
    "04.6": [
        (
            (
                "k.repeat_interleave(n_heads // groups, dim=1)",
                "k.repeat(1, n_heads // groups, 1, 1)",
            ),
            "0 1 0 1",
        ),
        (("dim=1", "dim=2"), "shape"),
        (
            ("    if n_heads % groups:\n        raise", "    if n_heads < groups:\n        raise"),
            "6 heads",
        ),
        (
            "def share_keys(k, n_heads):\n"
            "    if n_heads % k.shape[1]:\n"
            "        raise ValueError\n"
            "    return k[:, :1].expand(-1, n_heads, -1, -1)\n",
            "first key",
        ),
    ],
    "04.7": [
        (
            (
                "    target[:, :, 1:] = same[:, :, :-1]  # one place behind the copy\n"
                "    target &= torch.ones(T, T, dtype=torch.bool, device=ids.device).tril()\n",
                "    target |= same\n"
                "    target &= torch.ones(T, T, dtype=torch.bool, device=ids.device).tril(-1)\n",
            ),
            "earlier copy itself",
        ),
        (("/ counts.sum()", "/ counts.numel()"), "leave them out"),
        (
            (
                "    counts = target.any(-1)  # (B, T)\n",
                "    target &= target.cumsum(-1) == 1\n    counts = target.any(-1)\n",
            ),
            "only the first earlier occurrence",
        ),
        (
            (
                "    return (weight * counts[:, None]).sum(dim=(0, 2)) / counts.sum()\n",
                "    per_text = (weight * counts[:, None]).sum(-1) / counts.sum(-1)[:, None]\n"
                "    return per_text.mean(0)\n",
            ),
            "mean of each text",
        ),
        (
            (
                "target[:, :, 1:] = same[:, :, :-1]  # one place behind the copy",
                "target[:, :, :-1] = same.tril(-1)[:, :, 1:]",
            ),
            "before the earlier copy",
        ),
        (("dim=(0, 2)", "dim=(0, 1, 2)"), "shape"),
        (
            (
                "    target &= torch.ones(T, T, dtype=torch.bool, device=ids.device).tril()\n",
                "",
            ),
            "comes again only later",
        ),
        ((".tril()", ".tril(-1)"), "is the query itself"),
        (
            (
                "    counts = target.any(-1)  # (B, T)\n",
                "    target &= target.flip(-1).cumsum(-1).flip(-1) == 1\n"
                "    counts = target.any(-1)\n",
            ),
            "only the latest",
        ),
    ],
    "04.8": [
        (("mend = (m - new_m).exp()", "mend = 1.0"), "not rescaled"),
        (("return y / total", "return y"), "not divided by the sum"),
        ((" / q.shape[1] ** 0.5", ""), "not divided by √K"),
        (
            "def streaming_attention(q, k, v, block):\n"
            "    outs = []\n"
            "    for i in range(0, len(k), block):\n"
            "        s = q @ k[i : i + block].T / q.shape[1] ** 0.5\n"
            "        outs.append(s.softmax(-1) @ v[i : i + block])\n"
            "    return torch.stack(outs).mean(0)\n",
            "softmax of its own",
        ),
        (
            "def streaming_attention(q, k, v, block):\n"
            "    total, y = 0, 0\n"
            "    for i in range(0, len(k), block):\n"
            "        p = (q @ k[i : i + block].T / q.shape[1] ** 0.5).exp()\n"
            "        total, y = total + p.sum(1, keepdim=True), y + p @ v[i : i + block]\n"
            "    return y / total\n",
            "NaN",
        ),
        (("m = new_m\n", "m = m\n"), "only the last block"),
        (("torch.full((len(q), 1), -torch.inf, dtype=q.dtype)", "q[:, :1] * 0"), "NaN"),
        (
            "def streaming_attention(q, k, v, block):\n"
            "    return (q @ k.T / q.shape[1] ** 0.5).softmax(-1) @ v\n",
            "whole table",
        ),
    ],
}
