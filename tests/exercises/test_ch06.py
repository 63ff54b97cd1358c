"""Wrong attempts at the exercises of chapter 06, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "06.1": [
        (("(step + 1) / warmup", "step / warmup"), "learning rate of 0"),
        (("(step - warmup) / (steps - warmup)", "step / steps"), "before the warm-up is over"),
        (("final + (1 - final) * ", ""), "ends at 0"),
        (("(1 + math.cos(math.pi * done)) / 2", "(1 - done)"), "straight line"),
        (("if step < warmup", "if step <= warmup"), "the cosine at"),
    ],
    "06.2": [
        (
            "def clip(grads, limit):\n"
            "    return [g * min(1, limit / (float(g.norm()) + 1e-9)) for g in grads]\n",
            "its own norm",
        ),
        (
            "def clip(grads, limit):\n    return [g.clamp(-limit, limit) for g in grads]\n",
            "bends the direction",
        ),
        (("limit / norm if norm > limit else 1.0", "limit / (norm + 1e-12)"), "scaled *up*"),
        ((" ** 0.5", ""), "square root is missing"),
        (("float((g**2).sum()) for g in grads) ** 0.5", "float(g.norm()) for g in grads)"), "add"),
    ],
    "06.3": [
        (("m / (1 - b1**t)\n    v_hat = v / (1 - b2**t)", "m\n    v_hat = v"), "bias correction"),
        (
            "def adamw_step(w, g, m, v, t, lr, b1, b2, eps, decay):\n"
            "    g = g + decay * w\n"
            "    m = b1 * m + (1 - b1) * g\n"
            "    v = b2 * v + (1 - b2) * g**2\n"
            "    m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)\n"
            "    return w - lr * m_hat / (v_hat**0.5 + eps), m, v\n",
            "L2",
        ),
        (("(v_hat**0.5 + eps)", "(v_hat + eps) ** 0.5"), "inside the square root"),
        (("1 - lr * decay", "1 - decay"), "not multiplied by the learning rate"),
        (("return w, m, v", "return w, m_hat, v_hat"), "uncorrected"),
        (("m = b1 * m + (1 - b1) * g\n", "m.mul_(b1).add_(g, alpha=1 - b1)\n"), "changed its"),
    ],
    "06.4": [
        (("decay * w / s", "decay * w"), "divides it by √v̂"),
        (("decay * w / s", "decay * w / s**2"), "square root"),
        (
            "def shrink(w, s, lr, decay, decoupled):\n"
            "    return w * (1 - lr * decay / (1 if decoupled else s))\n",
            "not by how much",
        ),
        (
            "def shrink(w, s, lr, decay, decoupled):\n"
            "    return lr * decay * w / (s if decoupled else 1)\n",
            "decoupled means",
        ),
    ],
    "06.5": [
        ((" / G.norm()", ""), "infinity"),
        (("x @ x.T @ x", "x**3"), "cube each entry"),
        (
            "def polar(G, rounds):\n"
            "    x = G / G.norm()\n"
            "    for _ in range(rounds):\n"
            "        g = x @ x.T\n"
            "        x = 3.4445 * x + (-4.775 * g + 2.0315 * g @ g) @ x\n"
            "    return x\n",
            "the cubic's coefficients",
        ),
        (("range(rounds)", "range(1)"), "should all be 1"),
    ],
    "06.6": [
        (("/ count", "/ len(y) / len(pieces)"), "average of the pieces' averages"),
        (("loss_sum(model, x, y) / count", "loss_sum(model, x, y)"), "*sum*"),
        (("count = sum(len(y) for _, y in pieces)", "count = len(pieces)"), "number of pieces"),
        (("        p.grad = None", "        pass"), "earlier step"),
        (
            "def accumulate(model, pieces, loss_sum):\n"
            "    count = sum(len(y) for _, y in pieces)\n"
            "    total = 0.0\n"
            "    for x, y in pieces:\n"
            "        model.zero_grad()\n"
            "        loss = loss_sum(model, x, y) / count\n"
            "        loss.backward()\n"
            "        total += loss.item()\n"
            "    return total\n",
            "only the last piece",
        ),
    ],
    "06.7": [
        (
            (', "m": run.m.clone()', ', "m": torch.zeros(4)'),
            "momentum starts again from zero",
        ),
        (('    run.rng.set_state(state["rng"])\n', ""), "generator"),
        (("run.w.clone()", "run.w"), "another name"),
        (
            ('state["w"].clone(), state["m"].clone()', 'state["w"], state["m"]'),
            "first restored run",
        ),
        (('    run.step = state["step"]\n', ""), "step number"),
    ],
    "06.8": [
        (
            "def safe_loss(logits, targets, mask):\n"
            "    p = logits.float().softmax(-1).gather(-1, targets[..., None])[..., 0]\n"
            "    return -(p.log() * mask).sum() / mask.sum().clamp(min=1)\n",
            "logit of 200",
        ),
        ((".clamp(min=1)", ""), "empty mask"),
        (("/ mask.sum().clamp(min=1)", "/ mask.numel()"), "divide by all places"),
        ((".float()", ""), "float32"),
        (("(nats * mask)", "nats"), "should be"),
    ],
    "06.9": [
        (("        if not math.isfinite(norm):\n            return t\n", ""), "NaN was missed"),
        (
            "def alarm(norms, window, factor):\n"
            "    median = sorted(norms)[len(norms) // 2]\n"
            "    for t, norm in enumerate(norms):\n"
            "        if not math.isfinite(norm):\n"
            "            return t\n"
            "        if t >= window and norm > factor * median:\n"
            "            return t\n",
            "into the future",
        ),
        (("norms[t - window : t]", "norms[t - window + 1 : t + 1]"), "step itself"),
        (("if norm > factor * median", "if norm > factor * sum(before) / window"), "threshold up"),
        (
            ("(before[half] + before[window - 1 - half]) / 2", "before[window - 1 - half]"),
            "too low",
        ),
        (("if norm > factor * median", "if norm >= factor * median"), "must exceed"),
        (
            "def alarm(norms, window, factor):\n"
            "    for t, norm in enumerate(norms):\n"
            "        before = torch.tensor(norms[max(0, t - window) : t] or [math.inf])\n"
            "        if not math.isfinite(norm) or norm > factor * before.quantile(0.5):\n"
            "            return t\n",
            "alarm in the first steps",
        ),
    ],
}
