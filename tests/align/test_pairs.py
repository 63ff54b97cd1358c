"""Pairs as tokens: what is scored, what is refused, and an order that can be taken up again."""

import pytest
import torch

from llmlib.align.pairs import PairBatches, PairData, PairError, response_logprobs
from llmlib.logprobs import token_logprobs


def test_a_pair_is_prompt_and_completion_with_its_end(tok, pair_rows):
    data = PairData(pair_rows, tok)
    batch = data.batch([3])
    end = tok.special_tokens["<|end|>"]
    for side, column in enumerate(("chosen", "rejected")):
        marked = batch.tokens[0, side][batch.response[0, side]].tolist()
        assert marked[-1] == end, "the end of the answer is an action, and is scored"
        assert tok.decode(marked[:-1]) == pair_rows[3][column][0]["content"]
        length = batch.lengths[0, side]
        assert batch.tokens[0, side, length - 1] == end
        assert (batch.tokens[0, side, length:] == data.pad).all()
        before = batch.tokens[0, side, : length - len(marked)].tolist()
        assert before == data.prompts[3] and before[-1] == tok.special_tokens["<|assistant|>"]


def test_strings_stand_for_one_message(tok):
    plain = [{"prompt": "Who?", "chosen": "Me.", "rejected": "You."}]
    full = [
        {
            "prompt": [{"role": "user", "content": "Who?"}],
            "chosen": [{"role": "assistant", "content": "Me."}],
            "rejected": [{"role": "assistant", "content": "You."}],
        }
    ]
    assert PairData(plain, tok).fingerprint == PairData(full, tok).fingerprint


def test_only_the_last_answer_counts(tok):
    earlier = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Good day"},
        {"role": "user", "content": "Who?"},
    ]
    data = PairData([{"prompt": earlier, "chosen": "Me", "rejected": "You"}], tok)
    batch = data.batch([0])
    assert tok.decode(batch.tokens[0, 0][batch.response[0, 0]].tolist()[:-1]) == "Me"


def test_log_probabilities_are_those_of_the_response_alone(tok, pair_rows, tiny):
    model, data = tiny(), PairData(pair_rows, tok)
    got = data.logprobs(model, batch_size=5)
    mean = data.logprobs(model, average=True)
    for i in (0, 3, 11):
        for side in (0, 1):
            ids = torch.tensor([data.prompts[i] + data.completions[i][side]])
            n = len(data.completions[i][side])
            each = token_logprobs(model(ids[:, :-1]), ids[:, 1:])[0, -n:]
            assert got[i, side].item() == pytest.approx(each.sum().item(), rel=1e-5)
            assert mean[i, side].item() == pytest.approx(each.mean().item(), rel=1e-5)
            # the mistakes: the prompt in the sum, and the end left out of it
            whole = token_logprobs(model(ids[:, :-1]), ids[:, 1:]).sum().item()
            assert whole != pytest.approx(got[i, side].item(), rel=1e-3)
            assert each[:-1].sum().item() != pytest.approx(got[i, side].item(), rel=1e-3)


def test_temperature_divides_the_logits(tok, pair_rows, tiny):
    model, batch = tiny(), PairData(pair_rows, tok).batch([1])
    tokens, response = batch.tokens[:, 0], batch.response[:, 0]
    got = response_logprobs(model, tokens, response, temperature=0.5)
    each = token_logprobs(model(tokens[:, :-1]) / 0.5, tokens[:, 1:])
    assert got.item() == pytest.approx((each * response[:, 1:]).sum().item(), rel=1e-5)


def test_the_reference_is_fixed_once(tok, pair_rows, tiny):
    model, data = tiny(), PairData(pair_rows, tok)
    data.add_reference(model, unmatched=True)
    before = data.ref.clone()
    with torch.no_grad():
        model.embed.weight.mul_(1.5)
    assert torch.equal(data.batch(range(12)).ref, before)
    assert not torch.allclose(data.logprobs(model), before)
    batch = data.batch([2])
    other = batch.unmatched[0, 0][~batch.unmatched_response[0, 0]].tolist()
    assert other[: len(data.prompts[3])] == data.prompts[3]  # the next pair's prompt
    assert batch.unmatched_ref.shape == (1, 2)


