"""Tables of a learner's state: the same as a dict, the old one stays as it was, and a new entry copies a path alone."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loopwright.blocks import tables
from loopwright.core.state import decode_state, encode_state


@given(st.lists(st.tuples(st.text(max_size=3), st.integers()), max_size=400))
def test_a_table_holds_what_a_dict_holds(entries: list[tuple[str, int]]) -> None:
    table: tables.Table = {}
    for key, value in entries:
        table = tables.put(table, key, value)
    expected = dict(entries)
    assert all(tables.get(table, key) == value for key, value in expected.items())
    assert sorted(tables.values(table)) == sorted(expected.values())
    assert tables.get(table, "none of these keys") is None
    back = decode_state(json.loads(json.dumps(encode_state(table))), {})
    assert back == table


def entries_of(table: tables.Table) -> dict[int, Any]:
    """The leaves by identity."""
    return {id(table): table} if isinstance(table, dict) else {k: v for part in table for k, v in entries_of(part).items()}


def test_one_more_entry_copies_one_leaf_and_changes_no_other_table() -> None:
    table: tables.Table = {}
    for i in range(20_000):
        table = tables.put(table, f"user {i}", i)
    before = sorted(tables.values(table))
    more = tables.put(table, "user 7", -1)
    assert sorted(tables.values(table)) == before and tables.get(table, "user 7") == 7 and tables.get(more, "user 7") == -1
    new = {k: v for k, v in entries_of(more).items() if k not in entries_of(table)}
    assert sum(len(leaf) for leaf in new.values()) <= tables.LEAF


def test_a_dict_of_an_earlier_snapshot_goes_on_as_a_table() -> None:
    table: tables.Table = {f"user {i}": i for i in range(1000)}
    for i in range(1000, 1100):
        table = tables.put(table, f"user {i}", i)
    assert sorted(tables.values(table)) == list(range(1100))
