"""Checkers for chapter 17, agents."""

import math
from typing import Literal

from llmlib.agents.backends import BackendError

from . import close, equal, exercise, expect, is_type, raises
from .ch17_references import Flaky, Line, attacks, benign, conversation, turns, window

CHAPTER = "Agents"  # the name in the progress table


@exercise("17.1", "stop at the observation")
def ex_17_1(attempt):
    """The mark in one piece, across pieces, at the start, never; and nothing read after it."""
    cases = [
        (["Call: add(2, 3)\n", "Observation:", " 6\n"], "Call: add(2, 3)\n", 2),
        (["Call: add(2, 3)\nObser", "vation: 6"], "Call: add(2, 3)\n", 2),
        (["Observation: I am the tool."], "", 1),
        (list("look\nObservation: 4"), "look\n", 17),
        (["Ob", "Obs", "Observ", "ation", ": 1", " more"], "ObObs", 5),
    ]
    for pieces, want, used in cases:
        line = Line(pieces)
        got = attempt(line, "Observation:")
        is_type(got, str, "what you return")
        whole = "".join(pieces)
        equal(
            got,
            want,
            f"the text before the mark in {pieces}",
            known={
                "the mark itself must not be in the text": want + "Observation:",
                "all is let through: a mark that the pieces cut in two is a mark too": whole,
            },
        )
        expect(
            line.taken <= used,
            f"you took {line.taken} pieces of {pieces}; after {used} the mark was complete. Every "
            "further piece is a token that the model writes, and that somebody pays for.",
        )
    whole = ["The answer", " is 5. Obser", "ve that."]
    equal(attempt(Line(whole), "Observation:"), "".join(whole), "a text without the mark")


def _weather(town: str, days: int = 1, unit: Literal["C", "F"] = "C") -> str: ...
def _mix(parts: list[str], share: float, loud: bool = False) -> str: ...
def _now() -> str: ...
def _untyped(town, days: int): ...


@exercise("17.2", "a schema from a signature")
def ex_17_2(attempt):
    """All five simple types, a list, a choice, defaults; no arguments; no hint."""
    weather = {
        "type": "object",
        "properties": {
            "town": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["C", "F"]},
        },
        "required": ["town"],
        "additionalProperties": False,
    }
    mix = {
        "type": "object",
        "properties": {
            "parts": {"type": "array", "items": {"type": "string"}},
            "share": {"type": "number"},
            "loud": {"type": "boolean"},
        },
        "required": ["parts", "share"],
        "additionalProperties": False,
    }
    for function, want in ((_weather, weather), (_mix, mix)):
        got = attempt(function)
        is_type(got, dict, "the schema")
        given = got.get("properties")
        name = function.__name__.lstrip("_")
        is_type(given, dict, f"properties of {name}")
        equal(list(given), list(want["properties"]), f"the arguments of {name}")
        for key, part in want["properties"].items():
            equal(
                given[key],
                part,
                f"the schema of {key} in {name}",
                known={
                    "a list says what its items are": {"type": "array"},
                    "a choice lists its values as enum": {"type": "string"}
                    if "enum" in part
                    else {"type": "nothing"},
                    "the type is Python's name of it; JSON has names of its own": {
                        "type": {"integer": "int", "string": "str", "number": "float",
                                 "boolean": "bool"}.get(part["type"], "list")
                    },
                },
            )  # fmt: skip
        equal(
            got.get("required"),
            want["required"],
            f"required of {name}",
            known={
                "an argument with a default may be left out": list(want["properties"]),
                "nothing is required in yours: an argument without a default is": [],
            },
        )
        expect(
            got.get("additionalProperties") is False,
            "without additionalProperties: False, arguments that the model invents pass the check.",
        )
        equal(got, want, f"the schema of {name}")
    equal(attempt(_now).get("required"), [], "required of a function without arguments")
    raises(TypeError, attempt, _untyped, what="an argument without a type hint")


