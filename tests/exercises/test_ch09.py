"""Wrong attempts at the exercises of chapter 09, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "09.1": [
        (("2 * n_kv_heads", "n_kv_heads"), "keys *and* values"),
        (("min(n_tokens, window)", "n_tokens"), "window is left out"),
        (("min(n_tokens, window)", "window"), "no more than there are"),
        (
            ("n_windowed * kept", "n_layers * kept - (n_layers - n_windowed) * n_tokens"),
            "all layers",
        ),
        (("bytes_each=2", "bytes_each=4"), "four bytes"),
        (("* bytes_each", ""), "keys *and* values"),
        (("* bytes_each", "* 2"), "is an argument"),
        (("(n_layers - n_windowed) * n_tokens", "n_layers * n_tokens"), "counted twice"),
        (("min(n_tokens, window)", "min(n_tokens, window - 1)"), "the token itself"),
    ],
    "09.2": [
        (
            (
                "n_layers * (attention + n * expert + router + norms)",
                "n_layers * (n * (attention + expert + norms) + router)",
            ),
            "only the MLP",
        ),
        (("router = d_model * n_experts", "router = 0"), "router is missing"),
        (
            (
                "    def total(n):\n",
                "    def total(n):\n        router = d_model * n\n",
            ),
            "whole router",
        ),
        (("2 * vocab_size * d_model", "vocab_size * d_model"), "two tables"),
        (("3 * d_model * d_ff", "2 * d_model * d_ff"), "three matrices"),
        (
            (
                "return total(n_experts), total(n_per_token)",
                "return total(n_per_token), total(n_experts)",
            ),
            "exchanged",
        ),
        (("+ d_model\n", "\n"), "final norm"),
        (("norms = 2 * d_model", "norms = d_model"), "two norms"),
        (("norms = 2 * d_model", "norms = 0"), "norms of the layers"),
        (("n_heads + n_kv_heads", "2 * n_heads"), "fewer than the queries"),
        (
            (
                "2 * d_model * d_head * (n_heads + n_kv_heads)",
                "2 * d_model * (d_model + d_head * n_kv_heads)",
            ),
            "need not be d_model wide",
        ),
        (
            (
                "2 * d_model * d_head * (n_heads + n_kv_heads)",
                "2 * d_model * (d_model + d_model // n_heads * n_kv_heads)",
            ),
            "for queries or for keys",
        ),
        (
            (
                "2 * d_model * d_head * (n_heads + n_kv_heads)",
                "2 * d_model * (d_head * n_heads + d_model // n_heads * n_kv_heads)",
            ),
            "a head of keys or values",
        ),
        (("total(n_per_token)", "total(n_experts) * n_per_token / n_experts"), "only the experts"),
        (("total(n_per_token)", "total(n_experts)"), "same number twice"),
        (("total(n_per_token)", "total(1)"), "not one"),
    ],
    "09.3": [
        (("if distance > 0:", "if distance < 0:"), "exchanged"),
        (("max(-distance, 0)", "abs(distance)"), "counts as distance 0"),
        (("max(-distance, 0)", "max(distance, 0)"), "*before* the query"),
        (("n_buckets //= 2", "n_buckets = n_buckets"), "half of the buckets"),
        (("int(share * (n_buckets - half))", "round(share * (n_buckets - half))"), "round down"),
        (("return first + min(place, n_buckets - 1)", "return first + place"), "cut it off"),
        (("half = n_buckets // 2", "half = n_buckets // 4"), "belongs to bucket"),
    ],
    "09.4": [
        (("inputs += ids[at:start] + [mark]", "inputs += ids[at:start]"), "without a mark"),
        (
            (
                "inputs += ids[at:start] + [mark]",
                "inputs += ids[at:start] + [mark] * (stop - start)",
            ),
            "whole span",
        ),
        (("zip(sentinels, spans)", "zip([sentinels[0]] * 9, spans)"), "of its own"),
        (("target + [sentinels[len(spans)]]", "target"), "one more mark"),
        (("[mark] + ids[start:stop]", "ids[start:stop]"), "by its mark"),
        (("inputs + ids[at:]", "ids"), "see the answers"),
        (("ids[start:stop]", "ids[start:stop + 1]"), "target"),
        (
            (
                "inputs + ids[at:], target + [sentinels[len(spans)]]",
                "target + [sentinels[len(spans)]], inputs + ids[at:]",
            ),
            "two lists are exchanged",
        ),
        (("inputs + ids[at:]", "inputs"), "follows the last span"),
        (("sentinels[len(spans)]", "sentinels[-1]"), "next one that is free"),
        (("sentinels[len(spans)]", "sentinels[len(spans) - 1]"), "is a new one"),
        (
            (
                "    return inputs",
                "    target = [i for m, (a, b) in zip(sentinels, spans) for i in [*ids[a:b], m]]\n"
                "    return inputs + ids[at:], target\n    return inputs",
            ),
            "before the tokens",
        ),
    ],
    "09.5": [
        (
            (
                "    parts = weight",
                "    return weight.split([n_heads * d_head, n_kv_heads * d_head,\n"
                "                         n_kv_heads * d_head])\n    parts = weight",
            ),
            "GPT-2",
        ),
        (("parts[:, -2]", "parts[:, -3]"), "keys"),
        (("return q, k, v", "return q, v, k"), "exchanged"),
        (
            (
                "q, k, v = parts[:, :-2], parts[:, -2], parts[:, -1]",
                "q, k, v = parts[:, 2:], parts[:, 0], parts[:, 1]",
            ),
            "queries come first",
        ),
        (
            (
                "q, k, v = parts[:, :-2], parts[:, -2], parts[:, -1]",
                "q, k, v = parts[:, :-2].transpose(0, 1), parts[:, -2], parts[:, -1]",
            ),
            "another order",
        ),
        (
            (
                "weight.view(n_kv_heads, group + 2, d_head, -1)",
                "weight.view(n_kv_heads, d_head, group + 2, -1).transpose(1, 2)",
            ),
            "stay together",
        ),
    ],
    "09.6": [
        (("a - b for a, b", "b - a for a, b"), "ours − theirs"),
        (("(n - 1)", "n"), "n − 1"),
        (("/ math.sqrt(n)", ""), "steadier"),
        (("/ math.sqrt(n)", "/ n"), "not by n"),
        (("half = t * ", "half = "), "factor t"),
        (("half = t * ", "half = 1.96 * "), "1.96"),
        (("t * spread", "t * spread**2"), "variance"),
        (
            ('"better" if mean < 0 else "worse"', '"worse" if mean < 0 else "better"'),
            "exchanged",
        ),
        (("if abs(mean) <= half:", "if False:"), "undecided"),
        (
            (
                "    half = t",
                "    def var(x):\n        m = sum(x) / n\n"
                "        return sum((y - m) ** 2 for y in x) / (n - 1)\n"
                "    spread = math.sqrt(var(ours) + var(theirs))\n    half = t",
            ),
            "paired",
        ),
    ],
    "09.7": [
        (('if c["safe"] >= threshold', "if True"), "left out"),
        (('3 * c["sensible"]', 'c["sensible"]'), "three times"),
        (("return max(", "return min("), "worst"),
        (('c["interesting"]', 'c["interesting"] + c["safe"]'), "no part in the ranking"),
        (
            (
                "    safe = [",
                '    top = max(candidates, key=lambda c: 3 * c["sensible"])\n'
                '    if top["safe"] < threshold:\n        return None\n    safe = [',
            ),
            "filter first",
        ),
        (('"safe"] >= threshold', '"safe"] > threshold'), "exactly on"),
        (
            ("        return None\n", "        safe = candidates\n"),
            "return None",
        ),
        (
            (
                '3 * c["sensible"] + c["specific"] + c["interesting"]',
                'c["safe"]',
            ),
            "filter",
        ),
    ],
    "09.8": [
        (("return n_experts * (f * P).sum()", "return (f * P).sum()"), "factor n_experts"),
        (("/ (n_tokens * k)", "/ n_tokens"), "add up to 1"),
        (
            (
                "P = probs.mean(0)",
                "P = (probs * chosen / (probs * chosen).sum(-1, keepdim=True)).mean(0)",
            ),
            "all probabilities",
        ),
        (("(f * P)", "(f * f)"), "Σ f²"),
        (("(f * P)", "(P * P)"), "Σ P²"),
        (("P = probs.mean(0)", "P = probs.sum(0)"), "divided by their number"),
        (("P = probs.mean(0)", "P = probs.mean(0).detach()"), "no gradient"),
        (("P = probs.mean(0)", "P = (probs * chosen).mean(0)"), "did not choose"),
        (("P = probs.mean(0)", "P = router_logits.softmax(0).mean(0)"), "dim=-1"),
        (("P = probs.mean(0)", "P = router_logits.mean(0)"), "softmax is missing"),
        (("/ (n_tokens * k)", ""), "not counts"),
        (
            (
                "    P = probs",
                "    f = router_logits.argmax(1).bincount(minlength=n_experts) / n_tokens\n"
                "    P = probs",
            ),
            "not only its first",
        ),
    ],
}
