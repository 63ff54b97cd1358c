"""Wrong attempts at the exercises of chapter 10, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "10.1": [
        (
            (
                'mine = id == special["<|assistant|>"]\n            mask.append(False)',
                'mine = id == special["<|assistant|>"]\n            mask.append(mine)',
            ),
            "<|assistant|> is marked",
        ),
        (
            (
                "            mask.append(mine)\n",
                '            mask.append(mine and id != special["<|end|>"])\n',
            ),
            "learn to stop",
        ),
        (
            (
                "            mask.append(mine)\n",
                '            mask.append(mine or id == special["<|end|>"])\n',
            ),
            "every <|end|>",
        ),
        (
            (
                'id == special["<|assistant|>"]',
                'id in (special["<|assistant|>"], special["<|tool|>"])',
            ),
            "invent results",
        ),
        (("    return mask", "    return mask[1:] + [False]"), "one place off"),
        (("    return mask", "    return mask[1:]"), "one for each"),
    ],
    "10.2": [
        (("zip(ids[1:], mask[1:])", "zip(ids[1:], mask)"), "mask was not shifted"),
        (("zip(ids[1:], mask[1:])", "zip(ids[:-1], mask)"), "predict itself"),
        (("id if m else -100", "id"), "nothing is masked"),
        (("else -100", "else 0"), "−100"),
        (("return ids[:-1], labels", "return ids[1:], labels"), "inputs are shifted"),
        (("zip(ids[1:], mask[1:])", "zip(ids, mask)"), "n − 1"),
    ],
    "10.3": [
        (("[0, n:]", "[0]"), "first document"),
        (("(docs, None)", "(docs, docs)"), "left in"),
        (("(docs, None)", "(None, None)"), "one bit"),
        ((".abs().max()", ".abs().mean()"), "largest"),
        (("return tuple(changes)", "return changes[1], changes[0]"), "other way round"),
    ],
    "10.4": [
        (
            ("    return ids, labels", "    labels[ids == pad] = -100\n    return ids, labels"),
            "has gone",
        ),
        (("longest), -100)", "longest), pad)"), "padding is learnt"),
        (
            ("    return ids, labels", "    return ids, labels.roll(-1, 1)"),
            "labels are shifted",
        ),
        (("row.masked_fill(~mask, -100)", "row"), "prompt is learnt"),
        (
            (
                "        ids[b, : len(row)] = row\n        labels[b, : len(row)]",
                "        at = longest - len(row)\n        ids[b, at:] = row\n"
                "        labels[b, at:]",
            ),
            "right",
        ),
    ],
    "10.5": [
        (
            ("[c / sum(counts) for c in counts]", "[1 / len(counts) for c in counts]"),
            "equal weights",
        ),
        (("[c / sum(counts) for c in counts]", "counts"), "counts"),
        (("m.sum()", "m.numel()"), "padding and prompts"),
        (("m.any(1).sum()", "m.any(1).numel()"), "no mean"),
        (('per == "token"', 'per == "sequence"'), "other of"),
    ],
    "10.6": [
        (('f"{content}<|im_end|>"', 'f"{content.strip()}<|im_end|>"'), "changes nothing"),
        (('("<|im_start|>assistant\\n", False)', '("<|im_start|>assistant", False)'), "goes on"),
        (
            ('("<|im_start|>assistant\\n", False)', '("<|im_start|>assistant\\n", True)'),
            "generation prompt is learnt",
        ),
        (
            (
                '(f"{content}<|im_end|>", role == "assistant"),',
                '(content, role == "assistant"), ("<|im_end|>", False),',
            ),
            "never stop",
        ),
        (('role == "assistant"', "True"), "words are learnt"),
        (
            (
                '(f"<|im_start|>{role}\\n", False)',
                '(f"<|im_start|>{role}\\n", role == "assistant")',
            ),
            "header",
        ),
        (
            (
                "    parts = []\n",
                "    parts = []\n"
                "    messages = [m | {'role': m['role'].replace('system', 'user')}\n"
                "                for m in messages]\n",
            ),
            "the same text",
        ),
        (
            ("    return parts", "    return parts[-4:] if add_generation_prompt else parts"),
            "trained on",
        ),
        (
            ("    if add_generation_prompt:", "    if False:"),
            "header of an assistant's turn",
        ),
        (('("\\n", False)', '("", False)'), "not the one that was asked for"),
        (
            ("    parts = []\n", '    parts = [("You are helpful.\\n", False)]\n'),
            "not the one that was asked for",
        ),
    ],
    "10.7": [
        (("grad_B = scale * ", "grad_B = "), "scale"),
        (("grad_A = scale * ", "grad_A = "), "scale"),
        (("return grad_A, grad_B", "return grad_B, grad_A"), "gradient"),
        (("(x @ A.T)", "(x @ A.T) / len(x)"), "mean over"),
        (("(upstream @ B)", "(upstream @ torch.ones_like(B))"), "B is zero"),
        (("(upstream @ B).T @ x", "B.T @ (upstream.T @ x)"), "as large as W"),
    ],
    "10.8": [
        (("len(kinds) - silent", "len(kinds)"), "abstention claims nothing"),
        (
            (
                "share(dark_silent, silent),\n            share(dark_silent, len(dark))",
                "share(dark_silent, len(dark)),\n            share(dark_silent, silent)",
            ),
            "swapped",
        ),
        (('float("nan")', "0.0"), "nan"),
        (('kinds.count("false")', 'kinds.count("true")'), "true claims"),
    ],
}
