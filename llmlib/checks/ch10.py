"""Checkers for chapter 10: templates, masks, collators. The rest: `ch10_training`."""

import torch

from llmlib.model import ModelConfig, Transformer

from . import close, equal, exercise, expect, is_type, same_shape
from .ch10_training import ex_10_5, ex_10_6, ex_10_7, ex_10_8

__all__ = ["ex_10_5", "ex_10_6", "ex_10_7", "ex_10_8"]

CHAPTER = "Supervised fine-tuning"

SPECIAL = {
    "<|system|>": 2,
    "<|user|>": 3,
    "<|assistant|>": 4,
    "<|tool|>": 5,
    "<|end|>": 6,
    "<|think|>": 7,
    "<|/think|>": 8,
    "<|call|>": 9,
    "<|/call|>": 10,
    "<|result|>": 11,
    "<|/result|>": 12,
}
S, U, A, T, END = (
    SPECIAL[f"<|{name}|>"] for name in ("system", "user", "assistant", "tool", "end")
)
# system, user, assistant who thinks and calls, tool, assistant, user, assistant
DIALOGUE = [S, 90, END, U, 20, 21, 22, END, A, 7, 30, 8, 31, 9, 40, 41, 10, END,
            T, 11, 50, 12, END, A, 32, 33, END, U, 23, END, A, 34, END]  # fmt: skip
WRITTEN = [*[0] * 9, *[1] * 9, *[0] * 6, *[1] * 3, *[0] * 4, *[1] * 2]


@exercise("10.1", "whose words are these?")
def ex_10_1(attempt):
    """A dialogue of three turns with a thought, a call and a result; then an open turn."""
    want = [bool(x) for x in WRITTEN]
    got = attempt(list(DIALOGUE), dict(SPECIAL))
    is_type(got, (list, tuple), "the mask")
    expect(
        len(got) == len(want), f"the mask has {len(got)} entries for {len(want)} ids: one for each."
    )
    got = [bool(x) for x in got]
    role, tool, wide = None, [], []
    for id in DIALOGUE:
        role = id if id in (S, U, A, T) else role
        tool.append(role in (A, T) and id not in (A, T))
        wide.append(role == A)
    no_end = [w and id != END for w, id in zip(want, DIALOGUE, strict=True)]
    known = {
        "<|assistant|> is marked: the program writes it, to hand over the turn; the model never "
        "has to": wide,
        "the assistant's <|end|> is not marked: it would never learn to stop": no_end,
        "every <|end|> is marked: those of the others are not the assistant's to write": [
            w or id == END for w, id in zip(want, DIALOGUE, strict=True)
        ],
        "what the tool returned is marked: the model would learn to invent results": tool,
        "only the last answer is marked: earlier turns of the assistant are its words too": [
            w and i > len(want) - 4 for i, w in enumerate(want)
        ],
        "the mask is one place off: mask[t] speaks of ids[t] itself": [*want[1:], False],
        "the marks of thought and call are left out: the assistant writes them itself": [
            w and not 7 <= id <= 10 for w, id in zip(want, DIALOGUE, strict=True)
        ],
    }
    equal(got, want, "the mask", known=known)
    half = DIALOGUE[:12]
    equal([bool(x) for x in attempt(half, dict(SPECIAL))], want[:12], "the mask of an open turn")


@exercise("10.2", "inputs and labels")
def ex_10_2(attempt):
    """One short conversation with two answers."""
    ids = [3, 20, 21, 6, 4, 30, 31, 6, 3, 22, 6, 4, 32, 6]
    mask = [i in (5, 6, 7, 12, 13) for i in range(len(ids))]
    got = attempt(list(ids), list(mask))
    expect(
        isinstance(got, (list, tuple)) and len(got) == 2,
        "return two lists: the inputs and the labels.",
    )
    inputs, labels = [list(map(int, part)) for part in got]
    n = len(ids) - 1
    want = [ids[t + 1] if mask[t + 1] else -100 for t in range(n)]
    expect(
        len(labels) != len(ids),
        "a conversation of n tokens has n − 1 predictions: after the last token nothing follows.",
    )
    equal(inputs, ids[:-1], "the inputs", known={"the inputs are shifted, not the labels": ids[1:]})
    equal(
        labels,
        want,
        "the labels",
        known={
            "the mask was not shifted along with the ids: each answer lost its first word's place "
            "and <|end|>": [ids[t + 1] if mask[t] else -100 for t in range(n)],
            "the labels were not shifted: every token would have to predict itself": [
                ids[t] if mask[t] else -100 for t in range(n)
            ],
            "nothing is masked: the prompt is learnt as well": ids[1:],
            "0 is a token's id; what does not count is marked with −100": [
                ids[t + 1] if mask[t + 1] else 0 for t in range(n)
            ],
        },
    )


