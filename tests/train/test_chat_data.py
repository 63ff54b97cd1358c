"""Conversations as batches: the right targets are learnt, and neighbours do not matter."""

import random

import pytest
import torch

from llmlib import tokenizer as tokenizers
from llmlib.data import ChatBatches, ChatData, DataError
from llmlib.tokenizer.calls import to_template
from llmlib.train import TrainConfig, next_token_loss, train

TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Find it.",
        "parameters": {
            "type": "object",
            "properties": {"what": {"type": "string"}},
            "required": ["what"],
        },
    },
}
THREE_TURNS = {
    "tools": [TOOL],
    "messages": [
        {"role": "user", "content": "the cat"},
        {"role": "assistant", "content": "sat"},
        {"role": "user", "content": "find it"},
        {
            "role": "assistant",
            "content": "<|think|>red<|/think|>then",
            "tool_calls": [{"function": {"name": "find", "arguments": {"what": "cat"}}}],
        },
        {"role": "tool", "content": "house"},
        {"role": "assistant", "content": "in the house"},
    ],
}


def talk(user: str, assistant: str) -> dict:
    return {
        "messages": [
            {"role": "user", "content": user},
            {"role": "assistant", "content": assistant},
        ]
    }


@pytest.fixture(scope="module")
def rows(texts):
    rng = random.Random(3)
    made = [talk(texts[i], texts[-i - 1][: rng.randrange(4, 60)]) for i in range(80)]
    return [THREE_TURNS, *made, {"text": texts[0]}]


@pytest.fixture(scope="module")
def chats(rows, tok):
    return ChatData(rows, tok)


def learnt_text(batch, row, tok) -> str:
    return tok.decode(batch.targets[row][batch.mask[row]].tolist())


def test_the_assistants_words_and_its_end_are_learnt(tok):
    batch = next(ChatBatches(ChatData([THREE_TURNS], tok), 1, 300))
    assert learnt_text(batch, 0, tok) == (
        "sat<|end|><|think|>red<|/think|>then<|call|>find(cat)<|/call|><|end|>in the house<|end|>"
    )
    read = tok.decode(batch.ids[0][batch.doc_ids[0] >= 0].tolist())
    whole = tokenizers.render(to_template(THREE_TURNS["messages"], [TOOL]))
    assert read == whole.removesuffix("<|end|>"), "the last token is a target only"
    assert read.startswith("<|system|>Tools:\nfind(what): Find it.<|end|><|user|>the cat<|end|>")


def test_targets_follow_inputs(chats):
    for batch in ChatBatches(chats, 4, 96, epochs=1):
        same = batch.doc_ids[:, 1:] == batch.doc_ids[:, :-1]
        inside = same & (batch.doc_ids[:, 1:] >= 0)
        assert torch.equal(batch.ids[:, 1:][inside], batch.targets[:, :-1][inside])
        assert not batch.mask[batch.doc_ids < 0].any()


def test_an_off_by_one_mask_would_be_seen(chats, tok):
    """The mask of the inputs instead of the targets: the first word is lost, and a role learnt."""
    ids, mask = chats.conversation(1)
    right = tok.decode(ids[1:][mask[1:]].tolist())
    wrong = tok.decode(ids[1:][mask[:-1]].tolist())
    assert right != wrong and right.endswith("<|end|>") and not wrong.startswith(right[:3])


def test_a_text_is_learnt_whole(chats, texts, tok):
    ids, mask = chats.conversation(len(chats) - 1)
    assert tok.decode(ids[1:][mask[1:]].tolist()) == texts[0] + "<|endoftext|>"
    assert ids[0] == tok.special_tokens["<|endoftext|>"]


@pytest.mark.parametrize("packing", [True, False])
def test_every_conversation_comes_once_an_epoch(chats, packing):
    count, batches = 0, ChatBatches(chats, 5, 300, packing=packing, epochs=1)
    steps = batches.steps_in_first_epoch()
    made = list(batches)
    for batch in made:
        count += sum(len(row[row >= 0].unique()) for row in batch.doc_ids)
    assert count == len(chats) and len(made) == steps
    assert sum(batch.n_targets for batch in made) == chats.n_learnt
    assert batches.n_cut == batches.n_dropped == 0


