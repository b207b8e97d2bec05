"""Critics that compare an answer with its target: exact, number, regex."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import regex as rx

from loopwright.blocks.text.numbers import Number, Point, last_boxed, read_numbers
from loopwright.core.errors import CheckerError, InputError
from loopwright.core.feedback import Feedback, Missing, Rater, Verdict
from loopwright.core.fences import split_thinking, without_thinking
from loopwright.core.types import Example, Rollout
from loopwright.core.world import Critic
from loopwright.critics.limited import Limited
from loopwright.critics.worker import CallFailed, TookTooLong

if TYPE_CHECKING:
    from loopwright.core.context import Context

UNENDED = "the thinking was never ended, so there is no answer"


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

    strip: ignore white space around both. casefold: ignore the difference of upper and lower case. Thinking in ``<think>`` tags
    before the answer is no part of it.
    """

    def plain(text: str) -> str:
        text = text.strip() if strip else text
        return text.casefold() if casefold else text

    by = Rater(kind="code", name="exact", version=f"strip={strip},casefold={casefold}")

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        accepted = _accepted(rollout.example.target)
        if accepted is None:
            raise CheckerError(f"example {rollout.example.id}: {exact_problem(rollout.example)}")
        said = split_thinking(rollout.output)
        if plain(said.answer) in map(plain, accepted):
            return Verdict(passed=True, by=by)
        wanted = " or ".join(repr(_short(t)) for t in accepted[:3])
        got = UNENDED if said.unended else f"got {_short(said.answer)!r}"
        return Verdict(passed=False, message=f"expected {wanted}, {got}", by=by)

    return judge


def _target_number(target: Any, decimal: Point) -> Number | None:
    """A target as a number; None where it is none, or can be read in two ways."""
    if isinstance(target, bool) or not isinstance(target, str | int | float):
        return None
    found = _alone(str(target).strip(), decimal if isinstance(target, str) else ".")
    return found if found is not None and found.value is not None else None


def _alone(text: str, decimal: Point) -> Number | None:
    """The number that all of a text is."""
    found = read_numbers(text, decimal)
    return found[0] if len(found) == 1 and (found[0].start, found[0].end) == (0, len(text)) else None


def number_problem(decimal: Point = ".") -> Callable[[Example], str]:
    """Why ``number`` cannot judge an example, or ""."""

    def problem(example: Example) -> str:
        if _target_number(example.target, decimal) is not None:
            return ""
        wanted = 'a number, or text that is one such as "3.5", "1/2" or "5%"'
        if decimal == ",":
            wanted = 'a number, or text that is one with a comma as decimal mark, such as "3,5"; JSON numbers keep their point'
        return f"checker number expects {wanted}, got {example.target!r}"

    return problem


def number(
    *, tolerance: float = 0.0, strict: bool = False, which: Literal["last", "only"] = "last", decimal: Point = "."
) -> Critic:
    """The number in the answer is the target.

    Numbers are read as people write them: thousands set off by commas, spaces or apostrophes, currencies, fractions (also in
    LaTeX and mixed), powers of ten, percent ("5%" is right for a target of 5, of 0.05 and of "5%"), words such as million.

    Args:
        tolerance: Greatest absolute difference, in the unit of the target.
        strict: The answer must be a number and nothing else.
        which: The last number of the answer counts, or that in its last ``\\boxed{}``; or there must be only one.
        decimal: The decimal mark of answers and of targets that are text. With "," thousands are set off by points.

    Returns:
        A critic that gives a Verdict. A number that can be read in two ways ("1,5" or "1.234,56" where the decimal mark is a
        point) is wrong, and the message says why. Thinking before the answer is left out.
    """
    more = "" if decimal == "." else f",decimal={decimal}"
    by = Rater(kind="code", name="number", version=f"tolerance={tolerance:g},strict={strict},which={which}{more}")
    allowed = Fraction(repr(tolerance))

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        wanted = _target_number(rollout.example.target, decimal)
        if wanted is None:
            raise CheckerError(f"example {rollout.example.id}: {number_problem(decimal)(rollout.example)}")
        said = split_thinking(rollout.output)
        answer = said.answer.strip()
        found, problem = _given(answer, wanted, strict=strict, which=which, decimal=decimal)
        if said.unended:
            found, problem = None, UNENDED
        if found is None or found.value is None:
            return Verdict(passed=False, message=problem if found is None else found.problem, by=by)
        if found.equals(wanted, allowed):
            return Verdict(passed=True, by=by)
        return Verdict(passed=False, message=f"expected {_shown(wanted)}, got {_shown(found)}", by=by)

    return judge


