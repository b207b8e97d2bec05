"""What came of reading a text: a value, or why there is none."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Reading(NamedTuple, Generic[T]):
    """A value that was read from a text, or None and the reason.

    value: what was read; None where nothing was found, or where the text allows several values.
    problem: why there is no value, as a clause that can follow "the judge's reply:"; "" where there is one.
    """

    value: T | None
    problem: str = ""
