"""How values become columns and come back exactly as they were."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

from loopwright.core.errors import InputError, StoreCorrupt

COMPRESS_ABOVE = 1024  # bytes; below it zlib saves less than it costs
SAMPLE = 1 << 16  # bytes from the middle of a large value, by which its share is told that would be left
WORTH = 0.7  # arrays in base64 shrink to 0.77, text of numbers to 0.5
_PLAIN, _ZLIB = b"0", b"z"


def pack(data: bytes) -> bytes:
    """Bytes with a first byte that tells whether the rest is compressed: what is large and hardly shrinks is not, for its speed.
    Empty stays empty.
    """
    if not data:
        return b""
    if len(data) > COMPRESS_ABOVE and (len(data) < 4 * SAMPLE or _shrinks(data)):
        packed = zlib.compress(data, 1)
        if len(packed) < len(data):
            return _ZLIB + packed
    return _PLAIN + data


def _shrinks(data: bytes) -> bool:
    sample = data[(len(data) - SAMPLE) // 2 :][:SAMPLE]
    return len(zlib.compress(sample, 1)) < WORTH * SAMPLE


def unpack(stored: bytes) -> bytes:
    """The inverse of pack. Raises StoreCorrupt."""
    if not stored:
        return b""
    mark, rest = stored[:1], stored[1:]
    if mark == _PLAIN:
        return rest
    try:
        if mark == _ZLIB:
            return zlib.decompress(rest)
    except zlib.error as error:
        raise StoreCorrupt(f"a stored value cannot be decompressed ({error}); the database file is damaged") from None
    raise StoreCorrupt(f"a stored value starts with the unknown mark {mark!r}; the database file is damaged")


def text(value: str) -> str | bytes:
    """What SQLite is given for a string.

    A lone surrogate has no UTF-8. SQLite keeps a BLOB unchanged in a TEXT column, so such strings go in as bytes and
    come back exact, also where they are part of a key.
    """
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
    return value


def untext(stored: str | bytes) -> str:
    """The inverse of text."""
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


def dump(value: Any, what: str) -> str:
    """Plain data as JSON text; ``what`` names it in the InputError raised for anything JSON cannot hold."""
    try:
        # ASCII escapes would merge two neighbouring lone surrogates into one character on the way back
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{what} must be plain JSON data without NaN or infinity: {error}") from None


def finite(value: float | None, what: str) -> float | None:
    """The number itself. SQLite would store NaN as NULL, and a failed judgement would look like a missing one."""
    if value is not None and not math.isfinite(value):
        raise InputError(f"{what} must be a finite number, got {value}")
    return value
