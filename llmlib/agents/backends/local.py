"""A model of this library as a backend. What it calls can always be read.

    model, tokenizer = load_shipped("S-instruct")
    backend = LocalBackend(model, tokenizer)
    backend.chat([{"role": "user", "content": "What is 2 + 3?"}], tools=[SCHEMAS["add"]])

Where a call begins, the model decides; what it writes there is constrained to calls of the `tools`
(`turn.TurnRule` says how far that goes). A thought stands in the text as the model writes it:
<|think|>…<|/think|>.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmlib.generate import JsonSchema, Regex, generate
from llmlib.model import Transformer
from llmlib.tokenizer import Tokenizer, encode_chat
from llmlib.tokenizer.calls import call_pattern, format_call, parse_call, read_turn, to_template

from .base import BackendError, Message, Reply, ToolCall, check_request
from .scripted import number_calls
from .turn import TextPieces, TurnRule

MOST_KEPT = 16  # constraints are made once for the same tools or schema


class LocalBackend:
    """Chat with a model that was fine-tuned on the chat template.

    model, tokenizer: a pair that belongs together, the model in evaluation mode. Raises ValueError
    if the tokenizer lacks the template's tokens or has more tokens than the model.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer) -> None:
        if tokenizer.vocab_size > model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.vocab_size} tokens and the model only "
                f"{model.config.vocab_size}: they do not belong together"
            )
        TurnRule(tokenizer)  # says what is missing
        self.model, self.tokenizer = model, tokenizer
        self._constraints: dict[str, Any] = {}

    def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping] | None = None,
        response_format: Mapping | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        max_tokens: int = 256,
        stream: Callable[[str], None] | None = None,
    ) -> Reply:
        """Write the next turn; see `base.ChatBackend`.

        The turn ends with "length" after max_tokens or where the context is full. A conversation
        that leaves no room for a single token is a BackendError that says what takes the room;
        nothing is dropped behind the caller's back. With a response format the model may call
        tools but not think.
        """
        check_request(messages, stream, max_tokens)
        ids = self.encode(messages, tools)
        calls = self._constraint("calls", list(tools)) if tools else None
        text = self._constraint("schema", _schema(response_format)) if response_format else None
        if len(ids) >= self.model.config.max_seq_len:
            raise BackendError(self._too_long(messages, tools, len(ids)))
        pieces = TextPieces(self.tokenizer, stream) if stream else None
        rule = TurnRule(self.tokenizer, calls, text, pieces.add if pieces else None)
        end = self.tokenizer.special_tokens["<|end|>"]
        options = {"max_new_tokens": max_tokens, "temperature": temperature, "seed": seed}
        new = generate(self.model, [ids], stop=[end], constraint=rule, **options)[0]
        if pieces:
            pieces.end()
        reply = self._read(new, tools or (), len(ids))
        return number_calls(reply, messages)

    def encode(self, messages: Sequence[Message], tools: Sequence[Mapping] | None) -> list[int]:
        """The ids that the model reads: the conversation, and its own turn opened."""
        template = to_template([_with_call_texts(m, tools or ()) for m in messages], tools)
        return encode_chat(self.tokenizer, template, add_generation_prompt=True)[0]

    def _read(self, new: Sequence[int], tools: Sequence[Mapping], n_prompt: int) -> Reply:
        """The reply that the new ids are."""
        turn = read_turn(self.tokenizer, new)
        calls = [_tool_call(text, tools) for text in turn["calls"]]
        thought = f"<|think|>{turn['think']}<|/think|>" if turn["think"] else ""
        reason = "length"
        if turn["ended"]:
            reason = "tool_calls" if calls else "stop"
        usage = {"prompt_tokens": n_prompt, "completion_tokens": len(new)}
        return Reply(thought + turn["content"], calls, reason, usage, tuple(new))

    def _constraint(self, kind: str, source: Any) -> Any:
        key = kind + json.dumps(source, sort_keys=False, default=dict)
        if key not in self._constraints:
            if len(self._constraints) >= MOST_KEPT:
                self._constraints.pop(next(iter(self._constraints)))
            if kind == "calls":
                made = Regex(call_pattern(source), self.tokenizer)
            else:
                made = JsonSchema(source, self.tokenizer)
            self._constraints[key] = made
        return self._constraints[key]

    def _too_long(self, messages, tools, n_ids: int) -> str:
        limit = self.model.config.max_seq_len
        sizes = [len(self.tokenizer.encode(str(m.get("content") or ""))) for m in messages]
        longest = max(range(len(sizes)), key=sizes.__getitem__)
        parts = [f"message {longest} ({messages[longest]['role']}) takes {sizes[longest]}"]
        if tools:
            parts.append(f"the {len(tools)} tools take {n_ids - len(self.encode(messages, None))}")
        return (
            f"the conversation is {n_ids} tokens and the model reads {limit}, its answer included: "
            f"{' and '.join(parts)}. Drop old turns, shorten results, or offer fewer tools"
        )


def _schema(response_format: Mapping) -> Any:
    """The schema that a response format asks for. Raises ValueError for another kind of format."""
    kind = response_format.get("type")
    schema = (response_format.get("json_schema") or {}).get("schema")
    if kind != "json_schema" or not isinstance(schema, (Mapping, bool)):
        raise ValueError('response_format must be {"type": "json_schema", "json_schema": '
                         f'{{"name": …, "schema": …}}}}, not type {kind!r}')  # fmt: skip
    return schema


def _tool_call(text: str, tools: Sequence[Mapping]) -> ToolCall:
    """A call from what the model wrote; one that was cut off keeps it in `raw`."""
    try:
        name, arguments = parse_call(text, tools)
    except ValueError as error:
        return ToolCall("", text.partition("(")[0], raw=text, error=f"cut off: {error}")
    return ToolCall("", name, arguments)


def _with_call_texts(message: Message, tools: Sequence[Mapping]) -> Message:
    """The message with calls that no tool's schema allows as mere text, for the model to see."""
    texts = list(message.get("calls") or ())
    for part in message.get("tool_calls") or ():
        name, arguments = part["function"]["name"], part["function"].get("arguments") or "{}"
        try:
            read = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
            texts.append(format_call(name, read, tools))
        except (ValueError, TypeError, AttributeError, RecursionError):
            is_call = isinstance(arguments, str) and arguments.startswith(f"{name}(")
            texts.append(arguments if is_call else f"{name}({arguments})")
    if not texts:
        return message
    kept = {key: value for key, value in message.items() if key != "tool_calls"}
    return kept | {"calls": texts, "content": message.get("content") or ""}
