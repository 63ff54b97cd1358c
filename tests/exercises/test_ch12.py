"""Wrong attempts at the exercises of chapter 12, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "12.1": [
        (("rewards / beta", "rewards * beta"), "divided by β"),
        (("ref + ", ""), "reference is missing"),
        (("log_softmax", "softmax"), "these are probabilities"),
        ((".log_softmax(-1)", ""), "Z is missing"),
        (("(-1)", "(0)"), "wrong axis"),
        (("ref +", "ref.exp() +"), "log-probabilities already"),
    ],
    "12.2": [
        ((" - eps * wrong", ""), "not log 1"),
        ((" - eps * wrong", " + eps * wrong"), "wrong sign"),
        (("-(1 - eps) * right - eps * wrong", "-eps * right - (1 - eps) * wrong"), "exchanged"),
        (
            (
                "-(1 - eps) * right - eps * wrong",
                "(-(1 - eps) * right + eps * wrong) / (1 - 2 * eps)",
            ),
            "robust loss",
        ),
        (("-(1 - eps) * right - eps * wrong", "-right"), "ε is not used"),
        (
            (
                "F.logsigmoid(margin), F.logsigmoid(-margin)",
                "margin.sigmoid().log(), (-margin).sigmoid().log()",
            ),
            "not finite",
        ),
    ],
    "12.3": [
        (("torch.sigmoid(-margin)", "torch.sigmoid(margin)"), "yours is σ(m)"),
        (("return -beta", "return beta"), "the sign"),
        (("return -beta * ", "return -"), "factor β in front"),
        (("margin = beta * (", "margin = ("), "margin is missing its β"),
        (("(chosen - ref_chosen) - (rejected - ref_rejected)", "chosen - rejected"), "reference"),
        (("-beta * torch.sigmoid(-margin)", "-F.logsigmoid(margin)"), "not its derivative"),
        (("ref_chosen) - (", "ref_chosen) + ("), "yours adds them"),
        (
            "def pull(chosen, rejected, ref_chosen, ref_rejected, beta):\n"
            "    return -torch.sigmoid(-(chosen - ref_chosen - rejected + ref_rejected))\n",
            "in front and inside",
        ),
    ],
    "12.4": [
        (("is_answer[:, 1:]", "is_answer[:, :-1]"), "off by one"),
        (
            (
                "(logprobs * is_answer[:, 1:]).sum(1)",
                "(logprobs * is_answer[:, :-1]).sum(1) / is_answer[:, :-1].sum(1)",
            ),
            "both bugs",
        ),
        (("(logprobs * is_answer[:, 1:])", "logprobs"), "prompt is in the sum"),
        ((".sum(1)", ".sum(1) / is_answer[:, 1:].sum(1)"), "mean a token"),
        (
            ("is_answer[:, 1:]", "(is_answer[:, 1:] & F.pad(is_answer[:, 2:], (0, 1)))"),
            "end token",
        ),
        (("is_answer[:, 1:]", "(is_answer[:, 1:] & is_answer[:, :-1])"), "first token"),
    ],
    "12.5": [
        (("copy.deepcopy(policy).eval().requires_grad_(False)", "policy"), "policy itself"),
        (("deepcopy(policy).eval().requires_grad_(False)", "copy(policy)"), "shares its weights"),
        ((".requires_grad_(False)", ""), "still want gradients"),
        ((".eval()", ""), "dropout"),
        (
            "def make_reference(policy):\n"
            "    policy.requires_grad_(False)\n"
            "    return copy.deepcopy(policy).eval()\n",
            "not the original",
        ),
        (
            "def make_reference(policy):\n"
            "    policy.eval()\n"
            "    return copy.deepcopy(policy).requires_grad_(False)\n",
            "belongs to the copy",
        ),
    ],
    "12.6": [
        (("beta * (means - ratio)", "beta * means - ratio"), "β times the ratio"),
        (("chosen / n_chosen - rejected / n_rejected", "chosen - rejected"), "these are sums"),
        (
            (
                "chosen / n_chosen - rejected / n_rejected",
                "chosen / n_rejected - rejected / n_chosen",
            ),
            "exchanged",
        ),
        ((" - ratio", ""), "margin γ is missing"),
        ((" - ratio", " + ratio"), "subtracted"),
    ],
    "12.7": [
        (("n0 + ", ""), "at the start is missing"),
        (("/ alpha", "* alpha"), "divide, not multiply"),
        (("float(np.log(2)) / alpha", "1 / alpha"), "you count 1"),
        (("n0 + float(np.log(2)) / alpha", "alpha * n0 + float(np.log(2))"), "loss at the start"),
        ((" / alpha", ""), "weight is missing"),
        ((" + float(np.log(2)) / alpha", ""), "begins at log 2"),
        (("float(np.log(2))", "torch.tensor(2.0).log()"), "the bound should be"),
    ],
    "12.8": [
        ((" - logp.exp() @ features", ""), "subtract the mean"),
        (("logp.exp() @ features", "features.mean(0)"), "policy's probabilities"),
        (("beta / 2", "beta"), "σ(0)"),
        (("lr * beta / 2", "lr / 2"), "factor β"),
        (("lr * beta", "beta"), "learning rate"),
        (
            ("features[chosen] - features[rejected]", "features[rejected] - features[chosen]"),
            "sign",
        ),
        (("features[chosen] - features[rejected]", "features[chosen]"), "rejected ones"),
        (("logp.exp() @ features", "logp @ features"), "not logp"),
        (
            (
                "(features - logp.exp() @ features) @ move",
                "(logp + features @ move).log_softmax(0) - logp",
            ),
            "first order",
        ),
    ],
}
