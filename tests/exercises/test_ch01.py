"""Wrong attempts at the exercises of chapter 01, each with words that its verdict must contain."""

NEEDS = ["END"]

MISTAKES = {
    "01.1": [
        (("math.log(x)", "math.log2(x)"), "in bits"),
        (("sum(-x *", "sum(x *"), "sign is wrong"),
        (
            (
                "return sum(-x * math.log(x) for x in p if x > 0)",
                "return [-x * math.log(x) for x in p if x > 0]",
            ),
            "one number",
        ),
        (("-x * math.log(x)", "-math.log(x)"), "without their weights"),
        ((" if x > 0", ""), "your code stopped"),
    ],
    "01.2": [
        (("math.exp(per_token)", "math.exp(bits / n_tokens)"), "e belongs to nats"),
        (("nats / math.log(2)", "nats * math.log(2)"), "where a division is due"),
        (("bits / n_bytes", "bits / n_tokens"), "divided by the tokens"),
        (("bits / n_bytes", "nats / n_bytes"), "still nats"),
        (("math.exp(per_token)", "per_token"), "not yet the perplexity"),
        (("bits / n_tokens", "math.log2(per_token)"), "no logarithm"),
        (("bits / n_tokens", "bits"), "bits of the whole text"),
        (
            ("math.exp(per_token), bits / n_tokens", "bits / n_tokens, math.exp(per_token)"),
            "the order is",
        ),
    ],
    "01.3": [
        (("[end, *ids, end]", "[end, *ids]"), "stopping is not counted"),
        (("[end, *ids, end]", "[*ids, end]"), "beginning is not counted"),
        (("seq[:-1], seq[1:]", "seq[1:], seq[:-1]"), "rows and columns"),
        ((".log().sum()", ".log().mean()"), "the mean over the pairs"),
        ((".log().sum()", ".prod().log()"), "add logarithms"),
        ((".log().sum()", ".prod()"), "its logarithm was asked"),
        ((".log().sum()", ".log2().sum()"), "in bits"),
        (
            ("table[seq[:-1], seq[1:]].log()", "table.log_softmax(1)[seq[:-1], seq[1:]]"),
            "no softmax",
        ),
    ],
    "01.4": [
        (("counts[a, b]", "counts[b, a]"), "rows and columns"),
        (("[end, *ids, end]", "ids"), "borders are missing"),
        (("[end, *ids, end]", "[*ids, end]"), "beginnings are missing"),
        (("[end, *ids, end]", "[end, *ids]"), "stops are missing"),
        (("+= 1", "= 1"), "counted once"),
        (
            "def count_pairs(documents, vocab_size, end):\n"
            "    seq = [end, *(i for ids in documents for i in ids), end]\n"
            "    counts = torch.zeros(vocab_size, vocab_size)\n"
            "    for a, b in zip(seq[:-1], seq[1:]):\n"
            "        counts[a, b] += 1\n"
            "    return counts\n",
            "run into each other",
        ),
        (
            "def count_pairs(documents, vocab_size, end):\n"
            "    counts = torch.zeros(vocab_size, vocab_size)\n"
            "    for ids in documents:\n"
            "        seq = torch.tensor([end, *ids, end])\n"
            "        counts[seq[:-1], seq[1:]] += 1\n"
            "    return counts\n",
            "adds one for all of its repeats",
        ),
        (
            "def count_pairs(documents, vocab_size, end):\n"
            "    counts = [[0.0] * vocab_size] * vocab_size\n"
            "    for ids in documents:\n"
            "        seq = [end, *ids, end]\n"
            "        for a, b in zip(seq[:-1], seq[1:]):\n"
            "            counts[a][b] += 1\n"
            "    return torch.tensor(counts)\n",
            "one and the same list",
        ),
        (
            ("    for ids in documents:\n", "    for ids in filter(None, documents):\n"),
            "empty document is left out",
        ),
    ],
    "01.5": [
        ((" / len(prev)", ""), "gradient of the sum"),
        (("grad.index_add_(0, prev, rows)", "grad[prev] += rows"), "overwrite each other"),
        (("    rows[torch.arange(len(prev)), next_] -= 1  # what happened\n", ""), "is missing"),
        (("W[prev].softmax(dim=1)", "W.softmax(dim=0)[prev]"), "down the columns"),
        (("return grad", "return -grad"), "sign is wrong"),
        (
            (
                "grad / len(prev)",
                "grad / torch.bincount(prev, minlength=len(W)).clamp(min=1)[:, None]",
            ),
            "averaged by itself",
        ),
        (
            "def bigram_gradient(W, prev, next_):\n"
            "    grad = torch.zeros_like(W)\n"
            "    grad.index_add_(0, prev, W[prev].softmax(dim=1))\n"
            "    grad[prev, next_] -= 1\n"
            "    return grad / len(prev)\n",
            "happened twice",
        ),
        (
            "def bigram_gradient(W, prev, next_):\n"
            "    happened = torch.zeros_like(W)\n"
            "    happened[prev, next_] = 1\n"
            "    return (W.softmax(dim=1) - happened) / len(prev)\n",
            "fills them all",
        ),
        (("W[prev].softmax(dim=1)", "W[prev].clone()"), "apply the softmax"),
    ],
    "01.6": [
        (("+ k * q)", "+ k)"), "not spread by q"),
        (("(row[word] + k * q)", "row[word]"), "q(c | a b)"),
        (("(sum(row.values()) + k)", "sum(row.values())"), "divide by total + k"),
        (("k * q", "k / vocab_size"), "rung below"),
        (("seen[len(seen) - m:]", "seen[:m]"), "take the last"),
        (("seen[len(seen) - m:]", "seen[::-1][:m]"), "turned round"),
        (("(sum(row.values()) + k)", "(len(row) + k)"), "number of different words"),
        (
            ("    return q\n", "        else:\n            return 0.0\n    return q\n"),
            "yours gives 0",
        ),
        (("seen[len(seen) - m:]", "seen[-m:]"), "seen[-0:] is the whole list"),
        (("range(len(counts))", "range(len(counts) - 1)"), "one rung too early"),
        (
            "def smoothed_prob(counts, seen, word, vocab_size, k):\n"
            "    row = counts[-1].get(tuple(seen[-len(counts) + 1:]), Counter())\n"
            "    return row[word] / max(1, sum(row.values()))\n",
            "raw counts",
        ),
    ],
    "01.7": [
        (("math.log(c / whole)", "math.log2(c / whole)"), "in bits"),
        (("math.log(c / whole)", "math.log(c)"), "not normalised"),
        (("sum(c * math", "sum(c / whole * math"), "rows count equally"),
        (("seq[t - n + 1:t]", "seq[:t][-(n - 1):]"), "[-0:] is the whole list"),
        (("+= p", "+= 1 / len(documents)"), "count equally"),
        (("*text.split(), END]", "*text.split()]"), "stopping is not predicted"),
        (("[END] * (n - 1) + ", ""), "beginning is not predicted"),
        (
            "def ngram_limit(documents, n):\n"
            "    return -sum(p * math.log(p) for p in documents.values())\n",
            "an n-gram forgets",
        ),
    ],
}
