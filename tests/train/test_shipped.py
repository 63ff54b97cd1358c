"""What is shipped is what its card says."""

import pytest

from llmlib import checkpoint
from llmlib.checkpoint.shipped import MODELS as SHIPPED_MODELS
from llmlib.checkpoint.shipped import SHIPPED, check_gate
from llmlib.evals import answer, instruction_accuracy, wilson
from llmlib.tokenizer import SPECIAL_TOKENS
from llmlib.train import evaluate
from llmlib.world import World, tasks

NAMES = {name.lower(): name for name in SHIPPED_MODELS}
FOUND = sorted(NAMES[path.stem] for path in SHIPPED.glob("*.safetensors"))
MODELS = [name for name in FOUND if not name.endswith("-instruct")]
FINE_TUNED = [name for name in FOUND if name.endswith("-instruct")]


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


@pytest.mark.parametrize("name", FINE_TUNED)
def test_a_fine_tuned_model_answers_and_stops_as_its_card_says(name):
    """On rows that neither training nor the card's own evaluation has used."""
    model, tok = checkpoint.load_shipped(name)
    read = checkpoint.read(SHIPPED / f"{name.lower()}.safetensors")
    after = read.meta["result"]["after"]
    rows = list(tasks.rows(World(), 120, seed=7, split="val"))
    found = instruction_accuracy(answer(model, tok, rows, max_new_tokens=80))
    assert found["stop_rate"] >= 0.95
    n = read.meta["result"]["n"]
    own = wilson(found["accuracy"] * 120, 120, z=3)
    claimed = wilson(round(after["splits"]["val"] * n), n, z=3)
    assert own.low <= claimed.high and claimed.low <= own.high
    card = (SHIPPED / f"{name.lower()}.md").read_text()
    assert card == checkpoint.instruct_card(f"World {name}", read)
    assert read.meta["command"].startswith(f"python -m llmlib.recipes.sft --model {name[0]} ")


def test_the_gate_is_before_fine_tuned_models_too():
    read = checkpoint.read(SHIPPED / "s-instruct.safetensors")
    tok = checkpoint.load_shipped_tokenizer()
    check_gate("S-instruct", read, tok)
    with pytest.raises(checkpoint.CheckpointError, match="configuration"):
        check_gate("M-instruct", read, tok)
    read.meta["world"] = "another"
    with pytest.raises(checkpoint.CheckpointError, match="world"):
        check_gate("S-instruct", read, tok)
    with pytest.raises(ValueError, match="S-instruct"):
        checkpoint.load_shipped("instruct")


def test_what_is_shipped_is_there_and_small():
    assert set(FOUND) == set(SHIPPED_MODELS)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 20e6
