"""Arithmetic by walking the syntax tree: nothing is ever evaluated by Python itself."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

Number = int | float

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs, "min": min, "max": max, "round": round, "sqrt": math.sqrt, "floor": math.floor, "ceil": math.ceil,
    "log": math.log, "log2": math.log2, "log10": math.log10, "exp": math.exp, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "gcd": math.gcd,
}  # fmt: skip
_CONSTANTS = {"pi": math.pi, "e": math.e}
_BITS = 4096  # of a whole number: beyond it, a short text could ask for minutes of work
_CHARS = 1000


def calculate(text: str) -> str:
    """The value of an expression, as text. Raises ValueError that says what is wrong.

    + - * / // % ** and parentheses; ^ is a power too; abs, min, max, round, sqrt, floor, ceil, log, exp, sin, cos,
    tan, gcd; pi and e.
    """
    text = text.strip().rstrip("=").strip().replace("^", "**").replace("\u00d7", "*").replace("\u00f7", "/")
    if len(text) > _CHARS:
        raise ValueError(f"the expression is longer than {_CHARS} characters")
    try:
        value = _value(ast.parse(text.replace("\u2212", "-"), mode="eval").body)
    except SyntaxError:
        raise ValueError(f"not an arithmetic expression: {text[:80]!r}") from None
    except ZeroDivisionError:
        raise ValueError("division by zero") from None
    except OverflowError:
        raise ValueError("the result is too large") from None
    except (RecursionError, MemoryError):
        raise ValueError("nested too deeply") from None
    except TypeError as error:
        raise ValueError(str(error)) from None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _bounded(value)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=part):
            return -_value(part)
        case ast.UnaryOp(op=ast.UAdd(), operand=part):
            return _value(part)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _bounded(_power(_value(left), _value(right)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _bounded(_BINARY[type(op)](_value(left), _value(right)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*map(_value, args)))
    raise ValueError(f"only arithmetic is understood here, not {ast.unparse(node)[:60]!r}")


def _power(base: Number, exponent: Number) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > _BITS:
        raise OverflowError
    return base**exponent


def _bounded(value: Any) -> Number:
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise OverflowError
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("the result is not a real number")
    return value
