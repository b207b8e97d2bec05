"""Counts in a few bytes each, against a dictionary."""

from __future__ import annotations

import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.compact import Counts

things = st.text(max_size=2) | st.tuples(st.text(max_size=1), st.text(max_size=1))


@given(st.lists(st.tuples(things, st.integers(0, 5), st.integers(0, 1)), max_size=400))
def test_counts_as_a_dictionary_does(steps: list[tuple[object, int, int]]) -> None:
    counts, known = Counts(2), [Counter[object](), Counter[object]()]
    for what, number, column in steps:
        assert counts.get(what, column) == known[column][what]
        assert counts.add(what, number, column) == known[column][what]
        known[column][what] += number
    for what in {what for what, _, _ in steps}:
        assert [counts.get(what, column) for column in (0, 1)] == [known[column][what] for column in (0, 1)]
    assert len(counts) == len({what for what, _, _ in steps})


def test_a_hundred_thousand_texts_take_some_bytes_each() -> None:
    counts = Counts()
    for i in range(100_000):
        assert counts.add(f"scope/{i}") == 0
    assert all(counts.add(f"scope/{i}", -1) == 1 for i in range(0, 100_000, 7))
    assert sum(counts.get(f"scope/{i}") for i in range(100_000)) == 100_000 - len(range(0, 100_000, 7))
    assert counts.get("scope/100000") == 0 and len(counts) == 100_000
    held = sum(sys.getsizeof(part) for part in (counts._keys, *counts._counts))
    assert held < 40 * 100_000
