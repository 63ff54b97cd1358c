"""Wrong attempts at the exercises of chapter 17, each with words that its verdict must contain."""

NEEDS = []

MISTAKES = {
    "17.1": [
        (("return text[: text.index(mark)]", "return text"), "the mark itself"),
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
        (
            "def until_mark(pieces, mark):\n    return ''.join(pieces).split(mark)[0]\n",
            "Every further piece is a token",
        ),
        (("text.index(mark)", "text.index(mark[:2])"), "the text before the mark"),
        (("    return text\n", "    return ''\n"), "a text without the mark"),
    ],
    "17.2": [
        (('"integer"', '"int"'), "Python's name"),
        (('"items": schema_of_hint(get_args(hint)[0])', ""), "what its items are"),
        ((', "enum": list(get_args(hint))', ""), "as enum"),
        (
            (
                "        if argument.default is inspect.Parameter.empty:\n            required",
                "        required",
            ),
            "may be left out",
        ),
        (("            required.append(name)", "            pass"), "nothing is required"),
        (('        "additionalProperties": False,\n', ""), "invents"),
        (
            (
                '            raise TypeError(f"{name} has no type hint")',
                "            hints[name] = str",
            ),
            "without a type hint",
        ),
    ],
    "17.3": [
        (("not error.retryable or left == 0", "left == 0"), "not retryable was asked again"),
        (("            wait *= 2\n", ""), "should double"),
        (("wait if asked is None else asked", "wait"), "retry_after is ignored"),
        (("wait if asked is None else asked", "asked or wait"), "0 is a time too"),
        (
            ("                raise\n", "                return error\n"),
            "must reach the caller at once",
        ),
        (
            (
                "            if not error.retryable or left == 0:\n",
                "            if left == 0:\n                return error\n"
                "            if not error.retryable:\n",
            ),
            "the error must reach the caller",
        ),
        (("except BackendError as error", "except Exception as error"), "ValueError"),
        (
            "def patient(call, tries, sleep):\n"
            "    for n in range(tries):\n"
            "        try:\n"
            "            return call()\n"
            "        except BackendError as error:\n"
            "            if not error.retryable:\n"
            "                raise\n"
            "            last = error\n"
            "            sleep(0.5 * 2**n if error.retry_after is None else error.retry_after)\n"
            "    raise last\n",
            "nobody waits after the last try",
        ),
    ],
    "17.4": [
        (("        done[key] = arguments, result\n", ""), "2 notes were made"),
        (
            "def once(tool):\n"
            "    done = {}\n\n"
            "    def safe(key, **arguments):\n"
            "        same = tuple(sorted(arguments.items()))\n"
            "        if same not in done:\n"
            "            done[same] = tool(**arguments)\n"
            "        return done[same]\n\n"
            "    return safe\n",
            "the key tells",
        ),
        (
            (
                "        result = tool(**arguments)\n",
                "        done[key] = arguments, None\n        result = tool(**arguments)\n",
            ),
            "must be able to try again",
        ),
        (("            if before != arguments:", "            if False:"), "raise ValueError"),
        (("if key in done", "if done.get(key, (0, None))[1] is not None"), "returns None has run"),
        (
            "DONE = {}\n\n\n"
            "def once(tool):\n"
            "    def safe(key, **arguments):\n"
            "        if key not in DONE:\n"
            "            DONE[key] = arguments, tool(**arguments)\n"
            "        if DONE[key][0] != arguments:\n"
            "            raise ValueError(f'{key} was used before')\n"
            "        return DONE[key][1]\n\n"
            "    return safe\n",
            "r1 was used before",
        ),
    ],
    "17.5": [
        (
            "def fitting(messages, limit, count):\n"
            "    task, kept = messages[:2], []\n"
            "    for message in reversed(messages[2:]):\n"
            "        if kept and count(task + [message] + kept) > limit:\n"
            "            break\n"
            "        kept = [message] + kept\n"
            "    return task + kept\n",
            "are parted",
        ),
        (("return task + kept", "return kept"), "must always be there"),
        (("if kept and count", "if count"), "the latest turn is missing"),
        (("in reversed(turns)", "in turns"), "the earliest turns are kept"),
        (("count(task + turn + kept) > limit", "False"), "everything is kept"),
        (("count(task + turn + kept)", "count(turn + kept)"), "the task is not counted"),
        (("> limit", ">= limit"), "fits exactly"),
    ],
    "17.6": [
        (("range(1, longest + 1)", "range(1, 2)"), "two calls in turn"),
        (("range(1, longest + 1)", "range(1, longest)"), "three calls in turn"),
        (("len(end) == period * times and ", ""), "that is no loop"),
        (
            "def is_loop(calls, times, longest):\n"
            "    return any(calls.count(call) >= times for call in calls)\n",
            "a loop that is over",
        ),
        (
            (
                "end == end[:period] * times",
                "[c[:2] for c in end] == [c[:2] for c in end[:period]] * times",
            ),
            "with other results",
        ),
    ],
    "17.7": [
        (("comb(c, k) / comb(n, k)", "(c / n) ** k"), "draws the same trial twice"),
        (("comb(c, k) / comb(n, k)", "1 - comb(n - c, k) / comb(n, k)"), "at least one success"),
        (("return sum(shares) / len(shares)", "return sum(shares)"), "take their mean"),
        (("comb(c, k) / comb(n, k)", "c / n"), "k has no effect"),
        (
            "def pass_hat_k(successes, n, k):\n"
            "    return (sum(successes) / len(successes) / n) ** k\n",
            "mean of powers",
        ),
        (('    if k > n:\n        raise ValueError(f"{k} of {n} trials")\n', ""), "k = 5"),
    ],
    "17.8": [
        (('"error": True', '"error": False'), "all went well"),
        (("{name}: {kind}: {error}", "failed"), "what went wrong"),
        (
            ('"error": False', '"error": str(value).startswith("error")'),
            "begins with the word error",
        ),
        (('"error": False', '"error": value is None'), "returns None"),
        (("except Exception", "except ConnectionError"), "KeyError: 'fly'"),
        (("json.loads(arguments)", "eval(arguments)"), "whatever the model writes"),
    ],
    "17.9": [
        (("    if name in READS:\n        return True\n", ""), "an honest call is refused"),
        (("not sources or ", ""), "without any source"),
        (("not sources <= allowed", "not sources & allowed"), "an attack passes"),
        (('name == "remind" and key == "who"', "False"), "had looked up"),
        (
            ('name == "remind" and key == "who"', 'name == "remind"'),
            "comes from the result of lookup",
        ),
        (("if name in READS", 'if name != "remind"'), "another tool that writes"),
        (
            "def may_run(name, arguments):\n"
            "    parts = arguments.values()\n"
            "    return name != 'remind' or all('letter' not in sources_of(v) for v in parts)\n",
            "an attack passes",
        ),
    ],
}
