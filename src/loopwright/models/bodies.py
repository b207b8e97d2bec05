"""Reading the body of a reply in bounded memory, however large it is and however small it was packed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import ClientResponse

ENCODINGS = "gzip, deflate"  # the compressions that are asked for, and read
_ERROR_BYTES = 2**18  # of the body of an error, more is not read
# Objects, lists and commas of a JSON text: each may become an object of some 70 bytes, from two bytes of text.
_MOST_PARTS = 4_000_000


class TooLarge(Exception):
    """A body that is larger than is taken, as it came or once it is unpacked."""


async def read_body(answer: ClientResponse, most: int, *, whole: bool) -> bytes:
    """The body, unpacked.

    Args:
        answer: of aiohttp, whose session does not unpack by itself.
        most: bytes that are taken, counted as they come and again as they are unpacked.
        whole: a body that is larger is an error; else only its beginning is read.

    Returns:
        The body.

    Raises:
        TooLarge: it has more bytes, or as JSON more parts, than are taken.
        ValueError: it is packed in a way that was not asked for, or broken.
    """
    limit = most if whole else min(most, _ERROR_BYTES)
    unpacker = _Unpacker(answer.headers.get("Content-Encoding", ""))
    parts: list[bytes] = []
    came = size = 0
    async for chunk in answer.content.iter_any():
        came += len(chunk)
        part = unpacker.unpack(chunk, limit + 1 - size)
        size += len(part)
        parts.append(part)
        if max(came, size) > limit:
            if not whole:
                return b"".join(parts)[:limit]
            packed = f" ({came:,} bytes as it was packed)" if unpacker.packed else ""
            raise TooLarge(
                f"the reply is larger than {limit / 2**20:g} MiB{packed}; max_reply_mb of the model allows more"
            )
    raw = b"".join(parts)
    if not unpacker.ended and whole:
        raise ValueError("the packed reply ends too early")
    if whole and raw.count(b"{") + raw.count(b"[") + raw.count(b",") > _MOST_PARTS:
        raise TooLarge(f"the reply is JSON of more than {_MOST_PARTS:,} parts")
    return raw


class _Unpacker:
    """A stream of ``gzip``, ``deflate`` or no compression, unpacked piece by piece."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        if self._encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ValueError(f"the reply is packed as {self._encoding[:40]!r}, which was not asked for ({ENCODINGS})")
        self.packed = self._encoding not in ("", "identity")
        self._stream: zlib._Decompress | None = None

    @property
    def ended(self) -> bool:
        return self._stream is None or self._stream.eof

    def unpack(self, data: bytes, most: int) -> bytes:
        """At most so many bytes of what is unpacked; where there are more, the rest is lost."""
        if not self.packed:
            return data
        made: list[bytes] = []
        while data and most > 0:
            if self._stream is None or self._stream.eof:  # gzip may be several streams, one after the other
                self._stream = zlib.decompressobj(self._window(data[0]))
            try:
                part = self._stream.decompress(data, most)
            except zlib.error as error:
                raise ValueError(f"the packed reply is broken: {error}") from None
            made.append(part)
            most -= len(part)
            data = self._stream.unused_data
        return b"".join(made)

    def _window(self, first: int) -> int:
        if self._encoding != "deflate":
            return 16 + zlib.MAX_WBITS
        return (
            zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS
        )  # servers send deflate with and without a header
