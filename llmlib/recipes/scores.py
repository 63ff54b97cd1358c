"""What fine-tuning is judged by: before and after, on rows that it has not seen."""

import torch

from llmlib.data import ChatBatches, ChatData
from llmlib.evals import answer, fact_scores, instruction_accuracy
from llmlib.evals.answers import respond
from llmlib.train import evaluate, next_token_loss
from llmlib.world import World, tasks

DOCUMENTS = 1000  # of pretraining text, on which forgetting is measured
MAX_NEW_TOKENS = 80  # the longest good answer of the world's rows has 75


def quick(model, tok, rows: list[dict]) -> dict[str, float]:
    """A few numbers while training runs: of the world's rows accuracy, of others the stop rate."""
    few = rows[:120]
    if "family" not in few[0]:
        return {"stop_rate": stop_rate(model, tok, few)}
    result = instruction_accuracy(answer(model, tok, few, max_new_tokens=MAX_NEW_TOKENS))
    return {"accuracy": result["accuracy"], "stop_rate": result["stop_rate"]}


def conversations(before, after, tok, rows: list[dict]) -> dict:
    """Stop rate and loss on held-out conversations, of both models."""
    return {
        when: {"stop_rate": stop_rate(model, tok, rows), "nats_per_token": loss(model, tok, rows)}
        for when, model in (("before", before), ("after", after))
    } | {"n": len(rows)}


def world(before, after, tok, rows: list[dict]) -> dict:
    """Every split of the world's instructions, facts by tier, and the loss on pretraining text."""
    own = World()
    splits = {"val": rows}
    splits |= {s: list(tasks.rows(own, len(rows), split=s)) for s in tasks.SPLITS if s[0] == "S"}
    documents = list(own.documents(DOCUMENTS, split="test"))
    log_probs = [document.log_prob for document in documents]
    result: dict = {"n": len(rows), "before": {}, "after": {}}
    for when, model in (("before", before), ("after", after)):
        everything = [row for chosen in splits.values() for row in chosen]
        answers = iter(answer(model, tok, everything, max_new_tokens=MAX_NEW_TOKENS))
        answered = {split: [next(answers) for _ in chosen] for split, chosen in splits.items()}
        measured = {split: instruction_accuracy(one) for split, one in answered.items()}
        facts = fact_scores(answered["S1"])
        text = evaluate(model, documents, tok, log_probs=log_probs)
        result[when] = {
            "splits": {split: m["accuracy"] for split, m in measured.items()},
            "stop_rates": {split: m["stop_rate"] for split, m in measured.items()},
            "families": measured["val"]["families"],
            "dark_abstained": facts["dark"].abstention,
            "tail_true": facts["tail"].accuracy,
            "tail_abstained": facts["tail"].abstention,
            "excess": text["excess"],
            "excess_se": text["excess_se"],
        }
    return result


def stop_rate(model, tok, rows: list[dict]) -> float:
    """The share of held-out prompts that the model answers with a closed turn."""
    chats = [(_prompt(row), row.get("tools")) for row in rows]
    turns = respond(model, tok, chats, max_new_tokens=MAX_NEW_TOKENS)
    return sum(turn["ended"] for turn in turns) / len(turns)


def loss(model, tok, rows: list[dict]) -> float:
    """Nats per token of the assistant's, one conversation a row."""
    context = model.config.max_seq_len
    batches = ChatBatches(ChatData(rows, tok), 16, context, packing=False, epochs=1)
    total, count = 0.0, 0
    device = next(model.parameters()).device
    with torch.no_grad():
        for batch in batches:
            nats, n = next_token_loss(model, batch.to(device))
            total, count = total + float(nats), count + int(n)
    return total / count


def _prompt(row: dict) -> list[dict]:
    """A conversation up to the assistant's last turn."""
    messages = row["messages"]
    last = max(i for i, message in enumerate(messages) if message["role"] == "assistant")
    return messages[:last]
