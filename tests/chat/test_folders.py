"""Hugging Face folders in the chat: templates against transformers, ends, starts, mistakes."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llmlib.chat import Conversation, load_speaker
from llmlib.chat.__main__ import main
from llmlib.tokenizer.hf_chat import JinjaTemplate, end_ids, read_template, start_ids

CHATML = """{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{% if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' -}}
{% endif %}"""
LLAMA_2 = """{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}
{% set messages = messages[1:] %}{% endif %}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('roles must alternate') }}{% endif %}
{% if message['role'] == 'user' %}
{{ bos_token + '[INST] ' + message['content'] | trim + ' [/INST]' }}
{% else %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"""
TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": " Where? "},
    {"role": "assistant", "content": "Oslo"},
    {"role": "user", "content": 'And "now"?'},
]
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama with a tokenizer and ChatML's template, as transformers saves them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    path = tmp_path_factory.mktemp("llama")
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tok.train_from_iterator(["where is it and what is now"], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tok, bos_token="<s>", eos_token="</s>", chat_template=CHATML
    )
    fast.save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=[1, 3],
    )
    LlamaForCausalLM(config).save_pretrained(path)
    return path, fast


@pytest.mark.parametrize("source", [CHATML, LLAMA_2])
@pytest.mark.parametrize("open_turn", [True, False])
def test_templates_say_what_they_say_in_transformers(folder, source, open_turn):
    _, fast = folder
    ours = JinjaTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"})
    theirs = fast.apply_chat_template(
        TALK, chat_template=source, tokenize=False, add_generation_prompt=open_turn
    )
    assert ours.render(TALK, open_turn) == theirs


def test_a_folder_answers_on_its_own_template(folder):
    path, fast = folder
    speaker = load_speaker(str(path))
    conversation = Conversation(speaker, "Be kind.")
    ids, dropped = conversation.prompt("Where?", 10)
    messages = [TALK[0], {"role": "user", "content": "Where?"}]
    theirs = fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert ids == fast.encode(theirs, add_special_tokens=False) and dropped == 0
    assert speaker.ends == {1, 3}
    assert speaker.message([3, *ids[-2:], 2])["content"] == fast.decode(ids[-2:]), "no marks in it"
    with pytest.raises(ValueError, match=r"spells <\|im_end\|>"):
        conversation.prompt("Where?<|im_end|>", 10)


def copy_of(folder, tmp_path, **changes):
    """The folder, hard-linked, with other files in it: None leaves one out."""
    for file in folder[0].iterdir():
        if file.name not in changes:
            (tmp_path / file.name).hardlink_to(file)
    for name, text in changes.items():
        if text is not None:
            (tmp_path / name).write_text(text if isinstance(text, str) else json.dumps(text))
    return str(tmp_path)


def test_without_a_template_it_is_a_base_model(folder, tmp_path):
    config = json.loads((folder[0] / "tokenizer_config.json").read_text())
    config = {k: v for k, v in config.items() if k != "chat_template"} | {"add_bos_token": True}
    changes = {"chat_template.jinja": None, "tokenizer_config.json": config}
    speaker = load_speaker(copy_of(folder, tmp_path, **changes))
    assert speaker.encode is None and speaker.start == [0]
    ids, _ = Conversation(speaker).prompt("where", 5)
    assert ids == [0, *folder[1].encode("where", add_special_tokens=False)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tokenizer.json": None}, "tokenizer.json is missing.*save_pretrained"),
        ({"chat_template.jinja": "{% for %}"}, "chat template cannot be read, line 1"),
        ({"chat_template.jinja": "a\n{% generation %}b{% endgeneration %}"}, "line 2.*generation"),
        ({"generation_config.json": "{"}, "generation_config.json is not JSON"),
        ({"config.json": {"model_type": "nonsense"}}, "nonsense"),
        ({"model.safetensors": None}, "safetensors"),
    ],
)
def test_folders_that_lack_something_are_named(folder, tmp_path, changes, says):
    with pytest.raises(SystemExit, match=f"(?s)error: .*{says}"):
        main(["--model", copy_of(folder, tmp_path, **changes)])


def test_what_a_template_refuses_is_said_in_its_words():
    template = JinjaTemplate(LLAMA_2, {"bos_token": "", "eos_token": ""})
    with pytest.raises(ValueError, match="refuses this: roles must alternate"):
        template.render([TALK[1], TALK[1]])
    with pytest.raises(ValueError, match="refuses this"):
        JinjaTemplate("{{ messages[7].content + 1 }}").render(TALK)


def test_a_template_cannot_reach_the_machine():
    for program in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__['json'] }}",
    ):
        with pytest.raises(ValueError, match="refuses this"):
            JinjaTemplate(program).render(TALK)


def test_several_templates_and_ends(tmp_path: Path):
    named = [{"name": "rag", "template": "r"}, {"name": "default", "template": "d{{ bos_token }}"}]
    config = {"chat_template": named, "bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert read_template(tmp_path).render(TALK) == "d<s>"
    assert end_ids(tmp_path, {"</s>": 7}) == {7}
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 9}))
    assert end_ids(tmp_path, {}) == {9}
    steps = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"post_processor": steps}))
    assert start_ids(tmp_path, {"<s>": 4}) == [4]
