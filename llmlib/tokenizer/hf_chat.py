"""What a Hugging Face folder says beside its weights: special tokens, and the chat template.

A chat template there is a small program in the Jinja language. It is run in jinja2's sandbox (torch
brings jinja2), as `transformers` runs it.
"""

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


class JinjaTemplate:
    """A chat template: messages become the text that the model was trained to answer.

    source: the program. special: names that it may use, such as bos_token, and their texts. Raises
    ValueError for a program that cannot be read, with the line.
    """

    def __init__(self, source: str, special: Mapping[str, str] | None = None):
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        env = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        env.filters["tojson"] = lambda value, **options: json.dumps(
            value, ensure_ascii=False, **options
        )
        env.globals |= {"raise_exception": _refuse, "strftime_now": _now}
        self.special = dict(special or {})
        self._error = jinja2.TemplateError
        try:
            self._template = env.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(
                f"the chat template cannot be read, line {error.lineno}: {error.message}. It may "
                "use an extension of Jinja that is not supported here: put a plain template into "
                "chat_template.jinja"
            ) from error

    def render(
        self, messages: Sequence[Mapping[str, Any]], add_generation_prompt: bool = True
    ) -> str:
        """The conversation as text, the assistant's turn opened at its end if asked.

        Raises ValueError where the template refuses the messages (many refuse a system message, or
        two users' turns in a row), with its own words.
        """
        try:
            return self._template.render(
                messages=list(messages), add_generation_prompt=add_generation_prompt, **self.special
            )
        except (self._error, TypeError) as error:
            raise ValueError(f"the model's chat template refuses this: {error}") from error


def read_template(folder: Path) -> JinjaTemplate | None:
    """The chat template of a folder, or None if the model has none.

    It is chat_template.jinja, or stands in tokenizer_config.json; of several the one named
    "default" is taken. Raises ValueError for a damaged file.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        return JinjaTemplate(file.read_text(encoding="utf-8"), special_texts(folder))
    found = _read(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(found, list):
        named = {entry["name"]: entry["template"] for entry in found}
        found = named.get("default") or next(iter(named.values()), None)
    return JinjaTemplate(found, special_texts(folder)) if found else None


def special_texts(folder: Path) -> dict[str, str]:
    """The special tokens that the folder names, such as {"eos_token": "</s>"}."""
    content = _read(folder / "special_tokens_map.json") | _read(folder / "tokenizer_config.json")
    found = {name: content.get(name) for name in SPECIAL}
    texts = {n: v["content"] if isinstance(v, dict) else v for n, v in found.items()}
    return {name: text for name, text in texts.items() if text}


def end_ids(folder: Path, special_tokens: Mapping[str, int]) -> frozenset[int]:
    """The ids that end a text of this model: its configuration's, and its tokenizer's eos_token."""
    ends = set()
    for file in ("generation_config.json", "config.json"):
        given = _read(folder / file).get("eos_token_id")
        ends |= set(given if isinstance(given, list) else [] if given is None else [given])
    ends.add(special_tokens.get(special_texts(folder).get("eos_token", "")))
    return frozenset(ends - {None})


def start_ids(folder: Path, special_tokens: Mapping[str, int]) -> list[int]:
    """The ids that a plain text begins with: bos_token, if the tokenizer puts it there."""
    config = _read(folder / "tokenizer_config.json")
    post = _read(folder / "tokenizer.json").get("post_processor") or {}
    steps = [step for part in post.get("processors", [post]) for step in part.get("single", [])]
    first = steps[0].get("SpecialToken", {}).get("id") if steps else None
    name = special_texts(folder).get("bos_token")
    wanted = first if first else name if config.get("add_bos_token") else None
    return [special_tokens[wanted]] if wanted in special_tokens else []


def _read(path: Path) -> dict:
    """A JSON object from a file; an empty one if the file is not there."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): fetch it again") from error
    return content if isinstance(content, dict) else {}


def _refuse(message: str) -> None:
    raise ValueError(f"the model's chat template refuses this: {message}")


def _now(form: str) -> str:
    return datetime.datetime.now().strftime(form)
