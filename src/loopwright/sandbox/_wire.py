# mypy: ignore-errors
"""Plain data and object handles between the judge and the program, both inside one sandbox. Read as text, not imported.

Values cross by copy and arrive as exact built-in types, so an object that calls itself equal to everything cannot cross
as data: it crosses as a handle. Not pickle or marshal: the judge reads what an untrusted program wrote.
"""

import json
import os
import select
import time

_KINDS = ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "z"))
_LONGEST = 16 << 20


def pack(value, export):
    """``value`` as JSON. ``export(object)`` gives the handle of what is no plain data. Subclasses lose their class."""
    for kind in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict):
        if isinstance(value, kind) and not hasattr(type(value), "__members__"):
            break
    else:
        return None if value is None else ["o", export(value)]
    if kind is bool:
        return bool(value)
    if kind is str:
        return str.__str__(value)
    if kind is int:
        return ["i", hex(int.__index__(value))]
    if kind is float:
        return ["f", float.__repr__(value)]
    if kind is complex:
        return ["c", complex.__repr__(value)]
    if kind is bytes:
        return ["b", bytes.hex(value)]
    if kind is dict:
        return ["d", [[pack(key, export), pack(item, export)] for key, item in dict.items(value)]]
    return [dict(_KINDS)[kind], [pack(item, export) for item in kind.__iter__(value)]]


def unpack(data, resolve):
    """The value of ``pack``'s JSON; ``resolve(handle)`` gives what stands for an object of the other side."""
    if data is None or isinstance(data, bool | str):
        return data
    kind, body = data
    if kind == "i":
        return int(body, 16)
    if kind in ("f", "c"):
        return float(body) if kind == "f" else complex(body)
    if kind == "b":
        return bytes.fromhex(body)
    if kind == "d":
        return {unpack(key, resolve): unpack(item, resolve) for key, item in body}
    if kind == "o":
        return resolve(body)
    for cls, name in _KINDS:
        if name == kind:
            return cls(unpack(item, resolve) for item in body)
    raise ValueError(f"unknown kind {kind!r}")


class Gone(BaseException):
    """The other side ended. Like Late no Exception, so that no test can take it for an error of the program."""


class Late(BaseException):
    """The other side did not answer in time."""


class Line:
    """JSON lines over two pipes; ``deadline`` is a time.monotonic() or None."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.deadline = reader, writer, None
        self._held = b""

    def send(self, message):
        view = memoryview(json.dumps(message).encode() + b"\n")
        while view:
            if self.deadline is not None:
                self._wait([], [self.writer])
            try:
                view = view[os.write(self.writer, view[:4096]) :]
            except OSError as error:
                raise Gone from error

    def receive(self):
        while b"\n" not in self._held:
            if self.deadline is not None:
                self._wait([self.reader], [])
            part = os.read(self.reader, 1 << 16)
            if not part or len(self._held) > _LONGEST:
                raise Gone
            self._held += part
        line, _, self._held = self._held.partition(b"\n")
        return json.loads(line)

    def _wait(self, readers, writers):
        left = self.deadline - time.monotonic()
        if left <= 0 or not any(select.select(readers, writers, [], left)):
            raise Late
