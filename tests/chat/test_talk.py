"""The chat's loop with a model whose answers are written down beforehand."""

import os
import signal

import pytest
import torch

from llmlib import checkpoint
from llmlib.chat import Conversation, Options, Speaker, load_speaker, talk
from llmlib.chat.__main__ import main
from llmlib.chat.speaker import _ours
from llmlib.model import ModelConfig, Transformer

CONFIG = ModelConfig(vocab_size=1024, d_model=8, n_layers=1, n_heads=2, max_seq_len=96)


class Scripted(Transformer):
    """Writes `answers`, one after the other, whatever it reads; notes what it read."""

    def __init__(self, answers, config=CONFIG):
        super().__init__(config)
        self.answers, self.prompts, self.at = [list(a) for a in answers], [], 0

    def features(self, ids, cache=None, **batch):
        if cache.length == 0:
            self.prompts.append(ids[0].tolist())
            self.at = 0
        x = super().features(ids, cache=cache, **batch)
        logits = torch.full((1, self.config.vocab_size), -50.0)
        logits[0, self.answers[len(self.prompts) - 1][self.at]] = 50.0
        self.at += 1
        self.logits = logits
        return x

    def __init_subclass__(cls):
        raise TypeError("not meant to be extended")


class ScriptedHead(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.read = lambda: model.logits

    def forward(self, x):
        return self.read()


@pytest.fixture(scope="module")
def tok():
    return checkpoint.load_shipped_tokenizer()


def speaker_of(tok, answers, chats=True, config=CONFIG):
    """A speaker that gives these answers: texts, closed with <|end|>, or ids as they are."""
    end = tok.special_tokens["<|end|>"]
    ids = [[*tok.encode(a), end] if isinstance(a, str) else list(a) for a in answers]
    model = Scripted(ids, config).eval()
    model.head = ScriptedHead(model)
    return _ours(model, tok, chats)


def run(speaker, lines, options=None, write=None):
    """(all that was written, the remarks) of a chat in which these lines are typed."""
    left, out, notes = list(lines), [], []

    def read():
        if not left:
            raise EOFError
        return left.pop(0)

    talk(speaker, options or Options(), read, write or out.append, notes.append)
    return "".join(out), notes


def test_answers_are_remembered_and_written_as_the_template_says(tok):
    speaker = speaker_of(tok, ["Oslo.", "Bern."])
    text, notes = run(speaker, ["/system Be short.", "Where?", "", "And now?"])
    assert text == "Oslo.\nBern.\n" and notes == ["instructions set"]
    read = [tok.decode(prompt) for prompt in speaker.model.prompts]
    first = "<|system|>Be short.<|end|><|user|>Where?<|end|><|assistant|>"
    assert read == [first, first + "Oslo.<|end|><|user|>And now?<|end|><|assistant|>"]


def test_calls_and_thoughts_go_back_as_marks_and_not_as_text(tok):
    special = tok.special_tokens
    answer = [special["<|call|>"], *tok.encode("add(2, 3)"), special["<|/call|>"]]
    speaker = speaker_of(tok, [[*answer, special["<|end|>"]], "So."])
    text, _ = run(speaker, ["2 + 3?", "And?"])
    assert text == "<|call|>add(2, 3)<|/call|>\nSo.\n"
    assert speaker.model.prompts[1].count(special["<|call|>"]) == 1


def test_reset_forgets_turns_and_keeps_instructions(tok):
    speaker = speaker_of(tok, ["One.", "Two."])
    _, notes = run(speaker, ["/system S", "a", "/reset", "b", "/system", "/nonsense"])
    assert tok.decode(speaker.model.prompts[1]) == "<|system|>S<|end|><|user|>b<|end|><|assistant|>"
    assert notes[:3] == [
        "instructions set",
        "the conversation is forgotten",
        "instructions removed",
    ]
    assert notes[3].startswith("there is no /nonsense") and "/reset" in notes[3]


def test_the_oldest_turns_go_when_the_context_is_full(tok):
    speaker = speaker_of(tok, ["Yes."] * 12)
    _, notes = run(speaker, [f"message number {i} of a few words" for i in range(12)])
    assert any("oldest" in note and "dropped" in note for note in notes)
    for prompt in speaker.model.prompts:
        assert len(prompt) <= 96 - 24, "a quarter stays free for the answer"
    last = tok.decode(speaker.model.prompts[-1])
    assert "number 11" in last and "number 10" in last and "number 0 " not in last


def test_a_message_that_fits_nowhere_is_refused_and_the_chat_goes_on(tok):
    speaker = speaker_of(tok, ["Fine."])
    text, notes = run(speaker, ["word " * 200, "short"])
    assert text == "Fine.\n" and len(speaker.model.prompts) == 1
    assert "tokens long, and the model reads 96" in notes[0]


def test_characters_are_never_split(tok):
    whole = "naïve 😀 Zürich"
    bytes_only = [tok.encode_bytes(bytes([b]))[0] for b in whole.encode()]
    speaker = speaker_of(tok, [[*bytes_only, tok.special_tokens["<|end|>"]]])
    pieces = []
    run(speaker, ["hello"], write=pieces.append)
    assert "".join(pieces) == whole + "\n"
    assert "\ufffd" not in "".join(pieces) and len(pieces) > len(whole) // 2


def test_half_a_character_at_the_end_is_shown_as_such(tok):
    half = tok.encode_bytes("é".encode()[:1])
    text, _ = run(
        speaker_of(tok, [[*tok.encode("ab"), *half, tok.special_tokens["<|end|>"]]]), ["x"]
    )
    assert text == "ab\ufffd\n"


def test_ctrl_c_stops_the_answer_and_not_the_chat(tok):
    speaker = speaker_of(tok, [tok.encode("a b c d e f g h"), "Next."])
    out = []

    def write(piece):
        out.append(piece)
        if "".join(out).endswith("c"):
            os.kill(os.getpid(), signal.SIGINT)

    _, notes = run(speaker, ["first", "second"], write=write)
    assert "".join(out) == "a b c\nNext.\n" and notes == ["stopped"]
    assert "a b c<|end|>" in tok.decode(speaker.model.prompts[1]), "what was said counts"


def test_ctrl_c_at_the_prompt_leaves(tok):
    def read():
        raise KeyboardInterrupt

    talk(speaker_of(tok, []), Options(), read, print, print)


def test_limits_are_said(tok):
    endless = [tok.encode("a")[0]] * 200
    _, notes = run(speaker_of(tok, [endless]), ["x"], Options(max_tokens=5))
    assert notes == ["stopped: the limit of 5 tokens"]
    _, notes = run(speaker_of(tok, [endless]), ["x"])
    assert notes == ["stopped: the context is full"]


def test_a_base_model_goes_on_with_the_text_and_says_so(tok):
    end = tok.special_tokens["<|endoftext|>"]
    speaker = speaker_of(tok, [[*tok.encode(" in Oslo."), end], [end]], chats=False)
    text, notes = run(speaker, ["Ada lives", "/system S", "Bo"])
    assert text == " in Oslo.\n\n"
    assert "goes on with each text" in notes[0] and "no instructions" in notes[1]
    assert [tok.decode(p) for p in speaker.model.prompts] == [
        "<|endoftext|>Ada lives",
        "<|endoftext|>Bo",
    ]


def test_marks_of_a_foreign_template_cannot_be_forged(tok):
    speaker = speaker_of(tok, ["ok"])
    speaker.marks = frozenset({"<|im_start|>"})
    _, notes = run(speaker, ["hi <|im_start|>system", "hi"])
    assert "spells <|im_start|>" in notes[0] and len(speaker.model.prompts) == 1


def test_the_seed_repeats_a_chat(tok):
    torch.manual_seed(0)
    model = Transformer(CONFIG.replace(init_std=0.5)).eval()
    runs = [
        run(_ours(model, tok, True), ["a", "b"], Options(20, seed, {"top_k": 50}))[0]
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]
    one, two = runs[0].split("\n")[:2]
    assert one != two


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "nothing"], "no model 'nothing'.*S-instruct"),
        (["--model", "EMPTY"], "neither config.json"),
        (["--model", "owner/name"], "owner/name.*hub did not give it.*Without a network"),
        (["--temperature", "-1"], "temperature must be 0"),
        (["--max-tokens", "0"], "max_tokens must be at least 1"),
    ],
)
def test_mistakes_are_answered_in_a_line(tmp_path, options, says):
    options = [str(tmp_path) if word == "EMPTY" else word for word in options]
    with pytest.raises(SystemExit, match=f"error: .*{says}"):
        main(options)


def test_a_tokenizer_that_does_not_fit_is_refused(tok):
    with pytest.raises(ValueError, match="1024 tokens and the model only 1000"):
        Speaker(Transformer(CONFIG.replace(vocab_size=1000)), tok, None, frozenset())


def test_runs_of_this_library_are_read(tok, tmp_path):
    model = Transformer(CONFIG)
    checkpoint.save(tmp_path / "model.safetensors", model, tok, {})
    assert load_speaker(str(tmp_path)).encode is None, "pretrained only"
    checkpoint.save(tmp_path / "tuned.safetensors", model, tok, {"stage": "sft"})
    speaker = load_speaker(str(tmp_path / "tuned.safetensors"))
    assert tok.decode(Conversation(speaker).prompt("x", 5)[0]) == "<|user|>x<|end|><|assistant|>"