def _given(
    answer: str, wanted: Number, *, strict: bool, which: Literal["last", "only"], decimal: Point
) -> tuple[Number | None, str]:
    """The number that an answer gives, or None and what is wrong with it."""
    if strict:
        alone = _alone(answer, decimal)
        if alone is None or not (alone.bare or not wanted.bare):
            return None, f"expected a number and nothing else, got {_short(answer)!r}"
        return alone, ""
    boxed = last_boxed(answer) if which == "last" else None
    found = read_numbers(boxed, decimal) if boxed is not None else []
    found = found or read_numbers(answer, decimal)
    if not found:
        return None, f"no number in {_short(answer)!r}"
    if which == "only" and len(found) > 1:
        return None, f"expected one number, got {len(found)}"
    return found[-1], ""


def _shown(number: Number) -> str:
    """A number in digits: exact where it has an end, else as a fraction."""
    value = number.value
    assert value is not None
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 1000:  # Python writes no number of very many digits
        return _short(number.text)
    rest, places = value.denominator, 0
    while rest % 10 == 0 or rest % 5 == 0 or rest % 2 == 0:
        rest //= 10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2
        places += 1
    if rest != 1 or places > 40:
        return _short(str(value))
    digits = f"{abs(value.numerator) * 10**places // value.denominator:0{places + 1}d}"
    whole, part = (digits[:-places], digits[-places:].rstrip("0")) if places else (digits, "")
    return _short(("-" if value < 0 else "") + whole + (f".{part}" if part else "")) + ("%" if number.percent else "")


FLAGS: Mapping[str, int] = {"ignorecase": rx.IGNORECASE, "dotall": rx.DOTALL, "multiline": rx.MULTILINE}
SECONDS = 2.0  # for one answer: a pattern with nested repetition can take for ever on some
_MEMORY_MB = 512
_matches = Limited("pattern", "match", memory_mb=_MEMORY_MB)


def pattern_problem(pattern: str, flags: Collection[str] = ()) -> str:
    """Why a text is no regular expression that can be used, or "". Read in a process with limits."""
    try:
        said = _matches.call_now(pattern, _mode(flags), None, SECONDS, seconds=SECONDS)
    except TookTooLong:
        return f"the pattern {_short(pattern)!r} took longer than {SECONDS:g} s to be read: write it shorter"
    except CallFailed as error:
        return f"the pattern {_short(pattern)!r} cannot be used: {error}; its process may use {_MEMORY_MB} MB"
    return "" if said is True else str(said)


def _mode(flags: Collection[str]) -> int:
    mode = 0
    for flag in flags:
        mode |= FLAGS[flag]
    return int(mode)


def regex_problem(example: Example) -> str:
    if not isinstance(example.target, str):
        return f"checker regex without a pattern expects the pattern as target, got {example.target!r}"
    problem = pattern_problem(example.target)
    return f"the target is {problem}" if problem.startswith("not a") else problem


def regex(pattern: str | None = None, *, flags: tuple[str, ...] = (), strip: bool = True) -> Critic:
    """The whole answer matches ``pattern``, or, without one, the pattern in the example's target.

    Patterns are matched in a process with limits. An answer on which one takes longer than SECONDS is Missing.

    Args:
        pattern: A regular expression; None for the one in the target.
        flags: Any of ignorecase, dotall, multiline.
        strip: Ignore white space around the answer.

    Returns:
        A critic that gives a Verdict.

    Raises:
        InputError: The pattern is no regular expression, or takes for ever to be read.
    """
    mode = _mode(flags)
    if pattern is not None and (problem := pattern_problem(pattern, flags)):
        raise InputError(problem)
    by = Rater(kind="code", name="regex", version=f"{pattern!r},{mode}")

    async def judge(rollout: Rollout, ctx: Context) -> Feedback:
        wanted = str(rollout.example.target) if pattern is None else pattern
        answer = without_thinking(rollout.output)
        answer = answer.strip() if strip else answer
        try:
            said = await _matches.call(wanted, mode, answer, SECONDS, seconds=SECONDS)
        except TookTooLong:
            said = "late"
        except CallFailed as error:
            said = f"{error}; its process may use {_MEMORY_MB} MB"
        if said is True:
            return Verdict(passed=True, by=by)
        if said is False:
            return Verdict(passed=False, message=f"the answer does not match {wanted!r}: {_short(answer)!r}", by=by)
        what = f"{wanted!r} took longer than {SECONDS:g} s on {_short(answer)!r}: make its repetitions unambiguous"
        if said != "late":
            what = f"{wanted!r} could not be matched on {_short(answer)!r}: {said}"
        return Missing(expected="verdict", message=what, by=by)

    return judge