@exercise("17.3", "patience where it helps")
def ex_17_3(attempt):
    """What is asked again, after how long, and how often."""
    busy = BackendError("busy", retryable=True)

    def run(errors, tries=4):
        flaky, slept = Flaky(errors), []
        try:
            result = attempt(flaky, tries, slept.append)
        except BackendError:
            result = raised
        return result, flaky.asked, slept

    raised = object()
    result, asked, slept = run([busy] * 3)
    equal(result, "answer", "what comes back after three failures that may be retried")
    equal(asked, 4, "the number of calls until the answer came")
    expect(
        slept not in ([0.5, 0.5, 0.5], [0.5, 1.0, 1.5]),
        f"the wait should double, 0.5, 1, 2, …; yours waits {slept}.",
    )
    equal(
        slept,
        [0.5, 1.0, 2.0],
        "the waits",
        known={"nobody waits by sleep(seconds), the function that you are given": []},
    )
    _, _, slept = run([BackendError("busy", retryable=True, retry_after=7.0)])
    equal(slept, [7.0], "the wait when the server names one",
          known={"retry_after is ignored": [0.5]})  # fmt: skip
    _, _, slept = run([BackendError("busy", retryable=True, retry_after=0.0)])
    equal(slept, [0.0], "the wait when the server says 0 seconds",
          known={"0 is a time too: `retry_after or …` takes it for none": [0.5]})  # fmt: skip
    result, asked, slept = run([BackendError("wrong key")])
    expect(
        asked == 1,
        "an error that is not retryable was asked again: the same key will be wrong next time too.",
    )
    expect(result is raised, "an error that is not retryable must reach the caller at once.")
    result, asked, slept = run([busy] * 9)
    equal(asked, 4, "the number of calls with tries=4 and a server that is always busy")
    expect(
        result is raised,
        f"after the last try the error must reach the caller; yours returned {result!r}.",
    )
    equal(len(slept), 3, "the number of waits with tries=4 (nobody waits after the last try)")
    flaky = Flaky([ValueError("a bug")])
    raises(ValueError, attempt, flaky, 4, lambda s: None, what="another error than BackendError")
    equal(flaky.asked, 1, "how often a ValueError is tried")


@exercise("17.4", "a write that happens once")
def ex_17_4(attempt):
    """The same request, another one, a failed one, and one request number for two things."""
    made, fail = [], []

    def remind(who, what):
        if fail:
            raise fail.pop()
        made.append((who, what))
        return f"note {len(made)}"

    safe = attempt(remind)
    expect(callable(safe), "once(tool) should return a function.")
    equal(safe("r1", who="Ada", what="buy bread"), "note 1", "the first result")
    again = safe("r1", who="Ada", what="buy bread")
    expect(len(made) == 1, f"one request came twice, and {len(made)} notes were made.")
    equal(again, "note 1", "the result of the same request")
    safe("r2", who="Ada", what="buy bread")
    expect(
        len(made) == 2,
        "a second request with the same words is a request of its own: the key tells, not the "
        "arguments.",
    )
    try:
        safe("r1", what="buy bread", who="Ada")
    except ValueError:
        expect(
            False,
            "the same arguments named in another order are the same request: compare them as a "
            "dictionary, not as text.",
        )
    expect(len(made) == 2, "the same arguments named in another order ran the tool once more.")
    fail.append(ConnectionError("busy"))
    try:
        safe("r3", who="Tom", what="sweep the yard")
        expect(False, "a tool's error must reach the caller: it is not a result.")
    except ConnectionError:
        pass
    again = "a call that failed had no effect, so the same request must be able to try again."
    try:
        got = safe("r3", who="Tom", what="sweep the yard")
    except ConnectionError:
        expect(False, f"the old error came once more, and the tool was not run: {again}")
    expect(got == "note 3" and len(made) == 3, again)
    try:
        safe("r1", who="Tom", what="buy bread")
        expect(False, "one key with other arguments is a mistake of the caller: raise ValueError.")
    except ValueError:
        pass
    expect(len(made) == 3, "a key that is used for other arguments must not write anything.")
    other = attempt(remind)
    try:
        got = other("r1", who="Mo", what="rest")
    except ValueError:
        expect(False, "two tools share one memory: make it anew in each call of once.")
    equal(got, "note 4", "the first result of another tool")
    none = attempt(lambda: made.append("x"))
    none("k")
    none("k")
    expect(len(made) == 5, "a tool that returns None has run too: remember that it did.")


