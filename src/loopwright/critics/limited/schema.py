"""JSON schemas of users and answers of models, in a process with limits. Standard library and ``jsonschema`` only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

_DIGITS = 4300  # of a whole number; Python itself reads no more


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice in one object")
    return made


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > _DIGITS:
        raise ValueError(f"the number {text[:20]}... has more than {_DIGITS:,} digits")
    return int(text)


def _number(text: str) -> float | int:
    """A float; what is too large for one is a whole number, and exact."""
    value = float(text)
    if abs(value) < float("inf") and (value or not text.lower().partition("e")[0].strip("-.0")):
        return value
    exact = Decimal(text)
    if not value:
        raise ValueError(f"the number {text[:40]} is closer to 0 than any other that can be compared")
    if exact.adjusted() >= _DIGITS:
        raise ValueError(f"the number {text[:40]} has more than {_DIGITS:,} digits")
    whole = int(exact)
    if whole != exact:
        raise ValueError(f"the number {text[:40]}... is too large for one that is not whole")
    return whole


def strict_json(text: str) -> Any:
    """The value of a JSON text.

    Args:
        text: All of it.

    Returns:
        Plain data; a number too large for a float is a whole number, such as 1e400.

    Raises:
        ValueError: It is not JSON (NaN and keys that stand twice in an object included), nested too deeply, or holds a
            number that cannot be compared with others.
    """
    try:
        return json.loads(
            text, parse_constant=_constant, object_pairs_hook=_no_duplicates, parse_int=_whole, parse_float=_number
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _exact(number: Any) -> Fraction:
    """As it is written in decimals: 0.3 is a multiple of 0.1."""
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def _multiple_of(validator: Any, divisor: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "number") and _exact(instance) % _exact(divisor):
        yield ValidationError(f"{instance!r} is not a multiple of {divisor!r}")


def _key(value: Any) -> Any:
    """Equal for two values just where JSON calls them equal: 1 is 1.0, and true is not 1."""
    if isinstance(value, bool) or value is None:
        return ("constant", value)
    if isinstance(value, dict):
        return ("object", frozenset((key, _key(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(_key, value)))
    return value


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if wanted and validator.is_type(instance, "array") and len(set(map(_key, instance))) < len(instance):
        yield ValidationError(f"{instance!r} has non-unique elements")


@lru_cache(maxsize=64)
def _validator(text: str) -> Any:
    import jsonschema
    from jsonschema import validators
    from referencing import Registry

    schema = json.loads(text)
    made = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    made.check_schema(schema)
    rules = {"multipleOf": _multiple_of, "divisibleBy": _multiple_of, "uniqueItems": _unique_items}
    rules = {name: rule for name, rule in rules.items() if name in made.VALIDATORS}
    if isinstance(schema, dict):  # where it names its draft, what refers to it as a whole would be read without these rules
        schema.pop("$schema", None)
    return validators.extend(made, rules)(schema, registry=Registry())


def fit(schema: str, answer: str | None) -> list[str]:
    """Whether an answer is JSON that fits a schema; None asks only whether the schema is one.

    Returns:
        ["fits"], or what it does instead with a message: "no schema", "not JSON", "wrong", or "unclear" where the schema
        could not be applied.
    """
    from jsonschema import SchemaError
    from referencing.exceptions import Unresolvable

    try:
        validator = _validator(schema)
    except SchemaError as error:
        return ["no schema", f"{error.json_path}: {error.message}"[:2000]]
    except RecursionError:
        return ["no schema", "nested too deeply"]
    if answer is None:
        return ["fits"]
    try:
        value = strict_json(answer)
    except ValueError as error:
        return ["not JSON", str(error)]
    try:
        # The first error by place, so that the same answer always hears the same message.
        wrong = min(validator.iter_errors(value), key=lambda e: (e.json_path, e.message), default=None)
    except (Unresolvable, RecursionError) as error:
        return ["unclear", f"{error}"[:2000]]
    return ["fits"] if wrong is None else ["wrong", f"{wrong.json_path}: {wrong.message}"[:500]]


if __name__ == "schema":  # in its own process: loaded before the clock of the first call runs
    import jsonschema  # noqa: F401
