# mypy: ignore-errors
"""Plain data and object handles between the judge and the program, both inside one sandbox. Read as text, not imported.

Values cross by copy and arrive as exact built-in or standard types, so an object that calls itself equal to everything
cannot cross as data: it crosses as a handle. Not pickle or marshal: the judge reads what an untrusted program wrote.

In JSON, None, bool, str, small int, finite float and list stand for themselves; all else is {mark: body}.
"""

import builtins
import json
import os
import select
import time

_SMALL = 1 << 62
_DEEPEST = 100
_LONGEST = 16 << 20


def pack(value, side):
    """``value`` as JSON. ``side.export(object)`` packs what is no plain data. Subclasses lose their class."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if (kind is int and -_SMALL < value < _SMALL) or (kind is float and value - value == 0):
        return value
    if kind is list:
        return [pack(item, side) for item in value]
    if not hasattr(kind, "__members__"):  # of an enumeration
        for cls in kind.__mro__:
            write = _WRITERS.get(f"{cls.__module__}.{cls.__qualname__}")
            if write is not None:
                return write(value, side)
    return side.export(value)


def unpack(data, side, depth=0):
    """The value of ``pack``'s JSON; ``side.resolve(body)`` gives what stands for an object of the other side."""
    kind = type(data)
    if kind is float and data != data:
        side.saw_nan()
    if kind is not list and kind is not dict:
        return data
    if depth > _DEEPEST:
        raise ValueError(f"containers in containers, more than {_DEEPEST} deep")
    if kind is list:
        return [unpack(item, side, depth + 1) for item in data]
    ((mark, body),) = data.items()
    if mark == "o":
        return side.resolve(body)
    read = lambda item: unpack(item, side, depth + 1)  # noqa: E731
    if mark == "n":
        return _read_named(body, read, side)
    value = _READERS[mark](body, read)
    return side.saw_type(value) if mark == "y" else value


def _whole(value, side):
    value = int.__index__(value)
    return value if -_SMALL < value < _SMALL else {"i": hex(value)}


def _float(value, side):
    value = float.__float__(value)
    return value if value - value == 0 else {"f": float.__repr__(value)}


def _tuple(value, side):
    items = [pack(item, side) for item in tuple.__iter__(value)]
    fields = getattr(type(value), "_fields", None)
    if isinstance(fields, tuple) and len(fields) == len(items):
        return {"n": [type(value).__name__, list(fields), items]}
    return {"t": items}


def _items(mark, iterate):
    return lambda value, side: {mark: [pack(item, side) for item in iterate(value)]}


def _pairs(mark):
    return lambda value, side: {mark: [[pack(key, side), pack(item, side)] for key, item in dict.items(value)]}


def _default(value, side):
    made = value.default_factory
    named = isinstance(made, type) and getattr(builtins, made.__name__, None) is made
    return {"D": [made.__name__ if named else None, *_pairs("d")(value, side)["d"]]}


def _type(value, side):
    if getattr(builtins, type.__getattribute__(value, "__name__"), None) is value:
        return {"y": value.__name__}
    return side.export(value)


def _array(value, side):
    if value.dtype.kind in "biufcU":
        return {"a": [value.dtype.str, list(value.shape), pack(value.ravel().tolist(), side)]}
    return pack(value.tolist(), side)


def _view(which):
    return lambda value, side: {"k": [which, [pack(item, side) for item in value]]}


_WRITERS = {
    "builtins.int": _whole,
    "builtins.float": _float,
    "builtins.str": lambda value, side: str.__str__(value),
    "builtins.complex": lambda value, side: {"c": [_float(value.real, side), _float(value.imag, side)]},
    "builtins.bytes": lambda value, side: {"b": bytes.hex(value)},
    "builtins.bytearray": lambda value, side: {"B": bytearray.hex(value)},
    "builtins.tuple": _tuple,
    "builtins.list": lambda value, side: [pack(item, side) for item in list.__iter__(value)],
    "builtins.set": _items("s", set.__iter__),
    "builtins.frozenset": _items("z", frozenset.__iter__),
    "builtins.dict": _pairs("d"),
    "builtins.dict_keys": _view("keys"),
    "builtins.dict_values": _view("values"),
    "builtins.dict_items": _view("items"),
    "builtins.range": lambda value, side: {"r": [_whole(n, side) for n in (value.start, value.stop, value.step)]},
    "builtins.slice": lambda value, side: {"l": [pack(n, side) for n in (value.start, value.stop, value.step)]},
    "builtins.type": _type,
    "collections.Counter": _pairs("C"),
    "collections.OrderedDict": _pairs("O"),
    "collections.defaultdict": _default,
    "collections.deque": lambda value, side: {"q": [value.maxlen, [pack(item, side) for item in value]]},
    "decimal.Decimal": lambda value, side: {"m": str(value)},
    "fractions.Fraction": lambda value, side: {"F": [_whole(value.numerator, side), _whole(value.denominator, side)]},
    "datetime.datetime": lambda value, side: {"w": ["datetime", value.isoformat(), value.fold]},
    "datetime.date": lambda value, side: {"w": ["date", value.isoformat(), 0]},
    "datetime.time": lambda value, side: {"w": ["time", value.isoformat(), value.fold]},
    "datetime.timedelta": lambda value, side: {"W": [value.days, value.seconds, value.microseconds]},
    "numpy.ndarray": _array,
    "numpy.generic": lambda value, side: pack(value.item(), side),
}


