"""Checkers for chapter 10 about training and measuring: pieces, templates, adapters, claims."""

import itertools
import math

import torch

from . import close, exercise, expect, is_type, same_shape
from .ch04_references import Largest


@exercise("10.5", "pieces of a batch")
def ex_10_5(attempt):
    """Pieces with unequal numbers of rows and of counted tokens, one row without any."""
    masks = [
        torch.rand(n, length) < share
        for n, length, share in ((2, 9, 0.9), (4, 6, 0.2), (1, 12, 0.5))
    ]
    for mask in masks:
        mask[:, 0] = True
    masks[1][3] = False  # a conversation whose answer was cut away
    nats = [torch.rand(mask.shape) * 3 for mask in masks]
    tokens = [int(mask.sum()) for mask in masks]
    rows = [int(mask.any(1).sum()) for mask in masks]
    by_row = [
        [n[m].mean() for n, m in zip(ns, ms, strict=True) if m.any()]
        for ns, ms in zip(nats, masks, strict=True)
    ]
    for per, counts in (("token", tokens), ("sequence", rows)):
        got = attempt([mask.clone() for mask in masks], per)
        is_type(got, (list, tuple, torch.Tensor), "the weights")
        expect(len(got) == 3, f"one weight for each of the 3 pieces, not {len(got)}.")
        got = torch.tensor([float(w) for w in got])
        want = torch.tensor([c / sum(counts) for c in counts])
        every_row = torch.tensor([float(len(mask)) for mask in masks])
        known = {
            "equal weights make a token in a piece with few of them count for more": (
                torch.full((3,), 1 / 3)
            ),
            "these are counts: divide by their sum, so that the weights add up to 1": (
                torch.tensor([float(c) for c in counts])
            ),
            "padding and prompts were counted: only the tokens under the mask are in the mean": (
                torch.tensor([float(mask.numel()) for mask in masks])
                / sum(m.numel() for m in masks)
            ),
            "a conversation without a single counted token has no mean: it must not be counted": (
                every_row / every_row.sum()
            ),
        }
        other = rows if per == "token" else tokens
        known[f'these are the weights for the other of "token" and "sequence", not for "{per}"'] = (
            torch.tensor([c / sum(other) for c in other])
        )
        close(got, want, f'the weights per "{per}"', known=known)
        means = (
            [float(n[m].mean()) for n, m in zip(nats, masks, strict=True)]
            if per == "token"
            else [float(sum(r) / len(r)) for r in by_row]
        )
        whole = (
            torch.cat([n[m] for n, m in zip(nats, masks, strict=True)]).mean()
            if per == "token"
            else torch.stack([x for r in by_row for x in r]).mean()
        )
        close(float(got @ torch.tensor(means)), float(whole), "the weighted mean", rtol=1e-4)


CHATS = [
    [("user", "hi"), ("assistant", "hello")],
    [
        ("system", "be brief"),
        ("user", "2+3?"),
        ("assistant", "5"),
        ("user", "sure?"),
        ("assistant", "yes"),
    ],
    [("user", "hi hello"), ("assistant", "")],
    [("user", " indented\n"), ("assistant", "  two\n\nlines ")],
    [(("user", "assistant")[i % 2], letter) for i, letter in enumerate("abcdef")],
]


@exercise("10.6", "a template of your own")
def ex_10_6(attempt):
    """Prefixes, learnt ends, nothing else learnt, and no two conversations alike."""
    chats = [[{"role": r, "content": c} for r, c in chat] for chat in CHATS]
    for chat in chats:
        whole = _segments(attempt(chat, False))
        text = "".join(t for t, _ in whole)
        for i, message in enumerate(chat):
            expect(
                message["content"] in text,
                f"{message['content']!r} was said, and is not in {text!r}: a template changes "
                "nothing, spaces and line breaks included.",
            )
            if message["role"] == "assistant":
                prompt = "".join(t for t, _ in _segments(attempt(chat[:i], True)))
                expect(
                    text.startswith(prompt),
                    f"with {i} messages and the generation prompt you render {prompt[-40:]!r}, "
                    "and that is not how the whole conversation goes on: what the model reads when "
                    "it answers is not what it was trained on.",
                )
                said = text[len(prompt) :]
                expect(
                    not said.startswith("<|im_start|>"),
                    "with add_generation_prompt the text should end with the header of an "
                    "assistant's turn; without it the model would have to write that itself.",
                )
                expect(
                    said.startswith(message["content"]),
                    f"after the generation prompt should come the answer {message['content']!r}; "
                    f"yours goes on with {said[:20]!r}.",
                )
        _check_learnt(chat, whole)
        opened = _segments(attempt(chat[:-1], True))
        closed = _segments(attempt(chat[:-1], False))
        expect(
            not any(learnt for _, learnt in opened[len(closed) :]),
            "the generation prompt is learnt: the program writes it, not the model.",
        )
    _check_distinct(attempt)
    for chat in chats:
        _check_form(chat, "".join(text for text, _ in _segments(attempt(chat, False))))


def _check_form(chat, text: str) -> None:
    """The very form that the task describes: for a model that was trained on it."""
    want = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in chat)
    same = sum(1 for _ in itertools.takewhile(lambda ab: ab[0] == ab[1], zip(text, want)))  # noqa: B905
    expect(
        text == want,
        f"this could be a template, but it is not the one that was asked for: at character {same} "
        f"should stand {want[same : same + 12]!r}; yours has {text[same : same + 12]!r}. To a "
        "model, one character is another language.",
    )


