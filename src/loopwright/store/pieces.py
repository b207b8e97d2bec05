"""Values as they are kept: compressed, and their long strings stored once.

A reply stands in the result of its effect, in the cache and in the attempt that was made of it. So every JSON string of LONG
bytes or more is cut out of a value, kept by its digest in the table ``value``, and referred to by it; the digest is its checksum,
too.
What comes back is the same to the byte, also of values that are no JSON.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping

from loopwright.core.errors import StoreCorrupt
from loopwright.store.codec import pack, unpack

LONG = 200  # bytes of a string from which on it is cut out: a reference costs some 60 bytes
DIGEST = 16  # bytes
# Short strings without escapes, all passed at once; then one that may be long, to its closing quote or the end. Without the
# possessive repeats a value of nothing but quotes would take for ever.
_STRING = re.compile(
    rb'(?:[^"]*+"[^"\\]{0,%d}+")*+[^"]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\Z|\\\Z)' % (LONG - 1), re.DOTALL
)  # fmt: skip
_CUT = b"t"
_COUNT, _PLACE = struct.Struct("<H"), struct.Struct(f"<I{DIGEST}s")
_MOST, _FURTHEST = (1 << 16) - 1, (1 << 32) - 1


def digest_of(data: bytes) -> bytes:
    """The name of a value: BLAKE2b of its bytes, 16 bytes long."""
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


def split(data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """A value as its row keeps it.

    Args:
        data: any bytes.

    Returns:
        What the row holds, and by digest the strings that were cut out, as they are.
    """
    if len(data) < LONG:
        return pack(data), {}
    cut: dict[bytes, bytes] = {}
    kept: list[bytes] = []
    places: list[bytes] = []
    done = length = at = 0
    while match := _STRING.match(data, at):
        at = match.end()
        begin, end = match.span(1)
        if end - begin < LONG:
            continue
        length += begin - done
        if length > _FURTHEST or len(places) == _MOST:
            break
        text = match[1]
        name = digest_of(text)
        cut[name] = text
        kept.append(data[done:begin])
        places.append(_PLACE.pack(length, name))
        done = end
    if not places:
        return pack(data), {}
    kept.append(data[done:])
    return b"".join((_CUT, _COUNT.pack(len(places)), *places, pack(b"".join(kept)))), cut


def references(stored: bytes) -> list[bytes]:
    """The digests of the strings that were cut out of a value, in their order. Raises StoreCorrupt."""
    return [name for _, name in _places(stored)[0]]


def join(stored: bytes, strings: Mapping[bytes, bytes]) -> bytes:
    """The inverse of ``split``.

    Args:
        stored: what the row holds.
        strings: by digest, those of ``references(stored)``, as they were cut out.

    Returns:
        The value.

    Raises:
        StoreCorrupt: it cannot be put together again.
    """
    if not stored.startswith(_CUT):
        return unpack(stored)
    places, rest = _places(stored)
    left = unpack(rest)
    made: list[bytes] = []
    done = 0
    for at, name in places:
        if name not in strings:
            raise StoreCorrupt(f"a long string of a stored value is not there (its digest is {name.hex()}); the file is damaged")
        made += left[done:at], strings[name]
        done = at
    return b"".join((*made, left[done:]))


def _places(stored: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    if not stored.startswith(_CUT):
        return [], stored
    try:
        (count,) = _COUNT.unpack_from(stored, 1)
        begin = 1 + _COUNT.size
        end = begin + count * _PLACE.size
        return list(_PLACE.iter_unpack(stored[begin:end])), stored[end:]
    except struct.error as error:
        raise StoreCorrupt(f"a stored value cannot be taken apart ({error}); the database file is damaged") from None
