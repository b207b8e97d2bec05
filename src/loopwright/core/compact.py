"""Counts by what they are of, in a few bytes each: a run may have asked a million times.

A dictionary takes some 200 bytes for a text and a number; here it is 64 bits of the text's hash and the number.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable

_LEAST = 1 << 6  # places
_MASK = (1 << 64) - 1


class Counts:
    """Several numbers, from 0 to 2**32 - 1, by texts or tuples of texts. What was never counted is 0.

    Two of a million things share their 64 bits with a chance of 3 in 10**8; they would then be counted as one.

    Args:
        columns: how many numbers are kept for each.
    """

    def __init__(self, columns: int = 1) -> None:
        self._used = 0
        self._keys = array("Q", bytes(8 * _LEAST))
        self._counts = [array("I", bytes(4 * _LEAST)) for _ in range(columns)]

    def __len__(self) -> int:
        """How many things were counted."""
        return self._used

    def get(self, what: Hashable, column: int = 0) -> int:
        """The number of ``what``."""
        return self._counts[column][self._place(hash(what) & _MASK or 1)]

    def add(self, what: Hashable, count: int = 1, column: int = 0) -> int:
        """Add to the number of ``what``; returns what it was before."""
        key = hash(what) & _MASK or 1
        at = self._place(key)
        if not self._keys[at]:
            if 3 * self._used >= 2 * len(self._keys):
                self._grow()
                at = self._place(key)
            self._keys[at] = key
            self._used += 1
        before = self._counts[column][at]
        self._counts[column][at] = before + count
        return before

    def _place(self, key: int) -> int:
        keys = self._keys
        last = len(keys) - 1
        at = key & last
        while keys[at] and keys[at] != key:
            at = (at + 1) & last
        return at

    def _grow(self) -> None:
        keys, counts = self._keys, self._counts
        self._keys = array("Q", bytes(16 * len(keys)))
        self._counts = [array("I", bytes(8 * len(keys))) for _ in counts]
        for old, key in enumerate(keys):
            if key:
                at = self._place(key)
                self._keys[at] = key
                for column, numbers in zip(self._counts, counts, strict=True):
                    column[at] = numbers[old]