def test_identical_sides_are_refused_even_if_cutting_made_them_so(tok):
    same = {"prompt": "Who?", "chosen": "Me.", "rejected": "Me."}
    with pytest.raises(PairError, match="row 1: chosen and rejected are the same"):
        PairData([{"prompt": "Who?", "chosen": "Me.", "rejected": "You."}, same], tok)
    late = {"prompt": "Who?", "chosen": "It is me and him.", "rejected": "It is me and her."}
    PairData([late], tok)
    short = len(PairData([late], tok).prompts[0]) + 2
    with pytest.raises(PairError, match=f"the same in {short} tokens"):
        PairData([late], tok, max_tokens=short)
    with pytest.raises(PairError, match="leaves no room"):
        PairData([late], tok, max_tokens=3)


@pytest.mark.parametrize(
    "rows, message",
    [
        ([], "no preference pairs"),
        ([{"prompt": "Who?", "chosen": "Me."}], "row 0 has no column 'rejected'"),
        ([{"prompt": "Who?", "chosen": [{"role": "user", "content": "x"}], "rejected": "y"}],
         "must begin with the assistant's turn"),
        ([{"prompt": [{"role": "system", "content": "Be brief."}], "chosen": "a", "rejected": "b"}],
         "row 0: no user speaks"),
        ([{"prompt": "Who?", "chosen": None, "rejected": "b"}], "row 0: "),
        ([{"prompt": "Who?", "chosen": ["x"], "rejected": "b"}], "row 0: "),
    ],
)  # fmt: skip
def test_bad_rows_say_what_is_wrong(tok, rows, message):
    with pytest.raises(PairError, match=message):
        PairData(rows, tok)


def test_one_prompt_for_all_pairs_cannot_be_mismatched(tok, tiny):
    rows = [{"prompt": "Who?", "chosen": f"Me {i}", "rejected": "You"} for i in range(3)]
    with pytest.raises(PairError, match="one prompt"):
        PairData(rows, tok).add_reference(tiny(), unmatched=True)


def test_every_pair_once_an_epoch_and_resumable(tok, pair_rows):
    data = PairData(pair_rows, tok)
    for by_length in (True, False):
        batches = PairBatches(data, 5, seed=1, epochs=2, by_length=by_length)
        assert sorted(i for batch in batches._batches() for i in batch) == list(range(12))
        sizes = [len(b) for b in batches]
        assert sorted(sizes[:3]) == sorted(sizes[3:]) == [2, 5, 5] and batches.steps() == 3
    first, second = PairBatches(data, 5, seed=1), PairBatches(data, 5, seed=1)
    for _ in range(4):
        next(first)
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        assert torch.equal(next(first).tokens, next(second).tokens)
    with pytest.raises(ValueError, match="seed was 1 and is 2"):
        PairBatches(data, 5, seed=2).load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="at least 1"):
        PairBatches(data, 0)


def test_batches_of_like_length_have_less_padding(tok):
    rows = [{"prompt": "Who?", "chosen": "Me" + " too" * (i % 40), "rejected": "You"}
            for i in range(160)]  # fmt: skip
    data = PairData(rows, tok)
    sizes = {
        by_length: sum(
            b.tokens.numel() for b in PairBatches(data, 8, epochs=1, by_length=by_length)
        )
        for by_length in (True, False)
    }
    assert sizes[True] < 0.7 * sizes[False]


def test_rows_of_a_batch(tok, pair_rows, tiny):
    data = PairData(pair_rows, tok)
    data.add_reference(tiny())
    batch = data.batch([4, 5, 6])
    part = batch.rows(1, 3)
    assert len(part) == 2 and torch.equal(part.ref, batch.ref[1:]) and part.unmatched is None