@exercise("10.3", "do the neighbours matter?")
def ex_10_3(attempt):
    """A random model; its own logits with and without the mask, and two lengths."""
    model = Transformer(ModelConfig(vocab_size=40, d_model=16, n_layers=2, n_heads=2,
                                    max_seq_len=64))  # fmt: skip
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.3)
        for n1, n2 in ((5, 7), (9, 4)):
            first, other = torch.randint(0, 40, (2, n1))
            second = torch.randint(0, 40, (n2,))
            packed, changed = torch.cat([first, second])[None], torch.cat([other, second])[None]
            docs = torch.tensor([[0] * n1 + [1] * n2])
            inside = (model(packed, doc_ids=docs) - model(changed, doc_ids=docs)).abs()
            naive = (model(packed) - model(changed)).abs()
            got = attempt(model, first, second, other)
            expect(
                isinstance(got, (list, tuple)) and len(got) == 2,
                "return two numbers: the change with doc_ids, and the change without.",
            )
            own = float(got[0])
            expect(
                own == 0 or float(got[1]) != 0,
                "the two are the other way round: the change with doc_ids comes first.",
            )
            expect(
                own != float(inside.max()) or own == 0,
                "you look at all logits, those of the first document too: they change, of course.",
            )
            expect(
                own == 0,
                f"with doc_ids the second document's logits should not change by one bit; yours "
                f"change by {own:.3g}. Do both packed rows have doc_ids, 0 for the first document "
                f"and 1 for the second?",
            )
            close(
                float(got[1]),
                float(naive[0, n1:].max()),
                "the change without doc_ids",
                rtol=1e-4,
                known={
                    "without doc_ids you should see a change: were they left in?": 0.0,
                    "that is the mean of the changes; take the largest": float(
                        naive[0, n1:].mean()
                    ),
                    "you compare all positions, those of the first document too": float(
                        naive.max()
                    ),
                },
            )
    return "correct: not one bit with the mask, and plainly without."


@exercise("10.4", "find the bug: a padded batch")
def ex_10_4(attempt):
    """Three conversations of unequal lengths, padded with the end token itself."""
    end = 6
    rows = [
        ([3, 20, 6, 4, 30, 31, 6], [0, 0, 0, 0, 1, 1, 1]),
        ([3, 21, 22, 6, 4, 32, 6, 3, 23, 6, 4, 33, 6], [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1]),
        ([3, 24, 6, 4, 34, 6], [0, 0, 0, 0, 1, 1]),
    ]
    rows = [(ids, [bool(m) for m in mask]) for ids, mask in rows]
    got = attempt(rows, end)
    expect(
        isinstance(got, (list, tuple)) and len(got) == 2,
        "return two tensors: the ids and the labels.",
    )
    ids, labels = got
    longest = max(len(r) for r, _ in rows)
    same_shape(ids, (3, longest), "ids")
    same_shape(labels, (3, longest), "labels")
    want_ids = torch.full((3, longest), end)
    want = torch.full((3, longest), -100)
    for b, (row, mask) in enumerate(rows):
        want_ids[b, : len(row)] = torch.tensor(row)
        want[b, : len(row)] = torch.tensor(row).masked_fill(~torch.tensor(mask), -100)
    equal(
        ids.long(),
        want_ids,
        "ids",
        known={"pad on the right: answers stand at the end": _left(want_ids, rows, end)},
    )
    equal(
        labels.long(),
        want,
        "labels",
        known={
            "the <|end|> of every answer has gone: padding was told by its id, and <|end|> has the "
            "same id": want.masked_fill(want_ids == end, -100),
            "padding is learnt: a model that has stopped would be told to stop again": torch.where(
                _padding(rows, longest), end, want
            ),
            "these labels are shifted: here label t is id t itself, as the models of transformers "
            "want it, which shift inside": torch.cat(
                [want[:, 1:], torch.full((3, 1), -100)], dim=1
            ),
            "the prompt is learnt: use the mask that comes with each conversation": (
                want_ids.masked_fill(_padding(rows, longest), -100)
            ),
        },
    )


def _padding(rows, longest: int) -> torch.Tensor:
    lengths = torch.tensor([len(ids) for ids, _ in rows])
    return torch.arange(longest) >= lengths[:, None]


def _left(ids: torch.Tensor, rows, pad: int) -> torch.Tensor:
    moved = torch.full_like(ids, pad)
    for b, (row, _) in enumerate(rows):
        moved[b, ids.shape[1] - len(row) :] = torch.tensor(row)
    return moved