_named = {}


def _read_named(body, read, side):
    name, fields, items = body
    cls = _named.get((name, *fields))
    if cls is None:
        import collections

        cls = _named[(name, *fields)] = collections.namedtuple(name, fields)
    items = [read(item) for item in items]
    side.saw_fields(fields, items)
    return cls._make(items)


def _read_pairs(make):
    return lambda body, read: make({read(key): read(item) for key, item in body})


def _read_collection(name):
    def make(pairs):
        import collections

        return getattr(collections, name)(pairs)

    return _read_pairs(make)


def _read_default(body, read):
    import collections

    made = getattr(builtins, body[0]) if body[0] is not None else None
    if made is not None and not isinstance(made, type):
        raise ValueError("no type")
    return collections.defaultdict(made, ((read(key), read(item)) for key, item in body[1:]))


def _read_deque(body, read):
    import collections

    return collections.deque(map(read, body[1]), body[0])


def _read_view(body, read):
    items = [read(item) for item in body[1]]
    if body[0] == "keys":
        return dict.fromkeys(items).keys()
    return dict(items).items() if body[0] == "items" else dict(enumerate(items)).values()


def _read_type(body, read):
    found = getattr(builtins, body)
    if not isinstance(found, type):
        raise ValueError("no type")
    return found


def _read_decimal(body, read):
    import decimal

    value = decimal.Decimal(body)
    if value.is_nan():
        read(float("nan"))
    return value


def _read_fraction(body, read):
    import fractions

    return fractions.Fraction(*map(read, body))


def _read_date(body, read):
    import datetime

    kind = {"datetime": datetime.datetime, "date": datetime.date, "time": datetime.time}[body[0]]
    return kind.fromisoformat(body[1]).replace(**({"fold": 1} if body[2] == 1 else {}))


def _read_delta(body, read):
    import datetime

    return datetime.timedelta(*map(read, body))


def _read_array(body, read):
    kind, shape, items = body[0], body[1], read(body[2])
    try:
        import numpy
    except ImportError:
        for length in reversed(shape[1:]):
            items = [items[at : at + length] for at in range(0, len(items), length)]
        return items if shape else items[0]
    if numpy.dtype(kind).kind not in "biufcU":
        raise ValueError("an array of something else than numbers or text")
    return numpy.array(items, dtype=kind).reshape(shape)


_READERS = {
    "i": lambda body, read: int(body, 16),
    "f": lambda body, read: read(float(body)),
    "c": lambda body, read: complex(*map(read, body)),
    "b": lambda body, read: bytes.fromhex(body),
    "B": lambda body, read: bytearray.fromhex(body),
    "t": lambda body, read: tuple(map(read, body)),
    "s": lambda body, read: set(map(read, body)),
    "z": lambda body, read: frozenset(map(read, body)),
    "d": _read_pairs(dict),
    "C": _read_collection("Counter"),
    "O": _read_collection("OrderedDict"),
    "D": _read_default,
    "q": _read_deque,
    "k": _read_view,
    "r": lambda body, read: range(*map(read, body)),
    "l": lambda body, read: slice(*map(read, body)),
    "y": _read_type,
    "m": _read_decimal,
    "F": _read_fraction,
    "w": _read_date,
    "W": _read_delta,
    "a": _read_array,
}


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
                raise Gone("the program ended its process") from error

    def receive(self):
        parts, size = [self._held], len(self._held)
        while b"\n" not in parts[-1]:
            if self.deadline is not None:
                self._wait([self.reader], [])
            part = os.read(self.reader, 1 << 16)
            size += len(part)
            if not part:
                raise Gone("the program ended its process")
            if size > _LONGEST:
                raise Gone(f"the program answered with more than {_LONGEST >> 20} MiB")
            parts.append(part)
        line, _, self._held = b"".join(parts).partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if type(message) is not dict:
            raise Gone("the program's answer could not be read")
        return message

    def _wait(self, readers, writers):
        left = self.deadline - time.monotonic()
        if left <= 0 or not any(select.select(readers, writers, [], left)):
            raise Late
