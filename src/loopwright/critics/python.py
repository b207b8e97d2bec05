"""A user's own check: ``file.py:function(output, example) -> bool | number in [0, 1] | dict``, in another process."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import CheckerError
from loopwright.core.feedback import Feedback, Missing, Rater, Score, Verdict, parse_feedback
from loopwright.core.fences import without_thinking
from loopwright.core.types import Rollout
from loopwright.critics.section import near, not_plain
from loopwright.critics.worker import CallFailed, Function, Worker

if TYPE_CHECKING:
    from loopwright.core.context import Context

# So many failures before the first success mean that the check is broken; fewer may be odd answers that it trips over.
PATIENCE = 8
_EXPECTED = "expected True, False, a number from 0 to 1, or a dict with passed or score, and message"
_KEYS = ("passed", "score", "message")


def read_value(value: Any, by: Rater) -> Verdict | Score:
    """What a check returned, as feedback. Raises ValueError with the reason where it means nothing."""
    if isinstance(value, bool):
        return Verdict(passed=value, by=by)
    if isinstance(value, int | float):
        return _score(value, "", by)
    if not isinstance(value, dict):
        raise ValueError(f"returned {type(value).__name__} {value!r:.80}; {_EXPECTED}")
    for key in value:
        if key not in _KEYS:
            raise ValueError(f"returned a dict with the unknown key {key!r}; {near(key, _KEYS)}")
    message = value.get("message", "")
    if not isinstance(message, str) or not_plain(message):
        raise ValueError(f"message: expected text, got {message!r:.80}")
    if ("passed" in value) == ("score" in value):
        raise ValueError("returned a dict with both passed and score, or neither; expected one of them")
    if "score" in value:
        return _score(value["score"], message, by)
    if not isinstance(value["passed"], bool):
        raise ValueError(f"passed: expected True or False, got {value['passed']!r:.80}")
    return Verdict(passed=value["passed"], message=message, by=by)


def _score(value: Any, message: str, by: Rater) -> Score:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"score: expected a number from 0 to 1, got {value!r:.80}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"returned {value}; {_EXPECTED}")
    if not 0 <= value <= 1:  # a whole number may be larger than any float
        shown = f"{value:g}" if isinstance(value, float) or abs(value) < 10**9 else "a very large whole number"
        raise ValueError(f"returned {shown}, out of range; {_EXPECTED}")
    return Score(value=float(value), message=message, by=by)


class PythonCritic:
    """Calls the function for each rollout, one at a time, as a recorded effect, in a process that is given no keys.

    environment: names of variables that it is given although they hold keys.

    A call that raises, hangs, dies or returns something else is Missing feedback with the reason, and counted in
    ``failures``; it is never a zero. When the first PATIENCE calls all fail, CheckerError is raised instead.
    """

    def __init__(
        self, function: Function, *, seconds: float = 10.0, version: str = "", environment: Collection[str] = ()
    ) -> None:
        self.function = function
        self.successes = 0
        self.failures = 0
        self._by = Rater(kind="code", name=function.name, version=version[:12])
        self._worker = Worker(function, seconds=seconds, values=2, environment=environment)

    def keep_version(self, version: str) -> None:
        """Say that what it says is of this version: of a run that began with a file that differed in comments alone."""
        self._by = self._by.model_copy(update={"version": version[:12]})

    async def ready(self) -> None:
        """Load the function, so that one that can never work is found before an answer is paid for.

        Raises:
            CheckerError: it cannot be imported, or does not take an answer and an example.
        """
        try:
            await self._worker.start()
        except CallFailed as error:
            raise CheckerError(
                f"{self.function.name}: {error}. Expected def {self.function.function}(output, example) in a file that Python "
                f"can import; nothing was asked of the model yet ({self.function.file})"
            ) from None

    async def __call__(self, rollout: Rollout, ctx: Context) -> Feedback:
        example, answer = rollout.example.model_dump(mode="json"), without_thinking(rollout.output)
        asked = False

        async def call() -> bytes:
            nonlocal asked
            asked = True
            said: Feedback
            try:
                said = read_value(await self._worker.call(answer, example), self._by)
            except (CallFailed, ValueError) as error:
                said = Missing(expected="score", message=f"{self.function.name}: {error}", by=self._by)
            return said.model_dump_json().encode()

        content = [self.function.name, self._by.version, answer, example]
        raw = await ctx.external("check", content, call, summary=f"{self.function.name} on {rollout.example.id}")
        feedback = parse_feedback(raw)
        if not isinstance(feedback, Missing):
            self.successes += 1
            return feedback
        if rollout.unanswered:  # it has the lowest score by rule, so that nothing is known of the function
            return feedback
        self.failures += 1
        # Only a call made now may stop the run: a resumed one passes its recorded failures to get to where it was.
        if asked and not self.successes and self.failures >= PATIENCE:
            raise CheckerError(
                f"{self.function.file}: {self.function.function} failed in every one of its first {self.failures} calls, "
                f"last on example {rollout.example.id!r}: {feedback.message}"
            )
        return feedback
