"""Tools: Python functions that a language model may ask to have run.

    @tool
    def add(a: int, b: int) -> int:
        "The sum of two numbers."
        return a + b

    registry = ToolRegistry([add])
    registry.run(ToolCall("call_0", "add", {"a": 2, "b": 3})).text         # '5'
    registry.run(ToolCall("call_1", "add", {"a": 2})).text  # 'error: add: b is missing; …'

The model sees a name, a description and a JSON Schema; it never sees or touches the function. What
it asks for is checked against the schema, run with a limit on time and size, and comes back as a
`ToolResult`, in which an error is marked as an error. Nothing here is a sandbox: a tool runs in
this process with all its rights (see `sandbox` for code that a model wrote).
"""

import copy
import dataclasses
import difflib
import inspect
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from .backends.base import ToolCall, whole
from .limits import Hung, run_for
from .schema import build, is_json, kind_of, object_schema, problems, schema_of

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what OpenAI-compatible servers accept
HEADING = re.compile(r"\s*(Args|Arguments|Parameters|Returns|Yields|Raises|Examples?):\s*")


@dataclass(frozen=True, eq=False)
class Tool:
    """A function with what a model must know to call it.

    parameters: the JSON Schema of its arguments, an object's. writes: whether it changes anything;
    one that does must not be called again just because no answer came.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    function: Callable[..., Any]
    writes: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"tool name {self.name!r}: use 1 to 64 of A-Z a-z 0-9 _ -")
        if not isinstance(self.parameters, Mapping) or self.parameters.get("type") != "object":
            raise ValueError(f"{self.name}: the parameters' schema must be an object's")
        if inspect.iscoroutinefunction(self.function):
            raise TypeError(f"{self.name} is async: give a plain function, for instance one "
                            "that calls asyncio.run")  # fmt: skip

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as an OpenAI function schema, as backends take it."""
        function = {"name": self.name, "description": self.description}
        return {"type": "function", "function": function | {"parameters": self.parameters}}

    def __call__(self, *args, **kwargs):
        """Call the function itself: no checks, no limits, errors are raised."""
        return self.function(*args, **kwargs)


def tool(
    function: Callable | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    writes: bool = False,
):
    """Make a tool of a function, from its name, type hints and docstring: `@tool`, `@tool(…)`.

    An argument's description is the string in its Annotated hint, or else the docstring's line
    ``name: …``; the tool's is the docstring before such lines. An argument with a default may be
    left out. Raises TypeError for an argument without a type hint, with one that JSON does not
    know (`schema_of`), or that cannot be given by name.
    """
    if function is None:
        return lambda function: tool(
            function, name=name, description=description, writes=writes
        )  # fmt: skip
    own_name = name or function.__name__
    signature = inspect.signature(function).parameters
    about, notes = read_docstring(inspect.getdoc(function) or "", signature)
    hints = get_type_hints(function, include_extras=True)
    properties, required = {}, []
    for argument in signature.values():
        if argument.kind not in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY):
            raise TypeError(f"{own_name}: {argument} cannot be given by name; a tool's must be")
        if argument.name not in hints:
            raise TypeError(f"{own_name}: {argument.name} has no type hint; the model's schema "
                            "is made of them")  # fmt: skip
        try:
            part = schema_of(hints[argument.name])
        except TypeError as error:
            raise TypeError(f"{own_name}: {argument.name}: {error}") from None
        if argument.name in notes:
            part = {"description": notes[argument.name]} | part
        if argument.default is argument.empty:
            required.append(argument.name)
        elif is_json(argument.default):
            part = part | {"default": argument.default}
        properties[argument.name] = part
    arguments = {key: hints[key] for key in properties}

    def call(*args, **kwargs):
        fitting = {key: build(arguments[key], value) for key, value in kwargs.items()}
        return function(*args, **fitting)

    run = function if inspect.iscoroutinefunction(function) else call
    schema = object_schema(properties, required)
    return Tool(own_name, about if description is None else description, schema, run, writes)


def read_docstring(text: str, names: Collection[str]) -> tuple[str, dict[str, str]]:
    """A docstring's description of the function, on one line, and of the arguments in `names`.

    An argument's is a line ``name: …``, ``name (type): …`` or ``:param name: …`` and the lines
    after it that are indented further. The function's is what stands before these and before the
    first heading such as ``Args:`` or ``Returns:``.
    """
    about: list[str] = []
    notes: dict[str, str] = {}
    name, depth, before = "", 0, True
    for line in text.splitlines():
        found = re.match(r"(\s*)(?::param\s+)?(\w+)(?:\s*\([^)]*\))?:\s*(.*)", line)
        indent = len(line) - len(line.lstrip())
        if found and found[2] in names:
            name, depth, before = found[2], indent, False
            notes[name] = found[3].strip()
        elif name and line.strip() and indent > depth:
            notes[name] = f"{notes[name]} {line.strip()}".strip()
        else:
            name = ""
            before = before and not HEADING.fullmatch(line)
            about += [line.strip()] if before else []
    return " ".join(" ".join(about).split()), notes


