"""A critic for JSON answers: strict JSON that a JSON schema accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Missing, Rater, Verdict
from loopwright.core.fences import without_thinking
from loopwright.core.types import Rollout, digest
from loopwright.core.world import Critic
from loopwright.critics.limited import Limited
from loopwright.critics.limited.schema import strict_json
from loopwright.critics.worker import CallFailed, TookTooLong

if TYPE_CHECKING:
    from loopwright.core.context import Context

__all__ = ["SECONDS", "schema", "strict_json"]

SECONDS = 2.0  # for one answer: a pattern in a schema, or branches that branch again, can take for ever on some
_MEMORY_MB = 512
_fits = Limited("schema", "fit", memory_mb=_MEMORY_MB)


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), Mapping):
            yield from schema["patternProperties"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _patterns(part)


def _late(schema: Mapping[str, Any], seconds: float, on: str) -> str:
    named = [repr(pattern)[:80] for pattern in dict.fromkeys(_patterns(schema))]
    which = f"its patterns are {', '.join(named[:3])}{' and others' * (len(named) > 3)}" if named else "it has no pattern"
    return (
        f"the schema took longer than {seconds:g} s {on} and was stopped; {which}. Make the repetitions in patterns unambiguous, "
        "and let anyOf, oneOf and allOf not branch again and again"
    )


def schema(schema: Mapping[str, Any]) -> Critic:
    """The whole answer is JSON and fits ``schema`` (draft 2020-12 unless it names another).

    It is applied in a process with limits. An answer on which it takes longer than SECONDS is Missing. Numbers are compared as
    they are written: 0.3 is a multiple of 0.1, and 1e400 is a number.

    Args:
        schema: A JSON schema. Nothing is ever fetched: a reference out of it is Missing.

    Returns:
        A critic that gives a Verdict.

    Raises:
        InputError: It is not a JSON schema, or takes for ever to be read.
    """
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"not a JSON schema: {error}") from None
    try:
        kind, *message = _fits.call_now(text, None, seconds=SECONDS)
    except TookTooLong:
        raise InputError(_late(schema, SECONDS, "to be read")) from None
    except CallFailed as error:
        raise InputError(f"not a JSON schema that can be used: {error}") from None
    if kind != "fits":
        raise InputError(f"not a JSON schema: {message[0]}")
    by = Rater(kind="code", name="schema", version=digest(schema)[:12])

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        answer = without_thinking(rollout.output)
        try:
            kind, *message = await _fits.call(text, answer, seconds=SECONDS)
        except TookTooLong:
            return Missing(expected="verdict", message=_late(schema, SECONDS, f"on {answer[:80]!r}"), by=by)
        except CallFailed as error:
            kind, message = "unclear", [f"{error}; its process may use {_MEMORY_MB} MB"]
        if kind == "fits":
            return Verdict(passed=True, by=by)
        if kind == "not JSON":
            return Verdict(passed=False, message=f"not JSON: {message[0]}", by=by)
        if kind == "wrong":
            return Verdict(passed=False, message=message[0], by=by)
        return Missing(expected="verdict", message=f"the schema could not be applied: {message[0]}", by=by)

    return judge
