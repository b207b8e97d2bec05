"""What an effect is known by, and how its failures are written down."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from loopwright.core import errors
from loopwright.core.errors import (
    BadOutput,
    BudgetExhausted,
    CheckerError,
    LoopwrightError,
    ModelUnavailable,
    NoReply,
    OutOfTime,
)
from loopwright.core.feedback import FREE, Cost
from loopwright.core.store import EffectRow

ENDED = "ended"  # kind of the effect that records by which error a method ended, in the method's own scope
PROBE = "probe"  # kind of the effect that records what it took to ask whether a model is there; no code asks for it again
# Failures that belong to the question rather than to the moment; asking again would pay again for the same.
LASTING = (BadOutput, NoReply, CheckerError, BudgetExhausted)


@dataclass(slots=True)
class Asked:
    """One request for an effect: its identity, and its record where there is one."""

    scope: str
    kind: str
    content: str
    key: str
    ordinal: int
    occurrence: int
    summary: str
    record: EffectRow | None


def tuple_hash(*parts: str | int) -> str:
    """SHA-256 of a tuple; its repr is unambiguous and takes a third of the time of canonical JSON."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def describe(error: LoopwrightError) -> str:
    return f"{type(error).__name__}:{getattr(error, 'kind', '')}:{error}"


def billed(error: LoopwrightError, estimate: Cost) -> Cost:
    """What a failed call took: an unusable answer was paid for, and a server that was too slow may have answered."""
    if isinstance(error, BadOutput):
        return (error.cost or estimate) if error.paid else FREE
    late = isinstance(error, OutOfTime) or (isinstance(error, ModelUnavailable) and error.kind in ("timeout", "cut"))
    return estimate if late else FREE


def recorded(text: str) -> type[LoopwrightError]:
    """The class of an error that was written down by ``describe``, or as the reason of a run that failed."""
    found = getattr(errors, text.split(":", 1)[0], None)
    return found if isinstance(found, type) and issubclass(found, LoopwrightError) else LoopwrightError


def revive(text: str) -> LoopwrightError:
    """The error that was recorded, as an instance of its class."""
    _, kind, message = text.split(":", 2)
    known = recorded(text)
    if issubclass(known, BadOutput | ModelUnavailable):
        return known(message, kind=kind)
    revived: LoopwrightError = known.__new__(known)
    Exception.__init__(revived, message)
    return revived
