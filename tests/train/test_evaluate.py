"""Evaluation: the definition, windows, and a model that knows the truth has no excess."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from llmlib.train import document_nats, evaluate
from llmlib.train.evaluation import _windows


def nats_alone(model, text, tok):
    """−log p of one document, by the definition."""
    end = tok.special_tokens["<|endoftext|>"]
    ids = torch.tensor([end, *tok.encode(text), end])
    logs = model(ids[None, :-1])[0].log_softmax(-1)
    return -logs.gather(1, ids[1:, None]).sum().item(), len(ids) - 1


def test_documents_are_scored_alone_from_end_to_end(tiny, texts, tok, monkeypatch):
    model = tiny(max_seq_len=128)
    monkeypatch.setattr("llmlib.train.evaluation.LOGITS", 300 * 200)  # several batches
    nats, tokens = document_nats(model, texts[:40], tok)
    with torch.no_grad():
        expected = [nats_alone(model, text, tok) for text in texts[:40]]
    np.testing.assert_allclose(nats, [n for n, _ in expected], rtol=1e-5)
    assert tokens.tolist() == [n for _, n in expected]
    result = evaluate(model, texts[:40], tok)
    assert result["nats_per_token"] == pytest.approx(nats.sum() / tokens.sum())
    n_bytes = sum(len(t.encode()) for t in texts[:40])
    assert result["bits_per_byte"] == pytest.approx(nats.sum() / math.log(2) / n_bytes)
    assert result["perplexity"] == pytest.approx(math.exp(result["nats_per_token"]))
    assert (result["documents"], result["bytes"]) == (40, n_bytes)


@pytest.mark.parametrize("n", [2, 9, 10, 11, 12, 40, 41])
def test_windows_score_every_target_once_with_half_a_context(n):
    ids, context = list(range(n)), 10
    scored = []
    for tokens, score in _windows(ids, context):
        assert 2 <= len(tokens) <= context + 1
        first = len(tokens) - score  # index of the first scored target within the window
        assert first >= min(tokens[first], context // 2)
        scored += tokens[first:]
    assert scored == ids[1:]


def test_a_document_longer_than_the_context_is_scored_whole(tiny, tok):
    result = evaluate(tiny(max_seq_len=16), ["the cat sat in the old red house. " * 20], tok)
    assert result["tokens"] > 100 and math.isfinite(result["nats_per_token"])


class Oracle(nn.Module):
    """Knows that documents are "a" n times, n geometric with parameter 1/2."""

    def __init__(self, tok):
        super().__init__()
        self.config = type("Config", (), {"max_seq_len": 512})
        self.logits = nn.Parameter(torch.full((tok.vocab_size,), -100.0))
        self.logits.data[[tok.encode("a")[0], tok.special_tokens["<|endoftext|>"]]] = 0.0

    def forward(self, ids):
        return self.logits.expand(*ids.shape, -1)


def test_the_truth_has_no_excess_and_a_wrong_model_has_the_divergence():
    from llmlib.tokenizer import BPE

    tok = BPE.train(["a"], 257, special_tokens=("<|endoftext|>",))
    lengths = np.random.default_rng(0).geometric(0.5, 2000) - 1
    documents = ["a" * int(n) for n in lengths]
    log_probs = [-(n + 1) * math.log(2) for n in lengths]
    oracle = Oracle(tok)
    result = evaluate(oracle, documents, tok, log_probs=log_probs)
    assert result["floor_nats_per_token"] == pytest.approx(math.log(2))
    assert result["excess"] == pytest.approx(0, abs=1e-6) and result["excess_se"] < 1e-6
    oracle.logits.data[tok.encode("a")[0]] = math.log(3)  # now it believes in 3/4
    result = evaluate(oracle, documents, tok, log_probs=log_probs)
    divergence = math.log(2) - (math.log(3 / 4) + math.log(1 / 4)) / 2 - 2 * math.log(2)
    assert abs(result["excess"] - divergence) < 4 * result["excess_se"] < 0.15


def test_the_standard_error_is_that_of_repeated_samples():
    from llmlib.tokenizer import BPE

    tok = BPE.train(["a"], 257, special_tokens=("<|endoftext|>",))
    oracle = Oracle(tok)
    oracle.logits.data[tok.encode("a")[0]] = math.log(3)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(60):
        lengths = rng.geometric(0.5, 200) - 1
        documents = ["a" * int(n) for n in lengths]
        log_probs = [-(n + 1) * math.log(2) for n in lengths]
        found.append(evaluate(oracle, documents, tok, log_probs=log_probs))
    spread = np.std([r["excess"] for r in found])
    claimed = np.mean([r["excess_se"] for r in found])
    assert claimed == pytest.approx(spread, rel=0.3)  # 60 samples know a spread to about 10 %


def test_what_cannot_be_evaluated_is_refused(tiny, tok):
    with pytest.raises(ValueError, match="no documents"):
        evaluate(tiny(), [], tok)
    with pytest.raises(ValueError, match="never say"):
        evaluate(tiny(), ["the cat"], tok, log_probs=[-math.inf])
    with pytest.raises(ValueError, match="each of 1 documents"):
        evaluate(tiny(), ["the cat"], tok, log_probs=[-1.0, -2.0])


def test_the_model_is_left_in_the_mode_it_was_in(tiny, tok):
    model = tiny().train()
    evaluate(model, ["the cat"], tok)
    assert model.training
    evaluate(model.eval(), ["a"], tok)
    assert not model.training
