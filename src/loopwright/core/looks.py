"""Looking at a Learner while a stream drives it, without teaching it anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from loopwright.core.feedback import Feedback
from loopwright.core.learner import Logged, Session, drive
from loopwright.core.world import Stream


class Looks(NamedTuple):
    """What is to be seen of a session, such as what it still knows of every task.

    at: after how many steps, rising. look: gives plain data. found: by step, filled as the run goes on.
    """

    at: Sequence[int]
    look: Callable[[Session], JsonValue]
    found: dict[int, JsonValue]

    def drive(
        self, session: Session, stream: Stream, end: int, *, scramble: Callable[[Feedback], Feedback] | None = None
    ) -> tuple[list[Logged], list[tuple[int, JsonValue]]]:
        """Drive to this many steps in all, and look on the way; a look before the first step belongs to the first block."""
        log: list[Logged] = []
        seen: list[tuple[int, JsonValue]] = []
        begin = session.asked
        for step in (s for s in self.at if begin < s <= end or s == begin == 0):
            log += drive(session, stream, step - session.asked, scramble=scramble)
            seen.append((step, self.look(session)))
        return log + drive(session, stream, end - session.asked, scramble=scramble), seen
