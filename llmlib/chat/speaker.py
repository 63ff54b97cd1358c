"""Who is spoken to: a model, its tokenizer, and how a conversation is written down for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from llmlib import checkpoint
from llmlib.checkpoint.hf.folder import local_folder
from llmlib.checkpoint.shipped import MODELS
from llmlib.model import Transformer
from llmlib.tokenizer import Tokenizer, encode_chat, load
from llmlib.tokenizer.calls import read_turn
from llmlib.tokenizer.hf_chat import JinjaTemplate, end_ids, read_template, start_ids

HINT = (
    "this model knows nothing but the course's small world; ask, for example, "
    '"Where does Umber Tallowby live?"'
)
Messages = Sequence[Mapping[str, str]]


@dataclass
class Speaker:
    """A model that can be talked to.

    encode: messages with `role` and `content` -> ids, the answer's turn opened; None for a base
    model, which was never taught to answer and only goes on with a text. ends: ids that end an
    answer. start: ids that a plain text begins with. marks: texts that a message must not contain,
    because the template could not tell them from its own.
    """

    model: Transformer
    tokenizer: Tokenizer
    encode: Callable[[Messages], list[int]] | None
    ends: frozenset[int]
    start: Sequence[int] = ()
    marks: frozenset[str] = frozenset()
    hint: str = ""  # said once, before the first message
    has_calls: bool = False  # its turns may hold thoughts and calls, as `tokenizer.chat` has them

    def __post_init__(self):
        if not isinstance(self.model, Transformer):
            raise ValueError(
                "this model has an encoder and a decoder: it turns one text into another, and "
                "cannot be chatted with. Call it from Python"
            )
        ours, models = self.tokenizer.vocab_size, self.model.config.vocab_size
        if ours > models:
            raise ValueError(
                f"the tokenizer has {ours} tokens and the model only {models}: they do not belong "
                "together"
            )

    def prompt(self, messages: Messages) -> list[int]:
        """The ids that the model reads. A base model reads the last message alone."""
        if self.encode is not None:
            return self.encode(messages)
        ids = [*self.start, *self.tokenizer.encode(messages[-1]["content"], errors="replace")]
        if not ids:
            raise ValueError("this model has no token to begin an empty text with: write something")
        return ids

    def message(self, ids: Sequence[int]) -> dict:
        """The assistant's message that the ids of an answer are, to go into `prompt`."""
        if not self.has_calls:
            return {"role": "assistant", "content": self.tokenizer.decode(ids, skip_special=True)}
        turn = read_turn(self.tokenizer, ids)
        return {"role": "assistant"} | {key: turn[key] for key in ("think", "content", "calls")}


def load_speaker(name: str, device: torch.device | str = "cpu") -> Speaker:
    """The speaker of that name.

    name: a shipped model (S, M, S-instruct, M-instruct); a folder or a file that a recipe of this
    library wrote; a Hugging Face folder with config.json, or such a model's name on the hub
    ("owner/name"), which is downloaded.

    Raises FileNotFoundError, NotImplementedError, ConnectionError or ValueError for what is not
    there, not supported or damaged, with what to do about it.
    """
    path = Path(name).expanduser()
    if name in MODELS:
        speaker = _ours(*checkpoint.load_shipped(name), chats=name.endswith("-instruct"))
        speaker.hint = HINT if speaker.encode else ""
    elif path.is_file():
        speaker = _from_file(path)
    elif path.is_dir() and not (path / "config.json").exists():
        speaker = _from_file(_weights_in(path))
    elif path.is_dir() or name.count("/") == 1:
        speaker = _from_hf(local_folder(name))
    else:
        raise FileNotFoundError(
            f"no model {name!r}: give one of {', '.join(MODELS)}, a folder, or a name on the hub "
            "(owner/name)"
        )
    speaker.model.to(device).eval()
    return speaker


def _ours(model: Transformer, tokenizer: Tokenizer, chats: bool) -> Speaker:
    """A model trained in this library, on its own chat template if it `chats`."""
    special = tokenizer.special_tokens

    def encode(messages: Messages) -> list[int]:
        return encode_chat(tokenizer, messages, add_generation_prompt=True)[0]

    ends = frozenset(special[n] for n in ("<|end|>", "<|endoftext|>") if n in special)
    start = [special["<|endoftext|>"]] if "<|endoftext|>" in special else []
    return Speaker(model, tokenizer, encode if chats else None, ends, start, has_calls=chats)


def _from_file(path: Path) -> Speaker:
    """A checkpoint of this library; it chats if it was fine-tuned on conversations."""
    model, tokenizer, meta = checkpoint.load(path)
    if tokenizer is None:
        raise ValueError(f"{path} was saved without a tokenizer: save it again with one")
    return _ours(model, tokenizer, chats="stage" in meta)


def _weights_in(folder: Path) -> Path:
    """The result of a recipe, or else its last state."""
    for name in ("model.safetensors", "last.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{folder} holds no model: neither config.json (a Hugging Face folder) nor "
        "model.safetensors (a run of llmlib.recipes)"
    )


def _from_hf(folder: Path) -> Speaker:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing: with transformers, "
            "AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER) writes one"
        )
    model, tokenizer, template = checkpoint.from_hf(folder), load(file), read_template(folder)
    special = tokenizer.special_tokens
    return Speaker(
        model,
        tokenizer,
        None if template is None else _encode_with(template, tokenizer),
        end_ids(folder, special),
        start_ids(folder, special),
        frozenset() if template is None else frozenset(special),
    )


def _encode_with(template: JinjaTemplate, tokenizer: Tokenizer) -> Callable[[Messages], list[int]]:
    def encode(messages: Messages) -> list[int]:
        return tokenizer.encode(template.render(messages), allowed_special="all", errors="replace")

    return encode
