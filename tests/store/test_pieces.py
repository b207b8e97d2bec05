"""Long strings are stored once, and every value comes back to the byte."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_rows import effect, new_run

from loopwright.core.errors import StoreCorrupt
from loopwright.core.store import CacheRow, RolloutRow
from loopwright.store import SqliteStore
from loopwright.store.codec import checksum, name, text, unname
from loopwright.store.pieces import LONG, join, references, split

odd = st.lists(
    st.sampled_from([b'"', b"\\", b'\\"', b"{}", b"\n", b"\xff", b"t", b"a" * (LONG - 1), b"a" * LONG, b"b" * 3 * LONG])
    | st.binary(max_size=9),
    max_size=40,
).map(b"".join)  # fmt: skip


@given(odd | st.binary(max_size=2000))
def test_what_was_taken_apart_comes_back(data: bytes) -> None:
    stored, cut = split(data)
    assert join(stored, cut) == data
    assert set(references(stored)) == set(cut) and all(len(string) >= LONG for string in cut.values())


plain = st.recursive(
    st.text(max_size=400), lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=5), x), max_leaves=9
)


@given(plain)
def test_of_json_every_long_string_is_cut_out_whole(data: object) -> None:
    raw = json.dumps(data, ensure_ascii=False).encode()

    def strings(value: object) -> set[bytes]:
        if isinstance(value, str):
            told = json.dumps(value, ensure_ascii=False).encode()[1:-1]
            return {told} if len(told) >= LONG else set()
        parts = value.items() if isinstance(value, dict) else [("", one) for one in value]  # type: ignore[attr-defined]
        return {s for key, one in parts for s in strings(one) | strings(key)}

    assert set(split(raw)[1].values()) == strings(data)


def test_a_value_of_nothing_but_quotes_or_escapes_takes_no_time_at_all() -> None:
    for data in (b'"' * 10**6, b"\\" * 10**6, b'"\\"' * 10**6, b'"' + b"\\a" * 10**6):
        stored, cut = split(data)
        assert join(stored, cut) == data


digests = st.binary(min_size=8, max_size=8) | st.binary(min_size=32, max_size=32)
named = st.uuids().map(str) | digests.map(bytes.hex) | digests.map(lambda b: b.hex().upper())


@given(st.text(st.characters(exclude_categories=())) | named)
def test_names_come_back(value: str) -> None:
    assert unname(name(value)) == value
    stored = text(value)
    assert unname(stored) == value or isinstance(stored, str)


columns = st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=9) | st.binary(max_size=9)


@given(st.lists(columns, min_size=1, max_size=5))
def test_a_checksum_tells_each_column(values: list[object]) -> None:
    assert checksum(values) == checksum(tuple(values))
    assert checksum([*values, None]) != checksum(values)
    assert checksum([*values[:-1], object]) != checksum(values)
    assert checksum([b"x" * 5000]) != checksum([b"x" * 4999 + b"y"])


def test_a_reply_is_stored_once(path: Path) -> None:
    said = [random.Random(i).randbytes(10_000).hex() for i in range(40)]  # which shrinks to half, and no further
    with SqliteStore(path) as store:
        run = new_run(store).id
        for i, words in enumerate(said):
            reply = json.dumps({"choices": [{"text": words}]}).encode()
            attempt = json.dumps({"turns": [{"role": "assistant", "text": words, "finish": "stop"}], "n": i}).encode()
            asyncio.run(store.write([effect(run, f"{i}", "done", result=reply), CacheRow(f"{i}", reply, run)]))
            asyncio.run(store.write([RolloutRow(run, f"{i}", "c", "e", "train", 0, 0, 0.5, attempt)]))
        assert [json.loads(row.data)["turns"][0]["text"] for row in store.rollouts(run)] == said
        assert store.reader.read("SELECT count(*) FROM value") == [(40,)]
    assert path.stat().st_size < 40 * 10_000 * 1.6 + 120_000


@pytest.mark.parametrize("damage", ["UPDATE value SET data = CAST(data || 'x' AS BLOB)", "DELETE FROM value"])
def test_a_string_that_is_damaged_or_gone_is_named(path: Path, damage: str) -> None:
    import sqlite3

    with SqliteStore(path) as store:
        run = new_run(store).id
        asyncio.run(store.write([effect(run, "k", "done", result=json.dumps("long " * 99).encode())]))
    connection = sqlite3.connect(path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    with SqliteStore(path) as store, pytest.raises(StoreCorrupt, match="value"):
        list(store.effects(run))