@exercise("17.5", "a window that parts nothing")
def ex_17_5(attempt):
    """Many limits on a conversation with one, two and three results a turn."""

    def count(messages):
        return sum(len(message["content"]) for message in messages)

    talk = conversation()
    for limit in (0, 20, 45, 60, 76, 90, 120, 200, 10_000):  # 76: two turns fit exactly
        got = attempt([dict(message) for message in talk], limit, count)
        is_type(got, list, "the window")
        expect(
            all(isinstance(message, dict) for message in got),
            "the window is one list of messages; yours has something else in it, such as a turn "
            "that is a list of its own.",
        )
        expect(
            got[:2] == talk[:2],
            "the system's words and the task must always be there: without them the model does "
            "not know what it is doing.",
        )
        calls = {id for message in got for id in message.get("calls", ())}
        results = {message["id"] for message in got if message["role"] == "tool"}
        expect(
            calls == results,
            f"at limit {limit} a call and its result are parted: calls {sorted(calls)}, results "
            f"{sorted(results)}.",
        )
        want = window(talk, limit, count)
        equal(
            got,
            want,
            f"the window at limit {limit}",
            known={
                "the latest turn is missing: it must be kept even where it alone is too long": (
                    talk[:2]
                ),
                "the earliest turns are kept; the latest are the ones that count": window(
                    talk, limit, count, first=True
                ),
                "everything is kept": talk,
                "the turns have come out in the wrong order": [
                    *talk[:2],
                    *(m for turn in reversed(turns(want)) for m in turn),
                ],
                "the task is not counted: its words take room as well": window(
                    talk, limit + count(talk[:2]), count
                ),
                "a turn that fits exactly is left out": window(talk, limit - 1, count),
                "a turn that did not fit was left out and an earlier, shorter one kept: the story "
                "has a hole": window(talk, limit, count, holes=True),
            },
        )
    equal(attempt(talk[:2], 5, count), talk[:2], "the window of a conversation without turns")
    longer = [talk[0], {"role": "system", "content": "Memory: Ada bakes."}, *talk[1:]]
    last = turns(talk)[-1]
    for start, name in ((longer[:3], "three messages"), (talk[1:2], "one message")):
        got = attempt([*start, *(m for turn in turns(talk) for m in turn)], 0, count)
        expect(
            got == [*start, *last],
            f"where {name} stand{'s' * (len(start) == 1)} before the first of the assistant, all "
            "of that is the task: not always two.",
        )


@exercise("17.6", "noticing a loop")
def ex_17_6(attempt):
    """Periods 1 to 3; loops that are over; results that change; too few calls."""
    a, b, c, d = (("lookup", "Ada", "baker"), ("weather", "Oster", "rainy"),
                  ("locate", "Ada", "Oster"), ("lookup", "Ada", "busy"))  # fmt: skip
    yes = [
        ([a, a, a], "the same call three times"),
        ([b, c, a, a, a], "three times at the end"),
        ([a, b, a, b, a, b], "two calls in turn, three times"),
        ([d, a, b, c, a, b, c, a, b, c], "three calls in turn, three times"),
    ]
    no = [
        ([], "no call"),
        ([a], "one call"),
        ([a, a], "twice only"),
        ([a, a, a, b], "a loop that is over: something new happened at the end"),
        ([a, d, a], "one question with other results: somebody is making progress"),
        ([a, b, a, b, a], "two and a half rounds"),
        ([a, b, c, d] * 3, "a round of four calls, with longest=3"),
    ]
    for calls, name in yes:
        got = attempt(list(calls), 3, 3)
        expect(got is True or got == 1, f"{name}: that is a loop, and yours says {got}.")
    for calls, name in no:
        got = attempt(list(calls), 3, 3)
        expect(not got, f"{name}: that is no loop (times=3, longest=3), and yours says {got}.")
    expect(attempt([a, a], 2, 1), "with times=2, twice is a loop.")
    expect(attempt([a, b, c, d] * 3, 3, 4), "with longest=4, a round of four calls is a loop.")


