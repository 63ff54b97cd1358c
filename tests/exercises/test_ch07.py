"""Wrong attempts at the exercises of chapter 07, each with words that its verdict must contain."""

NEEDS = []

LEFT = """
def last_logits(model, prompts):
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts])
    return model(ids)[:, -1]
"""

MISTAKES = {
    "07.1": [
        (("m * probs.max()", "m"), "not m itself"),
        (("return kept / kept.sum()", "return kept"), "divide by its sum"),
        (("probs >= m", "probs < m"), "took away the likely"),
        (("return kept / kept.sum()", "return kept.softmax(-1)"), "second softmax"),
    ],
    "07.2": [
        (("before < p", "before + values <= p"), "reaches p"),
        (
            ("return torch.zeros_like(probs).scatter(-1, order, kept)", "return kept"),
            "sorted order",
        ),
        (("kept / kept.sum(dim=-1, keepdim=True)", "kept"), "sum to 1"),
        (("kept.sum(dim=-1, keepdim=True)", "kept.sum()"), "whole batch"),
        (("torch.zeros_like(probs).scatter(-1, order, kept)", "kept.gather(-1, order)"), "reads"),
        (("descending=True", "descending=False"), "descending order"),
        (
            ("before < p", "(before + values < p) | (before == 0)"),
            "not only where it is the first",
        ),
    ],
    "07.3": [
        (("set(ids)", "ids"), "three times"),
        (("logits[i] / r if logits[i] > 0 else logits[i] * r", "logits[i] / r"), "more likely"),
        (
            (
                "for i in set(ids):\n        logits[i] = logits[i] / r "
                "if logits[i] > 0 else logits[i] * r",
                "for i in ids:\n        logits[i] = logits[i] / r",
            ),
            "two bugs",
        ),
        (("logits = logits.clone()", "pass"), "changed its argument"),
        (("set(ids)", "range(len(logits))"), "only those"),
        (("else logits[i] * r", "else logits[i]"), "further down"),
        (("logits[i] > 0", "logits[i] < 0"), "other way round"),
    ],
    "07.4": [
        (("2 * n_layers * n_kv_heads * d_head * 2", "2 * n_layers * n_kv_heads * d_head"), "twice"),
        (("2 * n_layers * n_kv_heads * d_head * 2", "n_layers * n_kv_heads * d_head"), "four"),
        ((" - n_params * weight_bits // 8", ""), "weights take memory"),
        (("weight_bits // 8", "weight_bits"), "two bytes, not sixteen"),
        (("max(0, left // one)", "left // one"), "negative"),
        (("max(0, left // one)", "max(0, -(-left // one))"), "round down"),
        (("max(0, left // one)", "max(0, left / one)"), "round down"),
        (("max(0, left // one)", "abs(left) // one"), "whatever is missing"),
        (("n_params * weight_bits // 8", "n_params * 2"), "not always 16"),
        (("2 * n_layers * n_kv_heads", "2 * n_kv_heads"), "each layer"),
        (("* d_head * 2", "* d_head * weight_bits // 8"), "leave the cache"),
        (("* 2 * n_tokens", "* 2"), "that many tokens"),
    ],
    "07.5": [
        (("lengths - 1]", "longest - 1]"), "follows the padding"),
        (LEFT, "fill on the right"),
        (("lengths - 1]", "lengths.clamp(max=longest - 1)]"), "one place too far"),
        (
            (
                "lengths - 1]",
                "(ids != 0).sum(1) - 1]",
            ),
            "id 0 may be",
        ),
        (
            (
                "logits = model(ids)  # (B, T, V)\n",
                "logits = torch.cat([model(row[None]) for row in ids])\n",
            ),
            "one pass",
        ),
    ],
    "07.6": [
        (("return n, missing / missing.sum()", "return n, p[n]"), "not p itself"),
        (("return n, missing / missing.sum()", "return n, missing"), "divide"),
        (("(p[n] - q[n])", "(q[n] - p[n])"), "swapped"),
        (("p[n, x] / q[n, x]", "q[n, x] / p[n, x]"), "other way round"),
        (("luck[n] >= min(1.0, float(p[n, x] / q[n, x]))", "p[n, x] < q[n, x]"), "p/q"),
        (("p[len(guesses)]", "p[-2]"), "last row"),
        (("min(1.0, float(p[n, x] / q[n, x]))", "float(p[n, x])"), "not p"),
        (("luck[n] >=", "luck[n] <"), "yours if it is above"),
        (("(p[n] - q[n]).clamp(min=0)", "(p[n] - q[n]).abs()"), "|p − q|"),
        (("(p[n] - q[n]).clamp(min=0)", "p[n] - q[n]"), "negative ones to 0"),
        (("return n, missing / missing.sum()", "return n, q[n]"), "was refused"),
    ],
    "07.7": [
        (("/ 7  #", "/ 8  #"), "divide by 7"),
        (("/ 7  #", "/ 127  #"), "eight bits"),
        ((".round()", ""), "cut off"),
        (("parts.abs().amax", "parts.amax"), "absolute"),
        ((".to(torch.int8)", ""), "int8"),
        (("/ 7  #", "/ 15  #"), "15 steps"),
        (("codes.view(O, I), scale", "scale, codes.view(O, I)"), "other way round"),
        (
            (
                "parts = W.view(O, I // group, group)",
                "parts = W.view(O, 1, I)",
            ),
            "not one a row",
        ),
    ],
    "07.8": [
        (("held = max(fits, default=0)", "held = 0"), "taken back"),
        (("held = max(fits, default=0)", "held = len(stop) - 1"), "safe"),
        (("return out + [text[shown:]]", 'return out + [""]'), "is lost"),
        (("return out + [text[shown:]]", "return out"), "one for the end"),
        (
            ("text[: text.index(stop)]", "text[: text.index(stop) + len(stop)]"),
            "stop itself",
        ),
        (("max(fits, default=0)", "min(fits, default=0)"), "may belong"),
    ],
}