@dataclass(frozen=True)
class ToolResult:
    """What comes back from a tool: text for the model, and whether it is an error.

    An error's text begins with "error: ". `call` is what was asked; `cut` is how many characters
    were left out of the text.
    """

    call: ToolCall
    text: str
    is_error: bool = False
    cut: int = 0

    def as_message(self) -> dict[str, Any]:
        """The result as a message to put at the end of the conversation."""
        return {"role": "tool", "tool_call_id": self.call.id, "content": self.text}


class ToolRegistry:
    """Tools by name. Functions are made into tools (`tool`).

    max_chars: a longer result is cut, and says so. timeout: seconds a tool may take; None waits for
    ever. Raises ValueError if two tools have one name.
    """

    def __init__(
        self,
        tools: Iterable[Tool | Callable] = (),
        *,
        max_chars: int = 10_000,
        timeout: float | None = 10.0,
    ) -> None:
        self._tools: dict[str, Tool] = {}
        self.max_chars, self.timeout = max_chars, timeout
        for one in tools:
            self.add(one)

    def add(self, one: Tool | Callable) -> Tool:
        """Add a tool, and return it."""
        one = one if isinstance(one, Tool) else tool(one)
        if one.name in self._tools:
            raise ValueError(f"there is a tool {one.name!r} already")
        self._tools[one.name] = one
        return one

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """All tools as OpenAI function schemas: what a backend's `tools` takes."""
        return [one.schema for one in self]

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def check(self, call: ToolCall) -> str:
        """Why this call cannot be run, in words that help the model to mend it; "" if it can."""
        if call.name not in self._tools:
            near = difflib.get_close_matches(call.name, self._tools, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            return f"there is no tool {call.name[:64]!r}; {hint}The tools are: " + (
                ", ".join(self._tools) or "none"
            )
        if call.error:
            return f"{call.name}: {call.error}; {self._usage(call.name)}"
        try:
            found = problems(call.arguments, self._tools[call.name].parameters)
            return f"{call.name}: {'; '.join(found[:5])}; {self._usage(call.name)}" if found else ""
        except Exception as error:  # a schema from outside that is none
            return f"{call.name}: its own schema is malformed ({_words(error)}): it cannot be used"

    def _usage(self, name: str) -> str:
        parameters = self._tools[name].parameters
        required = parameters.get("required", [])
        arguments = [
            f"{key} ({kind_of(part)}{'' if key in required else ', may be left out'})"
            for key, part in parameters.get("properties", {}).items()
        ]
        return f"it takes {', '.join(arguments)}" if arguments else "it takes no arguments"

    def run(self, call: ToolCall) -> ToolResult:
        """Run a call; whatever happens, return a result.

        An unknown tool, wrong arguments, an exception, a result that cannot be made text, and too
        long a time give a result with `is_error`. Only KeyboardInterrupt is let through.
        """
        if wrong := self.check(call):
            return self._result(call, f"error: {wrong}", True)
        one = self._tools[call.name]

        def work() -> str:
            return as_text(one.function(**copy.deepcopy(call.arguments)))

        try:
            text = run_for(self.timeout, work)
        except Hung:
            unsure = "; it may still have had its effect: check before you repeat it"
            why = f"gave no answer within {self.timeout:g} s{unsure if one.writes else ''}"
            return self._result(call, f"error: {call.name} {why}", True)
        except Exception as error:
            return self._result(call, f"error: {call.name} failed: {_words(error)}", True)
        return self._result(call, text, False)

    def _result(self, call: ToolCall, text: str, is_error: bool) -> ToolResult:
        text = whole(text)
        cut = max(0, len(text) - self.max_chars)
        if cut:
            text = f"{text[: self.max_chars]}\n[cut: {cut:,} more characters are not shown]"
        return ToolResult(call, text, is_error, cut)


def _words(error: Exception) -> str:
    """The kind of an error and its message, if it has one that can be had."""
    try:
        message = str(error).strip()
    except Exception:
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def as_text(value: Any) -> str:
    """A tool's value as text: text as it is, nothing as "done", all else as JSON.

    Text that is no Unicode (half of a surrogate pair) becomes the replacement character there.
    """
    if value is None:
        return "done"
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=_as_json)
    return whole(value)


def _as_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    return value.tolist() if hasattr(value, "tolist") else str(value)
