"""Wrong attempts at the exercises of chapter 03, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "03.1": [
        (
            "def embedding_gradient(ids, g, vocab_size):\n"
            "    table = torch.zeros(vocab_size, g.shape[-1])\n"
            "    table[ids] += g\n"
            "    return table\n",
            "does not add up",
        ),
        (
            "def embedding_gradient(ids, g, vocab_size):\n"
            "    table = torch.zeros(vocab_size, g.shape[-1])\n"
            "    table.index_add_(0, ids.flatten(), g.flatten(0, 1))\n"
            "    n = torch.bincount(ids.flatten(), minlength=vocab_size)\n"
            "    return table / n.clamp(min=1)[:, None]\n",
            "the rule is a sum",
        ),
        (("ids.flatten(), g.flatten(0, 1)", "ids[0], g[0]"), "first text"),
        ((", dtype=g.dtype", ""), "your code stopped"),
        (
            (
                "    return table.index_add_(0, ids.flatten(), g.flatten(0, 1))",
                "    table.index_add_(0, ids.flatten(), g.flatten(0, 1))\n"
                "    return table / ids.numel()",
            ),
            "plain sum",
        ),
    ],
    "03.2": [
        (("F.normalize(E, dim=1)", "E"), "divided by the lengths"),
        (("    cosine[i] = -2.0\n", ""), "the word itself"),
        (
            "def neighbours(E, i, k):\n"
            "    X = F.normalize(E, dim=1)\n"
            "    cosine = X @ X[i]\n"
            "    cosine[i] = 2.0\n"
            "    return (-cosine).topk(k).indices.tolist()\n",
            "farthest",
        ),
        (
            "def neighbours(E, i, k):\n"
            "    d = torch.cdist(E, E[i : i + 1])[:, 0]\n"
            "    return d.argsort()[1 : k + 1].tolist()\n",
            "distances",
        ),
        (
            "def neighbours(E, i, k):\n"
            "    X = F.normalize(E, dim=1)\n"
            "    order = (X @ X[i]).round(decimals=5).argsort(descending=True, stable=True)\n"
            "    return [j for j in order.tolist() if j != 0 or i != 0][: k] if i == 0 "
            "else order[1 : k + 1].tolist()\n",
            "same direction",
        ),
        (("topk(k)", "topk(k - 1)"), "one is missing"),
        (("cosine[i] = -2.0", "cosine[i] = 0.0"), "0 is not low enough"),
    ],
    "03.3": [
        ((".clamp(min=0)", ""), "negative values"),
        (("    P = N / N.sum()\n", "    P = N\n"), "everything comes out as 0"),
        ((".log()", ".log2()"), "in bits"),
        (("P.sum(dim=1, keepdim=True) * ", ""), "everything comes out as 0"),
        ((" * P.sum(dim=0, keepdim=True)", ""), "everything comes out as 0"),
        (("torch.where(N > 0, pmi, torch.zeros_like(pmi))", "pmi"), "NaN"),
    ],
    "03.4": [
        (("alpha=-rate", "alpha=rate"), "uphill"),
        (
            (
                "new_W[w] -= rate * (error @ C[ids])\n"
                "    new_C.index_add_(0, ids, error[:, None] * W[w], alpha=-rate)",
                "new_W[w] += rate * (error @ C[ids])\n"
                "    new_C.index_add_(0, ids, error[:, None] * W[w], alpha=rate)",
            ),
            "uphill",
        ),
        (("error[:, None] * W[w]", "error[:, None] * new_W[w]"), "old values"),
        (
            (
                "new_C.index_add_(0, ids, error[:, None] * W[w], alpha=-rate)",
                "new_C[ids] -= rate * error[:, None] * W[w]",
            ),
            "does not add up",
        ),
        (("torch.zeros(len(ids))", "torch.ones(len(ids))"), "right answer is 0"),
        (("    label[0] = 1.0\n", ""), "σ − 1"),
        (("W.clone(), C.clone()", "W, C"), "changed"),
        (
            ("    new_W, new_C", "    error[1:] /= len(negatives)\n    new_W, new_C"),
            "the loss is their sum",
        ),
        (("[c, *negatives]", "[c, *(n for n in negatives if n != c)]"), "left out"),
        (("[c, *negatives]", "[c, *set(negatives)]"), "it counts twice"),
        (
            "def sgns_step(W, C, w, c, negatives, rate):\n"
            "    W, C = W.clone(), C.clone()\n"
            "    for i, id in enumerate([c, *negatives]):\n"
            "        error = torch.sigmoid(C[id] @ W[w]) - float(i == 0)\n"
            "        word = W[w].clone()\n"
            "        W[w] -= rate * error * C[id]\n"
            "        C[id] -= rate * error * word\n"
            "    return W, C\n",
            "after each context",
        ),
    ],
    "03.5": [
        (
            (
                "torch.cat([c, s], 1), torch.cat([-s, c], 1)",
                "torch.cat([c, -s], 1), torch.cat([s, c], 1)",
            ),
            "other way",
        ),
        (
            (
                "angle = k * 10000 ** (-torch.arange(half) / half)",
                "angle = torch.full((half,), float(k))",
            ),
            "same angle",
        ),
        (("(-torch.arange(half) / half)", "(-torch.arange(half) / D)"), "10000^(−i/h)"),
        (("-torch.arange(half) / half", "-2 * torch.arange(half) / half"), "10000^(−2i/h)"),
        (
            "def shift_matrix(k, D):\n"
            "    R = torch.zeros(D, D)\n"
            "    for i in range(0, D, 2):\n"
            "        a = torch.tensor(k * 10000 ** (-i / D))\n"
            "        s, c = a.sin(), a.cos()\n"
            "        R[i : i + 2, i : i + 2] = torch.tensor([[c, s], [-s, c]])\n"
            "    return R\n",
            "mixes neighbours",
        ),
        (("angle = k * ", "angle = abs(k) * "), "other way"),
    ],
    "03.6": [
        (
            ("a * cos - b * sin, a * sin + b * cos", "a * cos + b * sin, b * cos - a * sin"),
            "other way",
        ),
        (
            (
                "a, b = x.float()[:, :half], x.float()[:, half:]",
                "x = x.float().view(len(x), half, 2).transpose(1, 2).flatten(1).to(x.dtype)\n"
                "    a, b = x.float()[:, :half], x.float()[:, half:]",
            ),
            "should be",
        ),
        (
            (
                "    y = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)\n",
                "    a, b = x.float()[:, ::2], x.float()[:, 1::2]\n"
                "    y = torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(1)\n",
            ),
            "pair neighbours",
        ),
        (
            ("positions[:, None].float()", "torch.arange(len(x))[:, None].float()"),
            "place in the table",
        ),
        (("float() / half)", "float() / (2 * half))"), "θ^(−2i/K)"),
        (("a * cos - b * sin", "a * cos + b * sin"), "a minus is missing"),
        (("omega = theta **", "omega = 10000.0 **"), "theta is ignored"),
        (("positions[:, None].float()", "positions[:, None].to(x.dtype)"), "float32"),
        (("y.to(x.dtype)", "y"), "should stay bfloat16"),
    ],
    "03.7": [
        (
            ("pairs.transpose(1, 2).reshape(rows, D)", "pairs.reshape(rows, D)"),
            "nothing is reordered",
        ),
        (
            ("rows // n_heads // 2, 2, D)", "2, rows // n_heads // 2, D)"),
            "the way back",
        ),
        (
            "def to_half_layout(weight, n_heads):\n"
            "    return torch.cat([weight[::2], weight[1::2]])\n",
            "every head",
        ),
        (
            "def to_half_layout(weight, n_heads):\n"
            "    return torch.cat([weight[:, ::2], weight[:, 1::2]], dim=1)\n",
            "columns",
        ),
    ],
}