def _segments(got) -> list[tuple[str, bool]]:
    is_type(got, (list, tuple), "the template's result")
    for part in got:
        expect(
            isinstance(part, (list, tuple)) and len(part) == 2 and isinstance(part[0], str),
            "return a list of pairs (text, learnt).",
        )
    return [(text, bool(learnt)) for text, learnt in got]


def _check_learnt(chat, whole) -> None:
    stretches = [
        "".join(text for text, _ in group)
        for learnt, group in itertools.groupby((p for p in whole if p[0]), key=lambda p: p[1])
        if learnt
    ]
    answers = [m["content"] for m in chat if m["role"] == "assistant"]
    learnt = "".join(stretches)
    expect("<|im_start|>" not in learnt, "the header of a turn is learnt: the program writes it.")
    for message in chat:
        if message["role"] != "assistant":
            expect(
                message["content"] not in learnt.replace("<|im_end|>", "|"),
                f"{message['role']}'s words are learnt: only the assistant's are to be.",
            )
    expect(
        len(stretches) == len(answers),
        f"{len(answers)} answers, but {len(stretches)} learnt stretches in {chat}: every answer "
        "ends with a learnt <|im_end|>, and an empty answer is nothing but that.",
    )
    for stretch, answer in zip(stretches, answers, strict=True):
        if stretch.rstrip("\n") == answer:
            expect(False, "the end of the answer is not learnt: the model would never stop.")
        expect(
            stretch == answer + "<|im_end|>",
            f"of the answer {answer!r} exactly the text and <|im_end|> should be learnt; yours "
            f"learns {stretch!r}.",
        )


def _check_distinct(attempt) -> None:
    texts = {}
    for roles in itertools.product(("user", "assistant", "system"), repeat=2):
        for contents in (("a", "b"), ("a\nb", ""), ("ab", "")):
            chat = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]
            text = "".join(t for t, _ in _segments(attempt(chat, False)))
            expect(
                text not in texts,
                f"two conversations give the same text {text!r}: {texts.get(text)} and {chat}. "
                "Does every turn carry its role?",
            )
            texts[text] = chat


@exercise("10.7", "the gradient of an adapter")
def ex_10_7(attempt):
    """Against autograd, at a random point and at the start, where B is zero."""
    for at_start in (False, True):
        x, A, B = torch.randn(6, 5), torch.randn(2, 5), torch.randn(4, 2)
        B = torch.zeros_like(B) if at_start else B
        a, b, upstream = A.clone().requires_grad_(), B.clone().requires_grad_(), torch.randn(6, 4)
        scale = 1.5
        (scale * (x @ a.T @ b.T) * upstream).sum().backward()
        got = attempt(x, upstream, A, B, scale)
        expect(
            isinstance(got, (list, tuple)) and len(got) == 2,
            "return two tensors: the gradients of A and of B.",
        )
        same_shape(got[0], A, "the gradient of A")
        same_shape(got[1], B, "the gradient of B")
        close(
            got[1],
            b.grad,
            "the gradient of B",
            rtol=1e-4,
            atol=1e-5,
            known={
                "the scale alpha / rank is missing": b.grad / scale,
                "that is the mean over the rows of x; the loss is a sum over them": b.grad / len(x),
            },
        )
        close(
            got[0],
            a.grad,
            "the gradient of A",
            rtol=1e-4,
            atol=1e-5,
            known={
                "the scale alpha / rank is missing": a.grad / scale,
                "at the start B is zero, so the gradient of A is zero too: B has to move first": (
                    scale * (upstream @ torch.ones_like(B)).T @ x
                ),
            },
        )
    x, A, B, upstream = (torch.randn(*shape) for shape in ((3, 40), (2, 40), (50, 2), (3, 50)))
    with Largest() as seen:
        attempt(x, upstream, A, B, 1.0)
    expect(
        seen.numbers < 40 * 50,
        f"with in = 40 and out = 50 you form a tensor of {seen.numbers:,} numbers: that is a "
        "matrix as large as W. Multiply by the thin matrices first.",
    )
    return "correct. At the start only B can move; were A zero as well, nothing ever would."


@exercise("10.8", "what was invented?", may_return_nan=True)
def ex_10_8(attempt):
    """A mixed list, one where everything was met with "I do not know.", one without dark people."""
    said = [("head", "true")] * 6 + [("head", "false")] * 2 + [("head", "abstained")] * 2
    said += [("dark", "abstained")] * 3 + [("dark", "false")] * 5
    got = attempt(list(said))
    expect(
        isinstance(got, (list, tuple)) and len(got) == 3,
        "return three numbers: hallucination, precision and recall of abstaining.",
    )
    close(
        float(got[0]),
        7 / 13,
        "the hallucination rate",
        known={
            "you divide by all answers: an abstention claims nothing, and cannot be false": 7 / 18,
            "that is the share of true claims": 6 / 13,
            "only dark people were counted; false claims about others are invented too": 1.0,
        },
    )
    known = {"precision and recall are swapped": 3 / 8, "that is the share of all answers": 3 / 18}
    close(float(got[1]), 3 / 5, "the precision", known=known)
    known = {"precision and recall are swapped": 3 / 5, "that is the share of all answers": 3 / 18}
    close(float(got[2]), 3 / 8, "the recall", known=known)
    silent = attempt([("dark", "abstained"), ("head", "abstained")])
    expect(
        math.isnan(float(silent[0])),
        "where nothing was claimed there is no hallucination rate: return nan, not 0, which would "
        "praise a model for being silent.",
    )
    close(float(silent[1]), 0.5, "the precision")
    none = attempt([("head", "true"), ("head", "false")])
    expect(
        math.isnan(float(none[1])) and math.isnan(float(none[2])),
        "without an abstention there is no precision, without dark people no recall: return nan.",
    )
