"""How values become columns and come back exactly as they were."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Sequence
from typing import Any

from loopwright.core.errors import InputError, StoreCorrupt

SAMPLE = 1 << 16  # bytes from the middle of a large value, by which its share is told that would be left
WORTH = 0.7  # arrays in base64 shrink to 0.77, text of numbers to 0.5
SMALL = 2560  # bytes up to which a small window serves: it and the dictionary fit, and setting it up takes a tenth of the time
_PLAIN, _ZLIB, _DICTIONARY = b"0", b"z", b"d"

# What replies and attempts have in common, the commonest last. Stored values need it as it is: a better one gets its own mark.
_COMMON = (
    b' that which with this from have not are for was you is in a to of and the. '
    b'{"steps":[{"state":{"dict":{"array":"","dtype":"<f8",'
    b'"shape":[],"tuple":[],"trace":null,"log":[{"trial":{"context":{},"proposal":,"propensity":},"feedback":"stdout":"","stderr":""'
    b'"tool_calls":[],"system_fingerprint":"fp_","model":"","bound":true,"run":"","time":1.7,"error":"","status":"failed","lost"'
    b'"turns":[{"role":"system","text":"","finish":"length","reasoning":""}{"kind":"critique","text":"","aspect":"","passed":true'
    b'{"kind":"missing","reason":"","message":"","verdict","model","human",'
    b'{"choices":[{"role":"assistant","text":"","finish":"stop"}],"cost":{"calls":1,"prompt_tokens":1,"completion_tokens":1}}'
    b'{"id":"","example":{"id":"train-","input":"","target":"","meta":{}},"turns":[{"role":"system","text":"","prompt_ids":[],'
    b'"token_ids":[],"logprobs":[],"finish":"","reasoning":""},{"role":"user","text":"","prompt_ids":[],"token_ids":[],"logprobs":[],'
    b'"finish":"","reasoning":""},{"role":"assistant","text":"","prompt_ids":[],"token_ids":[],"logprobs":[],"finish":"stop",'
    b'"reasoning":""}],"candidate":"","feedback":[{"by":{"kind":"code","name":"checker","version":""},"about":"","confidence":null,'
    b'"cost":{"calls":0,"prompt_tokens":0,"completion_tokens":0,"seconds":0.0,"money":0.0},"status":"ok","readings":[],"kind":"score",'
    b'"value":1.0,"low":0.0,"high":1.0,"aspect":"","message":""}],"cost":{"calls":1,"prompt_tokens":,"completion_tokens":,"seconds":0.0'
    b',"money":0.0},"status":"ok","error":"","trace":null}'
)


# Copied rather than made: that takes half the time.
_small = zlib.compressobj(3, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, _COMMON)
_large = zlib.compressobj(1, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, _COMMON)


def pack(data: bytes) -> bytes:
    """Bytes with a first byte that tells whether the rest is compressed: what is large and hardly shrinks is not, for its speed.
    Empty stays empty.
    """
    if not data:
        return b""
    if len(data) < 4 * SAMPLE or _shrinks(data):
        packer = (_small if len(data) <= SMALL else _large).copy()
        packed = packer.compress(data) + packer.flush()
        if len(packed) < len(data):
            return _DICTIONARY + packed
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
        if mark == _DICTIONARY:
            unpacker = zlib.decompressobj(-15, _COMMON)
            data = unpacker.decompress(rest)
            if unpacker.eof and not unpacker.unused_data:
                return data
            raise zlib.error("it is cut off" if not unpacker.eof else "something follows its end")
        if mark == _ZLIB:
            return zlib.decompress(rest)
    except zlib.error as error:
        raise StoreCorrupt(f"a stored value cannot be decompressed ({error}); the database file is damaged") from None
    raise StoreCorrupt(f"a stored value starts with the unknown mark {mark!r}; the database file is damaged")


_HEX, _UUID = b"\xff", b"\xfe"  # bytes that no text in UTF-8 starts with


def name(value: str) -> str | bytes:
    """As ``text``, in half the bytes for what names things: digests in lower-case hexadecimal digits, and run ids."""
    length = len(value)
    if length in (16, 64) or length == 36:
        try:
            raw = bytes.fromhex(value if length != 36 else value.replace("-", ""))
        except ValueError:
            return text(value)
        if length != 36 and raw.hex() == value:
            return _HEX + raw
        if length == 36 and _dashed(raw) == value:
            return _UUID + raw
    return text(value)


def unname(stored: str | bytes) -> str:
    """The inverse of name."""
    if isinstance(stored, str):
        return stored
    if stored.startswith(_HEX):
        return stored[1:].hex()
    return _dashed(stored[1:]) if stored.startswith(_UUID) else untext(stored)


def _dashed(raw: bytes) -> str:
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


LARGE = 4096  # bytes of a value of which a row's checksum takes the digest


def checksum(values: Sequence[Any]) -> int:
    """Of the columns of a row, as SQLite gives them back: 48 bits, so that a flipped bit in any of them is noticed."""
    for value in values:
        if type(value) is bytes and len(value) > LARGE:
            values = [hashlib.blake2b(v).digest() if type(v) is bytes and len(v) > LARGE else v for v in values]
            break
    # ascii: what repr escapes changes with the version of Unicode
    return int.from_bytes(hashlib.blake2b(ascii(tuple(values)).encode(), digest_size=6).digest(), "big")


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
