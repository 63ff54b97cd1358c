"""Writing ids with a model, one token at a time: `generate` for a batch, `stream` for one prompt.

Shapes: B batch, T prompt length, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from numbers import Integral

import torch
from torch import Tensor

from llmlib.model import KVCache, Transformer
from llmlib.model.step import fast_step

from .constrained import ConstrainedRows, Constraint
from .sampling import Generators, Sampling, penalize, sample

WORTH_A_COPY = 6  # tokens from which on a copy of the weights, as `fast_step` makes it, pays

Prompts = Tensor | Sequence[int] | Sequence[Sequence[int]]


def generate(
    model: Transformer,
    ids: Prompts,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: Sequence[int] = (),
    seed: int | Sequence[int] | None = None,
    cache: bool = True,
    constraint: Constraint | Sequence[Constraint | None] | None = None,
) -> list[list[int]]:
    """Continue each prompt: the new ids only, one list a row, with the stop id that ended it last.

    ids: prompts (B, T), or lists of unequal lengths (padded on the left in here), or one prompt.
    temperature, top_k, top_p, min_p: see `adjust`. Temperature 0 takes the likeliest token
        (greedy).
    repetition_penalty: see `penalize`; over the row's prompt and new tokens, before the rest.
    stop: ids that end a row.
    seed: makes the sample repeatable. One number seeds one stream of random numbers, that all rows
        draw from: what a row draws then depends on how many rows there are. A sequence seeds one
        stream a row: a row is then what it is alone with its seed, whatever stands beside it. None
        uses torch's global generator.
    cache: keep keys and values of earlier tokens; the text is the same without, only slower.
    constraint: what each row's new text must match, a `Regex` or a `JsonSchema`: one for all rows,
        or one (or None) a row. Tokens that would break it get no probability, the others share it
        in the model's proportions, before top_k and top_p; stop ids count where the text may end.

    A row ends at a stop id, after max_new_tokens, when its constraint allows nothing more, or when
    the context is full: the longest prompt and the new tokens together are at most
    model.config.max_seq_len, and a prompt that leaves no room is a ValueError. Nothing is dropped
    from the beginning behind the caller's back. A row that ran out of room may be half a match.
    """
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    decoding = Decoding(model, ids, max_new_tokens, sampling, stop, seed, cache, constraint)
    rows: list[list[int]] = [[] for _ in range(decoding.n_rows)]
    for step in decoding.steps():
        for row, token in step:
            rows[row].append(token)
    return rows


def stream(
    model: Transformer,
    ids: Tensor | Sequence[int],
    *,
    max_new_tokens: int,
    stop: Sequence[int] = (),
    seed: int | None = None,
    cache: bool = True,
    constraint: Constraint | None = None,
    **sampling,
) -> Iterator[int]:
    """Continue one prompt and hand out each new id as soon as it is drawn; see `generate`.

    The ids are those of `generate` with the same arguments. Who stops asking stops the work. Other
    arguments: temperature, top_k, top_p, min_p, repetition_penalty. Raises at once, not at the
    first id.
    """
    decoding = Decoding(
        model, ids, max_new_tokens, Sampling(**sampling), stop, seed, cache, constraint
    )
    if decoding.n_rows != 1:
        raise ValueError(f"stream continues one prompt, not {decoding.n_rows}: use generate")
    return (token for step in decoding.steps() for _, token in step)


class Decoding:
    """One call of `generate`, checked and ready; `steps` does the work."""

    @torch.inference_mode()  # what is made here is never differentiated, and goes faster for it
    def __init__(
        self,
        model: Transformer,
        ids: Prompts,
        max_new_tokens: int,
        sampling: Sampling,
        stop: Sequence[int],
        seed: int | Sequence[int] | None,
        cache: bool,
        constraint: Constraint | Sequence[Constraint | None] | None,
    ):
        sampling.check()
        check_counts(max_new_tokens=max_new_tokens)
        config, device = model.config, model.embed.weight.device
        self.model, self.sampling = model, sampling
        self.tokens, self.is_real = as_batch(ids, device)  # (B, T)
        self.n_rows, n_prompt = self.tokens.shape
        self.n_new = min(max_new_tokens, room(model, n_prompt))
        self.generator = _generators(seed, self.n_rows, device)
        self.stop = stop_ids(stop, config.vocab_size)
        self.rules = None
        if constraint is not None:
            rules = sorted(self.stop)
            self.rules = ConstrainedRows(constraint, self.n_rows, config.vocab_size, rules)
        self.cache = None
        if cache:
            dtype = cache_dtype(model)
            self.cache = KVCache(config, self.n_rows, n_prompt + self.n_new, device, dtype)
        self.seen = None  # (B, V) bool: what occurred in the row, for the repetition penalty
        if sampling.repetition_penalty != 1:
            self.seen = torch.zeros(self.n_rows, config.vocab_size + 1, dtype=torch.bool).to(device)
            ids = self.tokens if self.is_real is None else self.tokens.where(self.is_real, -1)
            self.seen = self.seen.scatter_(1, ids % (config.vocab_size + 1), True)[:, :-1]

    @torch.inference_mode()
    def steps(self) -> Iterator[list[tuple[int, int]]]:
        """For each step, (row, new id) of the rows that still go on."""
        rules, is_real, new = self.rules, self.is_real, self.tokens
        alive = [row for row in range(self.n_rows) if rules is None or not rules.ended(row)]
        step = None
        for n in range(self.n_new if alive else 0):
            if n == 1 and self.cache is not None and self.n_new >= WORTH_A_COPY:
                step = fast_step(self.model, self.cache)
            logits = self._logits(new, is_real) if step is None else step(new)  # (B, V)
            if rules is not None:
                logits = rules.restrict(logits, alive)
            new = self._choose(logits)  # (B, 1)
            written = new[:, 0].tolist()
            yield [(row, written[row]) for row in alive]
            alive = [row for row in alive if self._goes_on(row, written[row])]
            if not alive:
                break
            if self.cache is not None:
                is_real = None  # the cache knows the prompt's padding, and all that is new is real
                continue
            new = self.tokens = torch.cat((self.tokens, new), dim=1)
            if is_real is not None:
                is_real = torch.cat((is_real, is_real.new_ones(self.n_rows, 1)), dim=1)

    def _logits(self, ids: Tensor, pad_mask: Tensor | None) -> Tensor:
        """Next-token logits (B, V): the head reads the last place only."""
        features = self.model.features(ids, cache=self.cache, pad_mask=pad_mask)
        return self.model.head(features[:, -1])

    def _choose(self, logits: Tensor) -> Tensor:
        """The next id of each row, (B, 1)."""
        temperature, top_k, top_p, min_p, penalty = self.sampling
        if self.seen is not None:
            logits = penalize(logits, self.seen, penalty)
        new = sample(logits, temperature, top_k, top_p, self.generator, min_p)[:, None]
        if self.seen is not None:
            self.seen.scatter_(1, new, True)
        return new

    def _goes_on(self, row: int, token: int) -> bool:
        """Note that the row wrote `token`; whether more is to come."""
        if token in self.stop:
            return False
        if self.rules is None:
            return True
        self.rules.advance(row, token)
        return not self.rules.ended(row)


def as_batch(ids: Prompts, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Prompts as (B, T) on the device, and which are real: (B, T) bool, or None if all are.

    Raises ValueError for no prompt, and for one without tokens.
    """
    if isinstance(ids, Tensor):
        tokens, is_real = (ids if ids.dim() == 2 else ids[None]).to(device), None
        lengths = [tokens.shape[-1]] * tokens.shape[0]
    else:
        plain = [row.tolist() if hasattr(row, "tolist") else row for row in ids]  # arrays, too
        rows = [plain] if plain and isinstance(plain[0], int) else plain
        lengths = [len(row) for row in rows]
    if 0 in lengths or not lengths:
        which = f"prompt {lengths.index(0)} has none" if lengths else "there is no prompt"
        raise ValueError(
            f"generate needs at least one prompt, each of at least one token, and {which}: begin "
            "with <|endoftext|>, as every document does in training"
        )
    if not isinstance(ids, Tensor):
        longest = max(lengths)
        padded = [[0] * (longest - len(row)) + list(row) for row in rows]
        tokens, starts = torch.tensor(padded, device=device), torch.tensor(lengths, device=device)
        is_real = torch.arange(longest, device=device) >= longest - starts[:, None]
        is_real = None if len(set(lengths)) == 1 else is_real
    return tokens, is_real