def test_a_conversations_logits_do_not_depend_on_its_neighbours(chats, tiny):
    model = tiny(max_seq_len=300)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.2)
    batch = next(ChatBatches(chats, 4, 300))
    together = model(batch.ids, doc_ids=batch.doc_ids)
    checked = 0
    for b in range(len(batch)):
        for number in batch.doc_ids[b].unique():
            inside = batch.doc_ids[b] == number
            if number < 0:
                continue
            alone = model(batch.ids[b][inside][None])[0]
            torch.testing.assert_close(together[b][inside], alone, rtol=1e-4, atol=1e-4)
            checked += 1
    assert checked > 10
    last = batch.doc_ids[0] == batch.doc_ids[0].max()
    changed = batch.ids.clone()
    changed[0][~last] = 7  # other neighbours of the same length: not a bit changes
    again = model(changed, doc_ids=batch.doc_ids)
    assert torch.equal(again[0][last], together[0][last])
    naive = model(changed) - model(batch.ids)
    assert float(naive[0][last].abs().max()) > 1e-2, "without doc_ids neighbours would matter"


def test_long_conversations_are_cut_or_dropped_and_counted(tok):
    long = "the cat sat in the house and ran " * 6
    chats = ChatData([talk(long, "sat"), talk("the cat", long), talk("a", "b")], tok)
    batches = ChatBatches(chats, 3, 40, epochs=1)
    assert (batches.n_dropped, batches.n_cut) == (1, 1)
    batch = next(batches)
    assert batch.ids.shape[1] == 40
    for row in range(len(batch)):
        for number in batch.doc_ids[row].unique():
            if number >= 0:
                assert batch.mask[row][batch.doc_ids[row] == number].any()
    with pytest.raises(DataError, match="larger seq_len"):
        ChatBatches(ChatData([talk(long, "sat")], tok), 1, 40)


def test_a_conversation_is_kept_for_a_single_target_and_not_for_none(tok):
    chats = ChatData([talk("the cat", "sat"), talk("a", "b")], tok)
    first = int(chats.conversation(0)[1].nonzero()[0][0])  # where the assistant begins
    for seq_len, dropped in ((first, 0), (first - 1, 1)):
        batches = ChatBatches(chats, 2, seq_len, packing=False, epochs=1)
        assert batches.n_dropped == dropped
        assert next(batches).mask.any(dim=1).all()


def test_the_order_can_be_resumed(chats):
    batches = ChatBatches(chats, 3, 200, seed=4)
    for _ in range(9):
        next(batches)
    state = batches.state_dict()
    expected = [next(batches) for _ in range(20)]
    fresh = ChatBatches(chats, 3, 200, seed=4)
    fresh.load_state_dict(state)
    for batch in expected:
        again = next(fresh)
        assert torch.equal(again.ids, batch.ids) and torch.equal(again.mask, batch.mask)
    with pytest.raises(ValueError, match="seed"):
        ChatBatches(chats, 3, 200, seed=5).load_state_dict(state)
    with pytest.raises(ValueError, match="packing"):
        ChatBatches(chats, 3, 200, seed=4, packing=False).load_state_dict(state)


def test_it_trains(chats, tiny):
    model = tiny(max_seq_len=200)
    config = TrainConfig(steps=30, batch_size=4, precision="float32")
    history = train(model, ChatBatches(chats, 4, 200), next_token_loss, config, show=False)
    assert history.loss[-1] < 0.8 * history.loss[0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "row 1: no user speaks"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "row 1: no assistant speaks"),
        ({"messages": [{"role": "user"}]}, "row 1: .*no content|content is missing|not a string"),
        ({"prompt": "hi"}, "neither messages nor text"),
    ],
)
def test_unusable_rows_are_named(row, message, tok):
    with pytest.raises(DataError, match=message):
        ChatData([talk("a", "b"), row], tok)


def test_a_tokenizer_without_an_end_token(texts):
    names = [name for name in tokenizers.SPECIAL_TOKENS if name != "<|end|>"]
    tok = tokenizers.BPE.train(texts[:20], 280, special_tokens=names)
    with pytest.raises(DataError, match=r"no special token <\|end\|>"):
        ChatData([talk("a", "b")], tok)
    with pytest.raises(DataError, match="no conversations"):
        ChatData([], tok)
