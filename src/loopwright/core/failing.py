"""Examples whose evaluation failed: how often each is tried again, how many of them a run bears, and what is told of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from loopwright.core.errors import InputError, TooManyErrors
from loopwright.core.feedback import Frozen, Missing
from loopwright.core.raised import raised
from loopwright.core.types import Rollout

FAIL_ON_ERROR = 0.5
_STATUS = re.compile(r": (\d{3})\b")  # of HTTP, as ``models.failures.failure`` writes it
_KINDS = (("no answer within", "timeout"), ("larger than", "reply too large"), ("parts", "reply too large"))
_LONG = 300


class ErrorRules(Frozen):
    """What becomes of examples whose evaluation fails: no reply after the tries of the model, a judgement that failed.

    fail_on_error: true ends the run at the first of them; false never; a number from 0 to 1 once more than that share of all
        examples of the task has an error, a whole number from 1 once more than so many have. An example whose latest attempt
        went well has none.
    retry_on_error: how often what failed is tried again, each time as a new call, before the error remains.
    """

    fail_on_error: bool | int | float = FAIL_ON_ERROR
    retry_on_error: int = 0

    @classmethod
    def checked(cls, fail_on_error: object = FAIL_ON_ERROR, retry_on_error: object = 0) -> ErrorRules:
        """The rules from what a user wrote. Raises InputError."""
        if isinstance(fail_on_error, str):
            fail_on_error = _read(fail_on_error)
        if not isinstance(fail_on_error, int | float) or not _bearable(fail_on_error):
            expected = "true, false, a share such as 0.2 or a number of examples such as 5"
            raise InputError(f"fail_on_error: expected {expected}, got {fail_on_error!r}")
        if type(retry_on_error) is not int or not 0 <= retry_on_error <= 100:
            raise InputError(f"retry_on_error: expected a whole number from 0 to 100, got {retry_on_error!r}")
        return cls(fail_on_error=fail_on_error, retry_on_error=retry_on_error)

    def most(self, of: int) -> float:
        """How many of so many examples may have an error while the run goes on."""
        rule = self.fail_on_error
        if isinstance(rule, bool):
            return 0 if rule else math.inf
        return rule * of if isinstance(rule, float) and rule <= 1 else rule

    @property
    def text(self) -> str:
        """The rule in a few words."""
        return f"fail_on_error = {str(self.fail_on_error).lower()}"


def _bearable(number: float) -> bool:
    """Whether it is a share, or a whole number of examples."""
    return 0 <= number < math.inf and (number <= 1 or number == int(number))  # of any size: it is only compared


def _read(text: str) -> object:
    word = text.strip().lower()
    if word in ("true", "yes", "false", "no"):
        return word in ("true", "yes")
    try:
        return float(word) if "." in word or "e" in word else int(word)
    except ValueError:
        return text


def error_of(rollout: Rollout) -> tuple[str, str] | None:
    """The error that an attempt ended with, as its class and what it says; None where it was answered and judged.

    An answer that the policy did not give (empty, refused, too long for it) is the answer "", and no error.
    """
    if rollout.status == "lost":
        return _kind(rollout.error), rollout.error[:_LONG]
    if rollout.unanswered:
        return None
    for feedback in rollout.feedback:
        if isinstance(feedback, Missing) and feedback.status == "failed":
            found = raised([rollout])
            name = found[0].error if found and len(found[0].error) < 40 else "judgement failed"
            return name, feedback.message[:_LONG]
    return None


def _kind(message: str) -> str:
    if found := _STATUS.search(message):
        return f"HTTP {found[1]}"
    return next((kind for words, kind in _KINDS if words in message), "no reply")


class Failures:
    """Which examples of a run have an error, by their latest attempt.

    Args:
        rules: when they end the run, and how often each is tried again.
        of: how many examples the task has.
    """

    def __init__(self, rules: ErrorRules | None = None, of: int = 0) -> None:
        self.rules = rules or ErrorRules(fail_on_error=False)
        self.of = of
        self._failed: dict[tuple[str, str], tuple[str, str]] = {}

    @property
    def retries(self) -> int:
        return self.rules.retry_on_error

    def note(self, split: str, rollouts: Sequence[Rollout]) -> None:
        """Take account of attempts that were just made.

        Args:
            split: of the examples.
            rollouts: the attempts, judged.

        Raises:
            TooManyErrors: more examples have an error than the rules bear.
        """
        for key in {(split, rollout.example.id) for rollout in rollouts}:
            self._failed.pop(key, None)
        for rollout in rollouts:
            if (error := error_of(rollout)) is not None:
                self._failed[(split, rollout.example.id)] = error
        if self._failed and len(self._failed) > self.rules.most(self.of):
            onward = "to go on all the same: loopwright resume RUN --fail-on-error false"
            raise TooManyErrors(f"{self.message()}; {self.rules.text} ends the run; {onward}")

    def told(self) -> list[dict[str, str | int]]:
        """Plain data: of each class of error how many examples have it, and what the first of them said; commonest first."""
        counts = Counter(kind for kind, _ in self._failed.values())
        first: dict[str, str] = {}
        for kind, said in self._failed.values():
            first.setdefault(kind, said)
        return [{"error": kind, "examples": n, "first": first[kind]} for kind, n in counts.most_common()]

    def message(self) -> str:
        """The same in one line; "" where no example has an error."""
        if not self._failed:
            return ""
        parts = [f'{one["examples"]} {one["error"]} ("{one["first"]}")' for one in self.told()]
        of = f" of {self.of}" if self.of else ""
        n = len(self._failed)
        examples = "example" if n == 1 and not of else "examples"
        return f"{n}{of} {examples} {'has' if n == 1 else 'have'} an error: {'; '.join(parts)}"
