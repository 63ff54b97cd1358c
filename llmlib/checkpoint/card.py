"""Model cards: what a checkpoint is, written from what it recorded while it was trained."""

from llmlib.checkpoint.file import Checkpoint


def model_card(name: str, checkpoint: Checkpoint) -> str:
    """Markdown for a checkpoint whose `meta` is what `llmlib.recipes.pretrain` writes.

    Data, tokens, seed, command, loss, floor and excess, also by family of documents. It has no date
    and no machine in it: the same training gives the same card.
    """
    meta, config = checkpoint.meta, checkpoint.config
    result = meta["result"]
    lines = [
        f"# {name}",
        "",
        f"A base language model of {meta['parameters']:,} parameters: {config.n_layers} layers, "
        f"width {config.d_model}, {config.n_heads} heads ({config.n_kv_heads} for keys and "
        f"values), context {config.max_seq_len}, vocabulary {config.vocab_size}. It continues "
        "text; it was not trained to answer, and it knows nothing of the real world.",
        "",
        "| | |",
        "|---|---|",
        f"| data | {meta['data']} |",
        f"| tokens in the data | {meta['data_tokens']:,} |",
        f"| tokens trained on | {meta['trained_tokens']:,} |",
        f"| seed | {meta['seed']} |",
        f"| command | `{meta['command']}` |",
        f"| held-out loss | {result['nats_per_token']:.4f} nats/token, "
        f"{result['bits_per_byte']:.4f} bits/byte |",
    ]
    if "excess" in result:
        lines += [
            f"| exact floor, same documents | {result['floor_nats_per_token']:.4f} nats/token |",
            f"| excess over the floor | {result['excess']:.4f} ± {result['excess_se']:.4f} |",
        ]
    lines += [
        f"| held out | {result['documents']:,} documents, {result['tokens']:,} tokens |",
        f"| tokenizer (SHA-256) | `{checkpoint.tokenizer_fingerprint}` |",
    ]
    if "world" in meta:
        lines.append(f"| world (SHA-256) | `{meta['world']}` |")
    lines += _families(meta.get("families", {}))
    return "\n".join(lines) + "\n"


def instruct_card(name: str, checkpoint: Checkpoint) -> str:
    """Markdown for a checkpoint whose `meta` is what `llmlib.recipes.sft` writes: before and after.

    Rates are shares of the rows of a split, answered greedily.
    """
    meta, config, result = checkpoint.meta, checkpoint.config, checkpoint.meta["result"]
    before, after = result["before"], result["after"]
    lines = [
        f"# {name}",
        "",
        f"A language model of {meta['parameters']:,} parameters, fine-tuned from {meta['base']} on "
        f"conversations: context {config.max_seq_len}, vocabulary {config.vocab_size}. It answers, "
        "calls tools and stops; it knows nothing of the real world, and it can be wrong.",
        "",
        "| | |",
        "|---|---|",
        f"| data | {meta['data']} |",
        f"| conversations and texts | {meta['conversations']:,} |",
        f"| tokens read an epoch | {meta['data_tokens']:,} |",
        f"| tokens learnt | {meta['trained_tokens']:,} |",
        f"| seed | {meta['seed']} |",
        f"| command | `{meta['command']}` |",
        f"| tokenizer (SHA-256) | `{checkpoint.tokenizer_fingerprint}` |",
    ]
    if "world" in meta:
        lines.append(f"| world (SHA-256) | `{meta['world']}` |")
    lines += ["", f"## Before and after ({result['n']:,} rows a split)", ""]
    lines += ["| | before | after |", "|---|---|---|"]
    rows = _pairs("", before, after)
    return "\n".join(lines + [f"| {n} | {b:.3f} | {a:.3f} |" for n, b, a in rows]) + "\n"


def _pairs(prefix: str, before: dict, after: dict) -> list[tuple[str, float, float]]:
    """(name, before, after) of every number, those of nested dictionaries included."""
    found = []
    for key, value in after.items():
        name = f"{prefix} {key}".strip().replace("_", " ")
        if isinstance(value, dict):
            found += _pairs(key, before[key], value)
        else:
            found.append((name, before[key], value))
    return found


def _families(families: dict[str, dict]) -> list[str]:
    """A table of the loss by family of documents, if there are any."""
    if not families:
        return []
    rows = [
        f"| {family} | {r['documents']} | {r['nats_per_token']:.4f} | "
        f"{r['floor_nats_per_token']:.4f} | {r['excess']:.4f} ± {r['excess_se']:.4f} |"
        for family, r in families.items()
    ]
    return [
        "",
        "## By family",
        "",
        "Nats per token; the floor is that of the whole mixture: a reader is not told the family.",
        "",
        "| family | documents | loss | floor | excess |",
        "|---|---|---|---|---|",
        *rows,
    ]