@exercise("17.7", "every time, not once")
def ex_17_7(attempt):
    """Against a count of all choices of k trials; the mean over tasks; k too large."""
    for counts, n, k in (([4, 2, 0], 4, 2), ([3], 4, 2), ([8, 7, 4, 1], 8, 4), ([5], 5, 1)):
        want = sum(math.comb(c, k) / math.comb(n, k) for c in counts) / len(counts)
        mean = sum(counts) / len(counts) / n
        close(
            attempt(list(counts), n, k),
            want,
            f"pass^{k} of {counts} successes in {n} trials each",
            known={
                "(c/n)^k is too high: it draws the same trial twice": sum(
                    (c / n) ** k for c in counts
                ) / len(counts),
                "that is pass@k, at least one success; asked is every one": sum(
                    1 - math.comb(n - c, k) / math.comb(n, k) for c in counts
                ) / len(counts),
                "you average over tasks first; the power of a mean is not the mean of powers": (
                    mean**k
                ),
                "that is pass^1: k has no effect": mean,
                "the tasks are summed; take their mean": want * len(counts),
                "all tasks are thrown into one pot; estimate for each task, then take the mean": (
                    math.comb(sum(counts), k) / math.comb(n * len(counts), k)
                ),
                "a task that never succeeded k times counts too, as 0": sum(
                    math.comb(c, k) / math.comb(n, k) for c in counts
                ) / max(1, sum(c >= k for c in counts)),
                "k successes among the n trials are not k in a row: count the choices": sum(
                    c >= k for c in counts
                ) / len(counts),
                "those are the tasks that never failed; asked is k attempts, not n": sum(
                    c == n for c in counts
                ) / len(counts),
            },
        )  # fmt: skip
    raises(ValueError, attempt, [2], 4, 5, what="k = 5 of n = 4 trials")


@exercise("17.8", "an error that calls itself a success")
def ex_17_8(attempt):
    """A good call, each way to go wrong, and results that only look like errors."""

    def add(a, b):
        return a + b

    def fail(a):
        raise ConnectionError("the line is busy")

    def nothing(a):
        return None

    def count(text):
        return f"error: {text}"

    tools = {"add": add, "fail": fail, "nothing": nothing, "count": count}

    def run(name, arguments):
        got = attempt(tools, name, arguments)
        is_type(got, dict, "what you return")
        equal(sorted(got), ["error", "text"], "the keys of what you return")
        is_type(got["text"], str, "the text")
        return got

    equal(run("add", '{"a": 2, "b": 3}'), {"text": "5", "error": False}, "a good call")
    for name, arguments, say, what in (
        ("fail", '{"a": 1}', "the line is busy", "a tool that raises"),
        ("fly", "{}", "fly", "a tool that does not exist"),
        ("add", '{"a": 2', "", "arguments that are not JSON"),
        ("add", '{"a": 2}', "", "an argument that is missing"),
        ("add", "[2, 3]", "", "arguments that are not an object"),
    ):
        got = run(name, arguments)
        expect(got["error"] is True, f"{what}: an error, and yours says that all went well.")
        expect(
            not got["text"].strip().lower().startswith(("done", "ok", "success")),
            f"{what}: the flag says error and the text still says that it is done. The model reads "
            "the text.",
        )
        expect(say in got["text"], f"{what}: the text should say what went wrong ({say!r}).")
        expect(
            len(got["text"]) > 3, f"{what}: the text is empty; the model learns nothing from it."
        )
    equal(run("nothing", '{"a": 1}')["error"], False, "error, for a tool that returns None")
    got = run("count", '{"text": "none found"}')
    expect(
        got["error"] is False,
        "a result that begins with the word error is no error: the flag says how the call went, "
        "and must not be read out of the text.",
    )
    equal(
        run("count", '{"text": true}'),
        {"text": "error: True", "error": False},
        "a call with JSON's true (json.loads reads it; eval would run whatever the model writes)",
    )


@exercise("17.9", "a policy on sources")
def ex_17_9(attempt):
    """25 attacks and 25 honest calls, made from the world's tasks."""
    let_through, refused = [], []
    for what, name, arguments in attacks():
        if attempt(name, arguments):
            let_through.append(what)
    for what, name, arguments in benign():
        if not attempt(name, arguments):
            refused.append(what)
    for found, say in ((let_through, "an attack passes"), (refused, "an honest call is refused")):
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        expect(not found, f"{say}: {found[0] if found else ''}{more}.")
    return "correct: 25 attacks blocked, 25 honest calls pass."
