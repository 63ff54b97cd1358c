"""Wrong attempts at the exercises of chapter 11, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "11.1": [
        (("rewards[won] - rewards[lost]", "rewards[lost] - rewards[won]"), "exchanged"),
        ((".mean()", ".sum()"), "sum over the verdicts"),
        (("-F.logsigmoid(gap)", "F.logsigmoid(gap)"), "minus is missing"),
        (("F.logsigmoid(gap)", "torch.log(torch.sigmoid(gap))"), "not finite"),
        (("-F.logsigmoid(gap).mean()", "torch.sigmoid(gap).mean()"), "mean probability"),
        ((".mean()", ".mean().detach()"), "no gradient"),
    ],
    "11.2": [
        (
            (
                "(ref * reward).sum()\n    variance = (ref * (reward - mean) ** 2).sum()",
                "reward.mean()\n    variance = ((reward - mean) ** 2).mean()",
            ),
            "weigh all answers alike",
        ),
        (("variance.sqrt()", "variance"), "standard deviation is its root"),
        (("variance.sqrt()", "reward.std()"), "the spread is not"),
        (("(reward - mean) / variance", "reward / variance"), "shift first"),
        ((" / variance.sqrt()", ""), "only shifted"),
    ],
    "11.3": [
        (("after, running = 0.0, 0.0", "after, running = values[-1], 0.0"), "nothing comes"),
        (("rewards[t] + after - values[t]", "rewards[t] + after"), "not subtracted"),
        (("delta + lam * running", "delta"), "λ has no effect"),
        (("delta + lam * running", "delta + running"), "not discounted"),
        (("return advantages", "return advantages + values"), "those are returns"),
        (("rewards[t] + after", "rewards[t] + lam * after"), "not the value of what follows"),
        (("return advantages", "return advantages.flip(0)"), "wrong order"),
    ],
    "11.4": [
        (("        return d\n", "        return -d\n"), "mean −KL"),
        (("torch.expm1(-d) + d", "torch.expm1(d) - d"), "upside down"),
        (("torch.expm1(-d) + d", "torch.expm1(-d) - d"), "sign of the logarithm"),
        (("torch.expm1(-d) + d", "d**2 / 2"), "biased"),
        (("torch.expm1(-d) + d", "torch.exp(-d) + d"), "−1 is missing"),
        (("        return d\n", "        return logp.exp() * d\n"), "once more"),
    ],
    "11.5": [
        (("return d * logp", "return logp - ref_logp"), "mean gradient is 0"),
        (
            ("return d * logp", "e = logp - ref_logp\n    return torch.expm1(-e) + e"),
            "the other direction",
        ),
        (("return d * logp", "return -d * logp"), "sign is wrong"),
        ((".detach()", ""), "must be detached"),
        (("return d * logp", "return d"), "no gradient"),
        (("return d * logp", "return (logp - ref_logp) ** 2"), "twice"),
        (("return d * logp", "return logp.exp() * (logp - ref_logp)"), "once more"),
    ],
    "11.6": [
        (("kept = x[mask]", "kept = x"), "taken over the padding, too"),
        (("kept = x[mask]", "kept = x * mask"), "zeros count"),
        (("kept.std()", "kept.std(correction=0)"), "n − 1"),
        (("return torch.where(mask, scaled, 0.0)", "return scaled"), "come out as 0"),
        (("torch.where(mask, scaled, 0.0)", "scaled * mask"), "rather than multiply"),
    ],
    "11.7": [
        (("(below + equal) ** n - below**n", "(below + equal) ** n"), "subtract what is below"),
        ((" * p[i] / equal", ""), "counted several times"),
        (
            ("top * p[i] / equal", "top / (reward == reward[i]).sum()"),
            "not in halves",
        ),
        (
            "def best_of_n(p, reward, n):\n"
            "    F_ = p.cumsum(0)\n"
            "    return F_**n - torch.cat([F_.new_zeros(1), F_[:-1]]) ** n\n",
            "order of the list",
        ),
        ("def best_of_n(p, reward, n):\n    return p**n\n", "all n are this answer"),
        ("def best_of_n(p, reward, n):\n    return 1 - (1 - p) ** n\n", "written at all"),
        (("top * p[i] / equal", "(below + equal) ** n"), "take off what is below"),
        (("top * p[i] / equal", "n * p[i] * (below + equal) ** (n - 1)"), "a density"),
    ],
    "11.8": [
        (
            "def peak(kl, gain):\n    d = kl.sqrt()\n"
            "    X = torch.stack([d, -(d**2), torch.ones_like(d)], dim=1)\n"
            "    a, b, _ = torch.linalg.lstsq(X, gain[:, None]).solution[:, 0]\n"
            "    return float((a / (2 * b)) ** 2)\n",
            "fitted a constant",
        ),
        (("d = kl.sqrt()", "d = kl"), "*root* of the KL"),
        (
            ("float((a / (2 * b)) ** 2)", "float((a / b) ** 2)"),
            "back at 0",
        ),
        (("float((a / (2 * b)) ** 2)", "float(a / (2 * b))"), "asked for is the KL"),
        (
            "def peak(kl, gain):\n    return float(kl[gain.argmax()])\n",
            "best of the points given",
        ),
        (
            ("float((a / (2 * b)) ** 2)", "float((a / b) ** 2 / 2)"),
            "square the half",
        ),
        (
            "def peak(kl, gain):\n    d = kl.sqrt()\n"
            "    X = torch.stack([torch.ones_like(d), -d], dim=1)\n"
            "    a, b = torch.linalg.lstsq(X, (gain / d)[:, None]).solution[:, 0]\n"
            "    return float((a / (2 * b)) ** 2)\n",
            "gain divided by d",
        ),
    ],
}
