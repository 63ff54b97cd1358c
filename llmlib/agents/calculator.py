"""A calculator that is safe because of what it knows, not because of what it forbids.

`calculate("2 * (3 + 4) ** 2")` reads the expression into a tree and works out only the kinds of
node that are listed here. It never calls `eval`: a list of forbidden things has holes (`eval` with
empty builtins is open to ``().__class__.__base__.__subclasses__()``), a list of allowed things has
none. Sizes are bounded, too: ``9 ** 9 ** 9`` is refused before it is computed.
"""

import ast
import math
import operator
from collections.abc import Callable

from .tools import Tool, tool

MAX_LENGTH, MAX_DEPTH, MAX_BITS = 1000, 50, 4096
Number = int | float

_BINARY: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type, Callable] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_NAMES = {"pi": math.pi, "e": math.e}
_FUNCTIONS: dict[str, Callable] = {
    "abs": abs, "round": round, "min": min, "max": max, "sqrt": math.sqrt, "exp": math.exp,
    "log": math.log, "log2": math.log2, "log10": math.log10, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "floor": math.floor, "ceil": math.ceil, "gcd": math.gcd,
}  # fmt: skip


def calculate(expression: str) -> Number:
    """The value of an arithmetic expression: + - * / // % ** ( ), numbers, pi, e, some functions.

    Raises ValueError, saying what, for anything else, for what has no value (1 / 0, sqrt(-1)) and
    for what would be too large.
    """
    if not isinstance(expression, str) or len(expression) > MAX_LENGTH:
        raise ValueError(f"an expression is text of at most {MAX_LENGTH} characters")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        why = getattr(error, "msg", type(error).__name__)
        raise ValueError(f"not an expression: {why}: {expression[:80]!r}") from None
    try:
        value = _value(tree.body, 0)
    except (ArithmeticError, TypeError) as error:
        raise ValueError(f"{expression[:80]!r} has no value: {error}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{expression[:80]!r} is too large")
    return value


def _value(node: ast.expr, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} operations within each other")
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            return _bounded(value)
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand, depth + 1))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            one, other = _value(left, depth + 1), _value(right, depth + 1)
            if isinstance(op, ast.Pow):
                _check_power(one, other)
            return _bounded(_BINARY[type(op)](one, other))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*(_value(arg, depth + 1) for arg in args)))
    shown = ast.unparse(node)[:40]
    raise ValueError(f"{shown!r} is not arithmetic that this calculator knows")


def _check_power(base: Number, exponent: Number) -> None:
    if isinstance(base, int) and isinstance(exponent, int):
        if abs(exponent) * max(base.bit_length(), 1) > MAX_BITS:
            raise ValueError(f"{base} ** {exponent} is too large"[:80])
    elif base < 0 and exponent != int(exponent):
        raise ValueError("a root of a negative number is not a real number")


def _bounded(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError(f"a number of more than {MAX_BITS} bits is too large")
    return value


def calculator_tool() -> Tool:
    """A tool `calculate(expression)` for a `ToolRegistry`."""

    @tool(name="calculate")
    def calculate_(expression: str) -> float:
        """The value of an arithmetic expression, such as 2 * (3 + 4) ** 2.

        expression: numbers with + - * / // % ** and brackets; pi, e; sqrt, log, round …
        """
        return calculate(expression)

    return calculate_
