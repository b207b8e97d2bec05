"""Critics that compare an answer with its target: exact, number, regex."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Any, Literal

import regex as rx

from loopwright.core.errors import CheckerError
from loopwright.core.feedback import Feedback, Missing, Rater, Verdict
from loopwright.core.types import Example, Rollout
from loopwright.core.world import Critic

if TYPE_CHECKING:
    from loopwright.core.context import Context

_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-", "\uff0d": "-"})
# A sign belongs to a number unless something stands right before it: in "5-9" the minus is an operation.
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|(?<![\w.])[-+]?\.\d+")


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _accepted(target: Any) -> list[str] | None:
    """The texts that a target accepts; None where it is not one."""
    if isinstance(target, str):
        return [target]
    if isinstance(target, int | float) and not isinstance(target, bool):
        return [str(target)]
    if isinstance(target, list) and target and all(isinstance(t, str) for t in target):
        return target
    return None


def exact_answer(example: Example) -> str | None:
    """The first text that the target accepts."""
    accepted = _accepted(example.target)
    return accepted[0] if accepted else None


def exact_problem(example: Example) -> str:
    """Why ``exact`` cannot judge this example, or ""."""
    if _accepted(example.target) is not None:
        return ""
    return f"checker exact expects text, a number, or a list of accepted texts, got {example.target!r}"


def exact(*, strip: bool = True, casefold: bool = False) -> Critic:
    """The answer is the target, or one of a list of them.

    strip: ignore white space around both. casefold: ignore the difference of upper and lower case.
    """

    def plain(text: str) -> str:
        text = text.strip() if strip else text
        return text.casefold() if casefold else text

    by = Rater(kind="code", name="exact", version=f"strip={strip},casefold={casefold}")

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        accepted = _accepted(rollout.example.target)
        if accepted is None:
            raise CheckerError(f"example {rollout.example.id}: {exact_problem(rollout.example)}")
        if plain(rollout.output) in map(plain, accepted):
            return Verdict(passed=True, by=by)
        wanted = " or ".join(repr(_short(t)) for t in accepted[:3])
        return Verdict(passed=False, message=f"expected {wanted}, got {_short(rollout.output)!r}", by=by)

    return judge


def _decimal(text: str) -> Decimal | None:
    try:
        value = Decimal(text.replace(",", ""))
    except DecimalException:
        return None
    return value if value.is_finite() else None


def numbers(text: str) -> list[Decimal]:
    """The numbers in a text, in order; thousands may be set off by commas."""
    found = (_decimal(m.group()) for m in _NUMBER.finditer(text.translate(_SIGNS)))
    return [value for value in found if value is not None]


def _target_number(target: Any) -> Decimal | None:
    if isinstance(target, bool) or not isinstance(target, str | int | float):
        return None
    text = str(target).translate(_SIGNS).strip()
    return _decimal(text) if isinstance(target, int | float) or _NUMBER.fullmatch(text) else None


def number_problem(example: Example) -> str:
    if _target_number(example.target) is not None:
        return ""
    return f'checker number expects a number, or text that is one such as "3.5", got {example.target!r}'


def number(*, tolerance: float = 0.0, strict: bool = False, which: Literal["last", "only"] = "last") -> Critic:
    """The number in the answer is the target.

    tolerance: greatest absolute difference, in the unit of the target. strict: the answer must be a number and nothing
    else. which: the last number of the answer counts, or there must be only one.
    """
    by = Rater(kind="code", name="number", version=f"tolerance={tolerance:g},strict={strict},which={which}")
    allowed = Decimal(repr(tolerance))

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        wanted = _target_number(rollout.example.target)
        if wanted is None:
            raise CheckerError(f"example {rollout.example.id}: {number_problem(rollout.example)}")
        answer = rollout.output.strip()
        found = numbers(answer)
        if strict and not _NUMBER.fullmatch(answer.translate(_SIGNS)):
            return Verdict(passed=False, message=f"expected a number and nothing else, got {_short(answer)!r}", by=by)
        if not found:
            return Verdict(passed=False, message=f"no number in {_short(answer)!r}", by=by)
        if which == "only" and len(found) > 1:
            return Verdict(passed=False, message=f"expected one number, got {len(found)}", by=by)
        if abs(found[-1] - wanted) <= allowed:
            return Verdict(passed=True, by=by)
        return Verdict(passed=False, message=f"expected {wanted:f}, got {found[-1]}", by=by)

    return judge


FLAGS: Mapping[str, int] = {"ignorecase": rx.IGNORECASE, "dotall": rx.DOTALL, "multiline": rx.MULTILINE}
SECONDS = 2.0  # for one answer: a pattern with nested repetition can take for ever on some


def regex_problem(example: Example) -> str:
    if not isinstance(example.target, str):
        return f"checker regex without a pattern expects the pattern as target, got {example.target!r}"
    try:
        rx.compile(example.target)
    except rx.error as error:
        return f"the target is not a regular expression: {error}"
    return ""


def regex(pattern: str | None = None, *, flags: tuple[str, ...] = (), strip: bool = True) -> Critic:
    """The whole answer matches ``pattern``, or, without one, the pattern in the example's target.

    flags: any of ignorecase, dotall, multiline. An answer on which the pattern takes longer than SECONDS is Missing.
    """
    mode = 0
    for flag in flags:
        mode |= FLAGS[flag]
    fixed = rx.compile(pattern, mode) if pattern is not None else None
    by = Rater(kind="code", name="regex", version=f"{pattern!r},{int(mode)}")

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        wanted = fixed or rx.compile(str(rollout.example.target), mode)
        try:
            if wanted.fullmatch(rollout.output.strip() if strip else rollout.output, timeout=SECONDS):
                return Verdict(passed=True, by=by)
        except TimeoutError:
            what = f"{wanted.pattern!r} took longer than {SECONDS:g} s on {_short(rollout.output)!r}"
            return Missing(expected="verdict", message=f"{what}: make its repetitions unambiguous", by=by)
        message = f"the answer does not match {wanted.pattern!r}: {_short(rollout.output)!r}"
        return Verdict(passed=False, message=message, by=by)

    return judge
