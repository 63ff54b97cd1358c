"""Checkers for chapter 07: prompts, drafts, small weights, and text as it comes."""

import torch

from llmlib.model import ModelConfig, Transformer

from . import close, equal, exercise, expect, is_type, same_dtype, same_shape


@exercise("07.5", "padding on the right")
def ex_07_5(attempt):
    """A random model, prompts of three lengths, the passes counted."""
    config = ModelConfig(vocab_size=50, d_model=32, n_layers=2, n_heads=4, max_seq_len=32)
    model = Transformer(config).eval()
    with torch.no_grad():
        for w in model.parameters():
            w.normal_(std=0.3)
    prompts = [[5, 0, 7], [9, 8, 7, 6, 5, 4], [3], [1, 2, 3, 0]]
    calls = []
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        got = attempt(model, [list(p) for p in prompts])
        n_calls = len(calls)
        hook.remove()
        want = torch.cat([model(torch.tensor([p]))[:, -1] for p in prompts])
        last = model(_padded(prompts, left=False))[:, -1]
        bare = model(_padded(prompts, left=True))[:, -1]
    logits = model(_padded(prompts, left=False)).detach()
    lengths = torch.tensor([len(p) for p in prompts])
    rows = torch.arange(len(prompts))
    nonzero = (_padded(prompts, left=False) != 0).sum(1)
    same_shape(got, (4, 50), "the logits")
    close(
        got,
        want,
        "the logits",
        rtol=1e-3,
        atol=1e-4,
        known={
            "the last column is what follows the padding: take each row's own last token": last,
            "you filled on the left, and the texts see the filling: fill on the right": bare,
            "one place too far: the last of n tokens stands at n − 1": logits[
                rows, lengths.clamp(max=5)
            ],
            "logits are asked for, as the model gives them, before any softmax": want.softmax(-1),
            "lengths are those of the lists; id 0 may be a real token": logits[rows, nonzero - 1],
        },
    )
    expect(n_calls == 1, f"all prompts in one pass are asked for; yours makes {n_calls}.")


def _padded(prompts, left: bool) -> torch.Tensor:
    longest = max(map(len, prompts))
    fill = [[0] * (longest - len(p)) for p in prompts]
    return torch.tensor([f + p if left else p + f for p, f in zip(prompts, fill, strict=True)])


@exercise("07.6", "judge a round")
def ex_07_6(attempt):
    """Rounds in which the first, a middle or no guess falls; chances on both sides of luck."""
    q = torch.tensor([[0.7, 0.1, 0.2], [0.2, 0.2, 0.6], [0.5, 0.25, 0.25]])
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    rounds = [
        ([1, 1, 1], [0.2, 0.3, 0.1]),
        ([1, 1, 0], [0.32, 0.5, 0.5]), ([0, 2, 0], [0.9, 0.1, 0.1]), ([0, 2, 0], [0.6, 0.9, 0.1]),
        ([0, 2, 2], [0.6, 0.4, 0.9]), ([2, 1, 1], [0.5, 0.5, 0.7]),
    ]  # fmt: skip
    for guesses, luck in rounds:
        chances = (p[:3] / q).clamp(max=1)
        kept = [
            u < float(chances[i, x]) for i, (x, u) in enumerate(zip(guesses, luck, strict=True))
        ]
        n = kept.index(False) if False in kept else 3
        got = attempt(p, q, list(guesses), torch.tensor(luck))
        expect(
            isinstance(got, (tuple, list)) and len(got) == 2,
            "return two things: how many are kept, and a distribution.",
        )
        sharp = [p[i, x] >= q[i, x] for i, x in enumerate(guesses)]
        early = sharp.index(False) if False in sharp else 3
        expect(
            int(got[0]) != sum(kept) or sum(kept) == n,
            "the first guess that falls ends the round: later ones were made for another text.",
        )
        equal(
            int(got[0]),
            n,
            "the number of guesses kept",
            known={
                "a guess is not refused because p < q there: it is kept with the chance p/q": early,
                "the chance is p/q, large model over draft; yours is the other way round": _kept(
                    q[:3] / p[:3], guesses, luck
                ),
                "the chance is p/q, not p": _kept(p[:3], guesses, luck),
                "a guess is kept if its luck is *below* its chance; yours if it is above": _kept(
                    1 - chances, guesses, 1 - torch.tensor(luck)
                ),
            },
        )
        want = p[3] if n == 3 else _positive(p[n] - q[n])
        if n == 3:
            known = {
                "all guesses were kept: the next token comes from the last row of p": p[2],
                "after the last guess nothing is owed: that row of p is drawn from as it is": (
                    _positive(p[2] - q[2])
                ),
            }
        else:
            known = {
                "after a refusal not p itself is drawn from: what min(p, q) gave already would be "
                "given twice": p[n],
                "what is owed does not sum to 1: divide": (p[n] - q[n]).clamp(min=0),
                "draft and large model are swapped: owed is what p has and q could not give": (
                    _positive(q[n] - p[n])
                ),
                "the difference may be negative; what is owed is at least 0": p[n] - q[n],
                "only what p has more of is owed: max(p − q, 0), not |p − q|": _positive(
                    (p[n] - q[n]).abs()
                ),
                "what is owed is a share of p − q, set to 0 where negative; no softmax": (
                    (p[n] - q[n]).softmax(-1)
                ),
                "min(p, q) is what was kept; owed is the rest of p": torch.minimum(p[n], q[n])
                / torch.minimum(p[n], q[n]).sum(),
                "the draft's distribution is not drawn from again: it was refused here": q[n],
                "that is the row after the refused guess: draw where it fell": p[n + 1],
            }
        expect(
            torch.isfinite(torch.as_tensor(got[1])).all(),
            "the differences p − q sum to 0: set the negative ones to 0 before you divide.",
        )
        close(got[1], want, "the distribution of the next token", known=known)


