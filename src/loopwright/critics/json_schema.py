"""A critic for JSON answers: strict JSON that a JSON schema accepts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Missing, Rater, Verdict
from loopwright.core.fences import without_thinking
from loopwright.core.types import Rollout, digest
from loopwright.core.world import Critic

if TYPE_CHECKING:
    from loopwright.core.context import Context


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice in one object")
    return made


def strict_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for anything JSON does not allow, NaN and repeated keys included."""
    try:
        return json.loads(text, parse_constant=_constant, object_pairs_hook=_no_duplicates)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def schema(schema: Mapping[str, Any]) -> Critic:
    """The whole answer is JSON and fits ``schema`` (draft 2020-12 unless it names another).

    Raises InputError for a schema that is none. Nothing is ever fetched: a reference out of the schema is Missing.
    """
    import jsonschema
    from jsonschema import validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    made = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        made.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise InputError(f"not a JSON schema: {error.json_path}: {error.message}") from None
    registry: Registry[Any] = Registry()
    validator = made(schema, registry=registry)
    by = Rater(kind="code", name="schema", version=digest(schema)[:12])

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        try:
            value = strict_json(without_thinking(rollout.output))
        except ValueError as error:
            return Verdict(passed=False, message=f"not JSON: {error}", by=by)
        try:
            # The first error by place, so that the same answer always hears the same message.
            wrong = min(validator.iter_errors(value), key=lambda e: (e.json_path, e.message), default=None)
        except (Unresolvable, RecursionError) as error:
            return Missing(expected="verdict", message=f"the schema could not be applied: {error}", by=by)
        if wrong is None:
            return Verdict(passed=True, by=by)
        return Verdict(passed=False, message=f"{wrong.json_path}: {wrong.message}"[:500], by=by)

    return judge
