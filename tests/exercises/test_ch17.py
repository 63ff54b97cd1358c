"""Wrong attempts at the exercises of chapter 17, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "17.1": [
        (
            "def until_mark(pieces, mark):\n"
            "    text = ''\n"
            "    for piece in pieces:\n"
            "        if mark in piece:\n"
            "            return text + piece[: piece.index(mark)]\n"
            "        text += piece\n"
            "    return text\n",
            "cut in two",
        ),
        (("text[: text.index(mark)]", "text[: text.index(mark) + len(mark)]"), "the mark itself"),
        (
            "def until_mark(pieces, mark):\n    return ''.join(pieces).split(mark)[0]\n",
            "somebody pays for",
        ),
        (("    return text\n", "    return None\n"), "returned None"),
    ],
    "17.2": [
        ((" is inspect.Parameter.empty", " is given.default"), "may be left out"),
        (('{str: "string"', '{str: "str"'), "Python's name"),
        (('{"type": "array", "items": part(get_args(hint)[0])}', '{"type": "array"}'), "items"),
        ((', "enum": values}', "}"), "enum"),
        (('"additionalProperties": False', '"additionalProperties": True'), "invents"),
        (
            ('            raise TypeError(f"{name} has no type hint")', "            continue"),
            "should raise TypeError",
        ),
        (('float: "number"', 'float: "integer"'), "share"),
    ],
    "17.3": [
        (
            ("if not error.retryable or attempt == tries - 1", "if attempt == tries - 1"),
            "same key will be wrong",
        ),
        (
            ("sleep(0.5 * 2**attempt if wait is None else wait)", "sleep(0.5 * 2**attempt)"),
            "retry_after is ignored",
        ),
        (
            (
                "sleep(0.5 * 2**attempt if wait is None else wait)",
                "sleep(wait or 0.5 * 2**attempt)",
            ),
            "0 is a time too",
        ),
        (("0.5 * 2**attempt", "0.5"), "should double"),
        (("0.5 * 2**attempt", "0.5 * (attempt + 1)"), "should double"),
        ((" or attempt == tries - 1", ""), "returned None"),
        (
            (
                "except BackendError as error:",
                "except Exception as error:\n"
                "            if not isinstance(error, BackendError):\n                continue",
            ),
            "another error",
        ),
        (
            "def patient(call, tries, sleep):\n"
            "    for attempt in range(tries + 1):\n"
            "        try:\n"
            "            return call()\n"
            "        except BackendError as error:\n"
            "            if not error.retryable or attempt == tries:\n"
            "                raise\n"
            "            wait = error.retry_after\n"
            "            sleep(0.5 * 2**attempt if wait is None else wait)\n",
            "number of calls with tries=4",
        ),
        (("            sleep(0.5 * 2**attempt if wait is None else wait)\n", ""), "nobody waits"),
    ],
    "17.4": [
        (
            (
                "        if asked != arguments:\n",
                "        if list(asked.items()) != list(arguments.items()):\n",
            ),
            "another order",
        ),
        (
            (
                "    def safe(key, **arguments):\n",
                "    def safe(key, **arguments):\n        key = str(arguments)\n",
            ),
            "request of its own",
        ),
        (
            "def once(tool):\n"
            "    seen = {}\n"
            "    def safe(key, **arguments):\n"
            "        if key not in seen:\n"
            "            seen[key] = None\n"
            "            seen[key] = tool(**arguments)\n"
            "        return seen[key]\n"
            "    return safe\n",
            "try again",
        ),
        (
            (
                "        if asked != arguments:\n"
                '            raise ValueError(f"{key} was used for {asked}")\n',
                "",
            ),
            "mistake of the caller",
        ),
        (
            "def once(tool):\n"
            "    def safe(key, **arguments):\n"
            "        return tool(**arguments)\n"
            "    return safe\n",
            "came twice",
        ),
        (
            "def once(tool):\n"
            "    seen = {}\n"
            "    def safe(key, **arguments):\n"
            "        if not seen.get(key):\n"
            "            seen[key] = tool(**arguments), arguments\n"
            "        if seen[key][1] != arguments:\n"
            "            raise ValueError\n"
            "        if seen[key][0] is None:\n"
            "            del seen[key]\n"
            "            return None\n"
            "        return seen[key][0]\n"
            "    return safe\n",
            "returns None has run too",
        ),
        (("    seen = {}\n", "    seen = once.__dict__\n"), "share one memory"),
        (
            "def once(tool):\n"
            "    seen = {}\n"
            "    def safe(key, **arguments):\n"
            "        if key not in seen:\n"
            "            try:\n"
            "                seen[key] = arguments, tool(**arguments)\n"
            "            except Exception as error:\n"
            "                seen[key] = arguments, error\n"
            "        asked, result = seen[key]\n"
            "        if asked != arguments:\n"
            "            raise ValueError(key)\n"
            "        if isinstance(result, Exception):\n"
            "            raise result\n"
            "        return result\n"
            "    return safe\n",
            "the old error came once more",
        ),
    ],
    "17.5": [
        (
            "def fit(messages, limit, count):\n"
            "    kept = list(messages)\n"
            "    while len(kept) > 3 and count(kept) > limit:\n"
            "        del kept[2]\n"
            "    return kept\n",
            "parted",
        ),
        (("return task + kept", "return kept"), "what it is doing"),
        (("if kept and count", "if count"), "latest turn is missing"),
        (("reversed(turns)", "turns"), "earliest turns"),
        (("count(task + turn + kept)", "count(turn + kept)"), "task is not counted"),
        (
            ("count(task + turn + kept) > limit", "count(task + turn + kept) >= limit"),
            "fits exactly",
        ),
        (("            break\n", "            continue\n"), "has a hole"),
        ("def fit(messages, limit, count):\n    return list(messages)\n", "everything is kept"),
        (("kept = turn + kept", "kept = kept + turn"), "wrong order"),
        (("return task + kept", "return [*task, kept]"), "one list of messages"),
        (
            (
                '        if message["role"] == "assistant":\n',
                "        if len(task) < 2:\n            task.append(message)\n"
                '        elif message["role"] == "assistant":\n',
            ),
            "not always two",
        ),
        (
            "def fit(messages, limit, count):\n"
            "    task, kept, turn = messages[:2], [], []\n"
            "    for message in reversed(messages[2:]):\n"
            "        turn = [message, *turn]\n"
            "        if message['role'] == 'assistant':\n"
            "            if kept and count(task + turn + kept) > limit:\n"
            "                break\n"
            "            kept, turn = turn + kept, []\n"
            "    return task + kept\n",
            "not always two",
        ),
    ],
    "17.6": [
        (("range(1, longest + 1)", "range(1, 2)"), "two calls in turn"),
        (("range(1, longest + 1)", "range(1, longest)"), "three calls in turn"),
        (
            "def stuck(calls, times, longest):\n"
            "    return any(calls.count(call) >= times for call in calls)\n",
            "loop that is over",
        ),
        (
            "def stuck(calls, times, longest):\n"
            "    calls = [call[:2] for call in calls]\n"
            "    for size in range(1, longest + 1):\n"
            "        tail = calls[-size * times :]\n"
            "        if len(tail) == size * times and tail == calls[-size:] * times:\n"
            "            return True\n"
            "    return False\n",
            "making progress",
        ),
        (
            (
                "        tail = calls[-size * times :]\n",
                "        times = 2\n        tail = calls[-size * times :]\n",
            ),
            "twice only",
        ),
        (("range(1, longest + 1)", "range(1, len(calls) + 1)"), "round of four"),
    ],
    "17.7": [
        (("math.comb(c, k) / math.comb(n, k)", "(c / n) ** k"), "same trial twice"),
        (
            ("math.comb(c, k) / math.comb(n, k)", "1 - math.comb(n - c, k) / math.comb(n, k)"),
            "pass@k",
        ),
        (
            ("return sum(chosen) / len(chosen)", "return (sum(counts) / len(counts) / n) ** k"),
            "mean of powers",
        ),
        ((" / len(chosen)", ""), "summed"),
        (
            (
                "return sum(chosen) / len(chosen)",
                "return math.comb(sum(counts), k) / math.comb(n * len(counts), k)",
            ),
            "one pot",
        ),
        (("for c in counts]", "for c in counts if c >= k]"), "counts too, as 0"),
        (("math.comb(c, k) / math.comb(n, k)", "c >= k"), "not k in a row"),
        (("math.comb(c, k) / math.comb(n, k)", "c == n"), "never failed"),
        (
            (
                '    if k > n:\n        raise ValueError("k trials cannot be chosen from fewer")\n',
                "",
            ),
            "k = 5",
        ),
    ],
    "17.8": [
        (
            "def run_tool(tools, name, arguments):\n"
            "    try:\n"
            "        result = tools[name](**json.loads(arguments))\n"
            "    except Exception as error:\n"
            "        return {'text': f'Done. ({error})', 'error': False}\n"
            "    return {'text': str(result), 'error': 'error' in str(result)}\n",
            "says that all went well",
        ),
        (('"error": False}', '"error": "error" in str(result)}'), "read out of the text"),
        (('f"error: {kind}: {error}"', '"something failed"'), "what went wrong"),
        (('"error": False}', '"error": result is None}'), "returns None"),
        (('f"error: {kind}: {error}"', 'f"Done. ({error})"'), "still says that it is done"),
        (("except Exception as error", "except TypeError as error"), "your code stopped"),
        (('f"error: no tool {name}"', '"error: no such tool"'), "fly"),
    ],
    "17.9": [
        (("return False\n", "return True\n"), "an attack passes"),
        (('"user" not in sources or ', ""), "nobody knows"),
        (
            ('            trusted.add("tool:lookup")\n', "            pass\n"),
            "honest call is refused",
        ),
        (('if (name, key) == ("remind", "who"):', "if True:"), "the result of lookup"),
        (('    if name not in ("remind", "erase"):\n        return True\n', ""), "reading with"),
        (('("remind", "erase")', '("remind",)'), "another tool that writes"),
        (("not sources <= trusted", "not sources & trusted"), "an attack passes"),
        (('if (name, key) == ("remind", "who"):', 'if key == "who":'), "for remind alone"),
        (('"user" not in sources or ', "not sources or "), "nobody knows for whom"),
        (
            (
                "    for key, value",
                "    if name == 'erase':\n        return False\n    for key, value",
            ),
            "an erase of a name",
        ),
    ],
}