def _kept(chances: torch.Tensor, guesses, luck) -> int:
    fell = [u >= float(chances[n, x]) for n, (x, u) in enumerate(zip(guesses, luck, strict=True))]
    return fell.index(True) if True in fell else len(guesses)


def _positive(x: torch.Tensor) -> torch.Tensor:
    x = x.clamp(min=0)
    return x / x.sum()


@exercise("07.7", "four bits in groups")
def ex_07_7(attempt):
    """A matrix whose groups have very different sizes."""
    W = torch.randn(6, 32) * torch.logspace(-2, 1, 32)
    for group in (8, 16):
        parts = W.view(6, -1, group)
        scale = parts.abs().amax(-1) / 7
        codes = (parts / scale[..., None]).round().view(6, 32)
        got = attempt(W, group)
        expect(
            isinstance(got, (tuple, list)) and len(got) == 2,
            "return two tensors: the codes and the scales.",
        )
        known = {
            "a scale for each group is asked for, not one a row": (
                W.abs().amax(1, keepdim=True) / 7
            ).expand(6, 32 // group),
            "the largest value must become 7: divide by 7": parts.abs().amax(-1) / 8,
            "the largest value must become 7: 127 is for eight bits": parts.abs().amax(-1) / 127,
            "from −7 to 7 the largest value becomes 7: divide by 7, not by the 15 steps": (
                parts.abs().amax(-1) / 15
            ),
            "one scale for the whole matrix is too coarse: each group has its own": (
                W.abs().max().expand(6, 32 // group) / 7
            ),
            "a group is `group` neighbours of a row; yours takes numbers that stand apart": (
                W.view(6, group, -1).abs().amax(1) / 7
            ),
            "the largest *absolute* value decides, a negative one too": parts.amax(-1) / 7,
        }
        expect(
            tuple(got[1].shape) != (6, 1),
            "a scale for each group is asked for, not one a row.",
        )
        expect(
            tuple(got[0].shape) != tuple(scale.shape),
            "the codes come first, then the scales; yours come the other way round.",
        )
        same_shape(got[1], scale, "the scales")
        close(got[1], scale, "the scales", known=known)
        same_shape(got[0], W, "the codes")
        exact = parts / scale[..., None]
        close(
            got[0].float(),
            codes,
            "the codes",
            known={
                "numbers were cut off instead of rounded: round() comes before to(int8)": (
                    exact.trunc().view(6, 32)
                ),
                "round to the nearest, not down": exact.floor().view(6, 32),
                "the codes are not whole numbers yet: round": exact.view(6, 32),
            },
        )
        same_dtype(got[0], torch.int8, "the codes")


@exercise("07.8", "show nothing that must be taken back")
def ex_07_8(attempt):
    """Stops inside a piece, across pieces, begun and not finished, never there."""
    cases = [
        (["a", "b", "c"], "STOP", ["a", "b", "c", ""]),
        (["one\n", "Ques", "tion: two"], "\nQuestion", ["one", "", "", ""]),
        (["one\n", "Quart", "z"], "\nQuestion", ["one", "\nQuart", "z", ""]),
        (["go on\nQ"], "\nQuestion", ["go on", "\nQ"]),
        (["x", "END of it", "more"], "END", ["x", "", "", ""]),
        (["aa", "ab", "c"], "aab", ["", "a", "", ""]),
        (["a STO", "STOP b"], "STOP", ["a ", "STO", ""]),
    ]
    for pieces, stop, want in cases:
        got = attempt(list(pieces), stop)
        is_type(got, (list, tuple), "the result")
        case = f"pieces {pieces!r}, stop {stop!r}: "
        expect(
            len(got) == len(want),
            f"{case}one string for each piece and one for the end: {len(want)}, not {len(got)}.",
        )
        shown, full = "".join(got), "".join(pieces)
        expect(stop not in shown, f"{case}the stop itself is shown.")
        if stop in full and shown != "".join(want) and shown.startswith("".join(want)):
            expect(False, f"{case}what was shown had to be taken back: {shown!r} has too much.")
        expect(
            shown != "".join(want)[: len(shown)] or shown == "".join(want),
            f"{case}what was held back for a stop that never came is lost: {shown!r}.",
        )
        for n, (mine, should) in enumerate(zip(got, want, strict=True)):
            if len(mine) < len(should):
                expect(False, f"{case}after piece {n + 1} you show {mine!r}, and {should!r} is "
                       "safe: hold back only what may begin the stop.")  # fmt: skip
            expect(
                len(mine) <= len(should),
                f"{case}after piece {n + 1} you show {mine!r}; part of it may belong to the stop.",
            )
        equal(list(got), want, f"{case}what is shown")
