"""Reading tokenizers that others wrote: tokenizer.json, GPT-2's files, tiktoken's rank files."""

import base64
import binascii
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .alphabet import from_stand_in
from .base import AddedToken


def read_hf(path: str | os.PathLike) -> dict[str, Any]:
    """Return the content of a `tokenizer.json`. Raises ValueError where the file is not one."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a tokenizer.json: {error}") from None
    if not isinstance(content, dict) or "type" not in (content.get("model") or {}):
        raise ValueError(
            f'{path} is not a tokenizer.json: it has no "model" with a "type" '
            "(a GPT-2 vocabulary is read by BPE.from_gpt2)"
        )
    return content


def shared_parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every algorithm takes from a tokenizer.json: pre-tokenizer, normalizer, added
    tokens.

    A post-processor (templates that put [CLS] and the like around the text) is not carried over:
    `encode` gives what `tokenizers` gives with ``add_special_tokens=False``.
    """
    added = {}
    for token in content.get("added_tokens") or []:
        name = token["content"]
        if token.get("normalized") and content.get("normalizer") and not token["special"]:
            raise ValueError(
                f"added token {name!r} is matched in normalized text, which is not covered"
            )
        flags = {key: token.get(key, False) for key in ("lstrip", "rstrip", "single_word")}
        added[name] = AddedToken(token["id"], token["special"], **flags)
    return {
        "added_tokens": added,
        "normalizer": content.get("normalizer"),
        "pre_tokenizer": content.get("pre_tokenizer"),
        "post_processor": content.get("post_processor"),
        "decoder": content.get("decoder"),
    }


def bpe_parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `BPE` for a tokenizer.json. Raises ValueError if it isn't byte-level
    BPE.
    """
    model, parts = content["model"], shared_parts(content)
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(option):
            raise ValueError(f"this BPE uses {option}, which byte-level BPE does not have")
    if not _has_byte_level(parts["pre_tokenizer"]):
        raise ValueError("this BPE works on characters; BPE reads byte-level ones only")
    names = parts["added_tokens"]
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    apart = names.keys() - {left + right for left, right in merges}  # not part of ordinary text
    vocab = {from_stand_in(t): id for t, id in model["vocab"].items() if t not in apart}
    return parts | {
        "vocab": vocab,
        "merges": [(from_stand_in(left), from_stand_in(right)) for left, right in merges],
        "ignore_merges": model.get("ignore_merges", False),
    }


def wordpiece_parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `WordPiece` for a tokenizer.json."""
    model = content["model"]
    return shared_parts(content) | {
        "vocab": model["vocab"],
        "unk_token": model["unk_token"],
        "prefix": model["continuing_subword_prefix"],
        "max_input_chars": model["max_input_chars_per_word"],
    }


def unigram_parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Unigram` for a tokenizer.json."""
    model = content["model"]
    return shared_parts(content) | {
        "vocab": [(piece, score) for piece, score in model["vocab"]],
        "unk_id": model["unk_id"],
        "byte_fallback": model.get("byte_fallback", False),
    }


def gpt2_parts(vocab_path: str | os.PathLike, merges_path: str | os.PathLike) -> dict[str, Any]:
    """Return the arguments of `BPE` for GPT-2's files.

    The first line of the merges may be a `#version` comment or may not, so it is looked at, not
    skipped.
    """
    names = json.loads(Path(vocab_path).read_text("utf-8"))
    lines = Path(merges_path).read_text("utf-8").split("\n")
    if lines[0].startswith("#version"):
        lines = lines[1:]
    merges = [line.rstrip("\r").split(" ") for line in lines if line.strip()]
    if bad := [merge for merge in merges if len(merge) != 2]:
        raise ValueError(
            f"{merges_path}: a merge is two tokens on a line, not {' '.join(bad[0])!r}"
        )
    special = {name: id for name, id in names.items() if name == "<|endoftext|>"}
    return {
        "vocab": {from_stand_in(name): id for name, id in names.items() if name not in special},
        "merges": [(from_stand_in(left), from_stand_in(right)) for left, right in merges],
        "special_tokens": special,
    }


def tiktoken_parts(
    path: str | os.PathLike, special_tokens: Mapping[str, int] | Sequence[str]
) -> dict[str, Any]:
    """Return the arguments of `BPE` for a rank file: lines of base64 token, space, rank.

    Such a file has no merges: two neighbours merge if together they are a token, and that token's
    rank decides which pair goes first. So every way of cutting a token in two tokens is a merge of
    that token's rank. Special tokens given without ids follow the largest rank.
    """
    vocab: dict[bytes, int] = {}
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            vocab[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise ValueError(
                f"{path}, line {number}: expected a base64 token and its rank, got {line[:60]!r}"
            ) from None
    if not isinstance(special_tokens, Mapping):
        first = max(vocab.values(), default=-1) + 1
        special_tokens = {name: first + order for order, name in enumerate(special_tokens)}
    merges: list[tuple[bytes, bytes]] = []
    ranks: list[int] = []
    for token, rank in sorted(vocab.items(), key=lambda item: item[1]):
        for cut in range(1, len(token)):
            if token[:cut] in vocab and token[cut:] in vocab:
                merges.append((token[:cut], token[cut:]))
                ranks.append(rank)
    return {
        "vocab": vocab,
        "merges": merges,
        "ranks": ranks,
        "ignore_merges": True,
        "special_tokens": special_tokens,
    }


def _has_byte_level(spec: Mapping[str, Any] | None) -> bool:
    if spec is None:
        return False
    return spec["type"] == "ByteLevel" or any(map(_has_byte_level, spec.get("pretokenizers", [])))