def one_prompt(ids: Prompts, device: torch.device) -> Tensor:
    """One prompt as (1, T). Raises ValueError for several, and for one without tokens."""
    tokens, _ = as_batch(ids, device)
    if len(tokens) != 1:
        raise ValueError(f"one prompt is continued here, not {len(tokens)}: see generate")
    return tokens


def check_counts(**counts: int) -> None:
    """Raise ValueError for what is no whole number of at least 1, by its name."""
    for name, value in counts.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")


def room(model: Transformer, n_prompt: int) -> int:
    """How many tokens may follow a prompt. Raises ValueError if that is none."""
    left = model.config.max_seq_len - n_prompt
    if left < 1:
        raise ValueError(
            f"a prompt of {n_prompt} tokens leaves no room in the model's context of "
            f"{model.config.max_seq_len}: shorten it"
        )
    return left


def stop_ids(stop: Sequence[int], vocab_size: int) -> frozenset[int]:
    """The ids that end a row. Raises ValueError for what no row can contain."""
    for id in stop:
        if not isinstance(id, Integral) or not 0 <= id < vocab_size:
            raise ValueError(
                f"stop holds ids from 0 to {vocab_size - 1}, not {id!r}; for text, give "
                "stop_strings to complete or stream_text"
            )
    return frozenset(int(id) for id in stop)


def _generators(seed, n_rows: int, device) -> Generators:
    """Sources of random numbers: one for all rows, one a row, or torch's own (None)."""
    if seed is None or isinstance(seed, Integral):
        return None if seed is None else torch.Generator(device).manual_seed(int(seed))
    if len(seed) != n_rows:
        raise ValueError(f"{len(seed)} seeds for {n_rows} prompts: give one number, or one a row")
    return [torch.Generator(device).manual_seed(int(each)) for each in seed]


def cache_dtype(model: Transformer) -> torch.dtype:
    """Autocast makes keys and values in its own precision; else they are in the weights'."""
    device = model.embed.weight.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return model.embed.weight.dtype
