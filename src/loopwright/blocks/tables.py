"""A table by text that a learner's state can hold: a new entry costs a copy of a few others, however many there are.

A table is plain data: up to LEAF entries are a dict; more are a tuple of 16 tables, told apart by four bits of a hash of the
key (a hash trie, Bagwell, "Ideal hash trees", EPFL 2001). ``put`` gives a new table, which shares all but its path with the old.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

Table = dict[str, Any] | tuple[Any, ...]

LEAF = 32
_DEEPEST = 8  # of 32 bits, four each


def put(table: Table, key: str, value: Any) -> Table:
    """With this entry, which replaces one of the same key. The table given stays as it was."""
    return _put(table, key, value, crc32(key.encode("utf-8", "surrogatepass")), 0)


def get(table: Table, key: str) -> Any:
    """None where there is no such entry."""
    bits = crc32(key.encode("utf-8", "surrogatepass"))
    while not isinstance(table, dict):
        table, bits = table[bits & 15], bits >> 4
    return table.get(key)


def values(table: Table) -> list[Any]:
    """Of every entry; the order is that of the hashes, and of arrival while they are few."""
    found: list[Any] = []
    waiting = [table]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found += part.values()
        else:
            waiting += reversed(part)
    return found


def _put(table: Table, key: str, value: Any, bits: int, depth: int) -> Table:
    if not isinstance(table, dict):
        place = bits & 15
        return (*table[:place], _put(table[place], key, value, bits >> 4, depth + 1), *table[place + 1 :])
    entries = {**table, key: value}
    if len(entries) <= LEAF or depth >= _DEEPEST:
        return entries
    parts: tuple[dict[str, Any], ...] = tuple({} for _ in range(16))
    for name, kept in entries.items():
        parts[crc32(name.encode("utf-8", "surrogatepass")) >> 4 * depth & 15][name] = kept
    return parts
