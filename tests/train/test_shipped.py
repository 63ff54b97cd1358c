"""What is shipped is what its card says."""

import pytest

from llmlib import checkpoint
from llmlib.checkpoint.shipped import SHIPPED
from llmlib.tokenizer import SPECIAL_TOKENS
from llmlib.train import evaluate
from llmlib.world import World

MODELS = sorted(path.stem.upper() for path in SHIPPED.glob("*.safetensors"))


def test_the_shipped_tokenizer_is_the_courses():
    tok = checkpoint.load_shipped_tokenizer()
    assert tok.vocab_size == 1024
    assert list(tok.special_tokens.items()) == [(s, i) for i, s in enumerate(SPECIAL_TOKENS)]
    assert tok.special_tokens["<|pad|>"] != tok.special_tokens["<|endoftext|>"]
    assert len(tok.encode("1934")) == 4, "digits are split one by one"
    for document in World().documents(50, seed=1, split="test"):
        assert tok.decode(tok.encode(document.text)) == document.text


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_has_the_loss_on_its_card(name):
    """On documents that neither training nor the card's own evaluation has used."""
    model, tok = checkpoint.load_shipped(name)
    meta = checkpoint.read(SHIPPED / f"{name.lower()}.safetensors").meta
    documents = list(World().documents(120, seed=7, split="test"))
    log_probs = [document.log_prob for document in documents]
    result = evaluate(model, documents, tok, log_probs=log_probs)
    claimed = meta["result"]["excess"]
    assert abs(result["excess"] - claimed) < 4 * result["excess_se"] < 0.05
    assert result["excess"] > -4 * result["excess_se"], "nobody beats the truth"


@pytest.mark.parametrize("name", MODELS)
def test_a_card_is_written_from_its_checkpoint(name):
    read = checkpoint.read(SHIPPED / f"{name.lower()}.safetensors")
    card = (SHIPPED / f"{name.lower()}.md").read_text()
    assert card == checkpoint.model_card(f"World {name}", read)
    assert read.meta["command"].startswith("python -m llmlib.recipes.pretrain --model world-")


def test_what_is_shipped_is_there_and_small():
    assert "S" in MODELS and set(MODELS) <= {"S", "M"}
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 20e6
