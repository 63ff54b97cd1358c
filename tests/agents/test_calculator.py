"""The calculator: right on arithmetic, closed to everything else, bounded."""

import math
import random
import time

import pytest

from llmlib.agents.backends.base import ToolCall
from llmlib.agents.calculator import calculate, calculator_tool
from llmlib.agents.tools import ToolRegistry


def random_expression(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([str(rng.randint(0, 99)), f"{rng.uniform(0, 9):.3f}", "pi", "1e3"])
    one, other = (random_expression(rng, depth - 1) for _ in range(2))
    operation = rng.choice(["+", "-", "*", "/", "//", "%", "neg", "call"])
    if operation == "neg":
        return f"-({one})"
    if operation == "call":
        return rng.choice([f"abs({one})", f"min({one}, {other})", f"round({one})"])
    return f"({one}) {operation} ({other})"


def test_random_expressions_have_the_value_that_python_gives():
    rng, valued = random.Random(0), 0
    for _ in range(2000):
        expression = random_expression(rng, 4)
        try:
            expected = eval(expression, {"pi": math.pi})
        except ZeroDivisionError:
            with pytest.raises(ValueError, match="has no value"):
                calculate(expression)
            continue
        got = calculate(expression)
        assert got == expected and type(got) is type(expected)
        valued += 1
    assert valued > 1500


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2 ** 10", 1024), ("2 ** -1", 0.5), ("sqrt(16) + log(e)", 5.0), (" 7 // 2\n", 3), ("+3", 3),
     ("(-8) ** 3", -512), ("max(1, 2, 3)", 3), ("floor(2.7)", 2), ("gcd(12, 18)", 6)],
)  # fmt: skip
def test_values(expression, value):
    assert calculate(expression) == value


REFUSED = """
2 +
x
True
'a' * 9
[1] * 9
1 if 1 else 2
1 < 2
lambda: 1
(y := 1)
__import__('os')
().__class__
().__class__.__base__.__subclasses__()
abs.__self__
pi.real
abs(-1, key=abs)
(abs)(*[1])
[i for i in (1,)]
f'{1}'
1; 2
1j
...
2 & 3
~1
not 1
abs
max()
abs(1, 2)
open('/etc/passwd')
eval('1')
b'a'
1 / 0
0 ** -1
sqrt(-1)
log(0)
(-8) ** 0.5
1e308 * 10
exp(1000)
1 @ 2
9 ** 9 ** 9
2 ** 5000
10 ** 10 ** 10
2 ** 2 ** 2 ** 2 ** 2 ** 2
round(1, 2, 3)
""".strip().splitlines()
REFUSED += ["", "\x00", "-" * 500 + "1", "9" * 2000]
REFUSED += ["+".join("1" * 600), "+".join("1" * 300)]


@pytest.mark.parametrize("expression", REFUSED)
def test_everything_else_is_refused_at_once(expression):
    start = time.monotonic()
    with pytest.raises(ValueError):
        calculate(expression)
    assert time.monotonic() - start < 0.5


def test_products_cannot_grow_without_bound():
    with pytest.raises(ValueError, match="too large"):
        calculate("*".join(["(2 ** 4000)"] * 40))


def test_as_a_tool():
    registry = ToolRegistry([calculator_tool()])
    run = lambda text: registry.run(ToolCall("c", "calculate", {"expression": text}))  # noqa: E731
    assert run("2 * 21").text == "42"
    assert run("import os").is_error and "not an expression" in run("import os").text
