"""Values: what a program computes with while its trace is recorded."""

from __future__ import annotations

import copy
import functools
import inspect
import operator
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopwright.core.errors import BadOutput, InputError, LoopwrightError

if TYPE_CHECKING:
    from loopwright.trainable.tape import Tape

ACTIVE: ContextVar[Tape | None] = ContextVar("tape", default=None)
_HERE = Path(__file__).resolve().parent
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_FRAMES = 6
_CHANGING: dict[type, tuple[str, ...]] = {  # methods that change what they are called on
    list: ("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"),
    dict: ("update", "pop", "popitem", "setdefault", "clear"),
    set: ("add", "update", "remove", "discard", "pop", "clear", "difference_update", "intersection_update",
          "symmetric_difference_update"),
}  # fmt: skip
# What C code says that wants the very type, such as json.loads, re.search or ",".join, when it is handed a Value.
_TYPE = "(?:Mapping|Sequence)?Value"
_HANDED = re.compile(
    rf"not {_TYPE}\b|['\"]{_TYPE}['\"]|\b{_TYPE} found|input_type={_TYPE}\b|\bof type {_TYPE}\b|is not JSON serializable"
)
_HINT = (
    "a traced value went to code that takes plain data alone: write str(x), int(x), float(x) or x.data in its place, or mark "
    "the function that does it with @operation, which is given plain data"
)


class Value:
    """One value of a run. Operators, methods and items of it are Values too; ``data`` is the plain value.

    Comparisons give Values; ``if value > 3`` reads the result. As a key, in a set and under ``isinstance`` it is what its
    data is, which reads it. What C code takes by its very type (``json.loads``, ``re.search``, ``",".join``) it is not:
    there the error says to write ``str(value)``.
    """

    __slots__ = ("_data", "_node", "_tape")

    def __new__(cls, data: Any, node: str, tape: Tape) -> Value:
        # ``match`` asks the type, not the object, whether it is a mapping or a sequence.
        kind = MappingValue if isinstance(data, Mapping) else SequenceValue if isinstance(data, list | tuple) else Value
        return object.__new__(kind)

    def __init__(self, data: Any, node: str, tape: Tape) -> None:
        self._data, self._node, self._tape = data, node, tape

    @property
    def data(self) -> Any:
        self._tape.read(self._node)
        return self._data

    # ---- read in plain Python -------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return str(self.data)

    def __repr__(self) -> str:  # for people at a prompt; not a reading
        return f"Value({self._data!r}, {self._node})"

    def __format__(self, spec: str) -> str:
        return format(self.data, spec)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __int__(self) -> int:
        return int(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __index__(self) -> int:
        return operator.index(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __contains__(self, item: Any) -> bool:
        return plain(item) in self.data

    def __hash__(self) -> int:
        return hash(self.data)  # as its data, or it is not found among plain keys; what was read is behind the next operation

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.data)

    # ---- recorded -------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Value]:
        if isinstance(self.data, Mapping):
            return iter([apply(self, "key", lambda x, y: y, key) for key in self._data])
        if isinstance(self._data, str | Sequence):
            return iter([self[i] for i in range(len(self._data))])
        # Sets, views and iterators have no items by number. The order of a set differs from process to process.
        items = sorted(self._data, key=show) if isinstance(self._data, set | frozenset) else list(self._data)
        return iter([apply(self, "item", lambda x, y: items[y], i) for i in range(len(items))])

    def __getitem__(self, key: Any) -> Value:
        return apply(self, "item", operator.getitem, key)

    def __setitem__(self, key: Any, item: Any) -> None:
        self._node = apply(self, "set item", _with_item, key, item)._node  # what it is now came of the item too

    def __delitem__(self, key: Any) -> None:
        self._node = apply(self, "delete item", _without_item, key)._node

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self._data, name, None)
        if callable(found):
            return functools.partial(_method, self, name)
        return apply(self, f"attribute {name}", lambda x: getattr(x, name))

    def __add__(self, other: Any) -> Value:
        return apply(self, "add", operator.add, other)

    def __radd__(self, other: Any) -> Value:
        return apply(self, "add", operator.add, other, turned=True)

    def __sub__(self, other: Any) -> Value:
        return apply(self, "subtract", operator.sub, other)

    def __rsub__(self, other: Any) -> Value:
        return apply(self, "subtract", operator.sub, other, turned=True)

    def __mul__(self, other: Any) -> Value:
        return apply(self, "multiply", operator.mul, other)

    def __rmul__(self, other: Any) -> Value:
        return apply(self, "multiply", operator.mul, other, turned=True)

    def __truediv__(self, other: Any) -> Value:
        return apply(self, "divide", operator.truediv, other)

    def __rtruediv__(self, other: Any) -> Value:
        return apply(self, "divide", operator.truediv, other, turned=True)

    def __floordiv__(self, other: Any) -> Value:
        return apply(self, "floor divide", operator.floordiv, other)

    def __rfloordiv__(self, other: Any) -> Value:
        return apply(self, "floor divide", operator.floordiv, other, turned=True)

    def __mod__(self, other: Any) -> Value:
        return apply(self, "remainder", operator.mod, other)

    def __rmod__(self, other: Any) -> Value:
        return apply(self, "remainder", operator.mod, other, turned=True)

    def __pow__(self, other: Any) -> Value:
        return apply(self, "power", operator.pow, other)

    def __rpow__(self, other: Any) -> Value:
        return apply(self, "power", operator.pow, other, turned=True)

    def __and__(self, other: Any) -> Value:
        return apply(self, "and", operator.and_, other)

    def __rand__(self, other: Any) -> Value:
        return apply(self, "and", operator.and_, other, turned=True)

    def __or__(self, other: Any) -> Value:
        return apply(self, "or", operator.or_, other)

    def __ror__(self, other: Any) -> Value:
        return apply(self, "or", operator.or_, other, turned=True)

    def __xor__(self, other: Any) -> Value:
        return apply(self, "exclusive or", operator.xor, other)

    def __rxor__(self, other: Any) -> Value:
        return apply(self, "exclusive or", operator.xor, other, turned=True)

    def __invert__(self) -> Value:
        return apply(self, "invert", operator.invert)

    def __pos__(self) -> Value:
        return apply(self, "positive", operator.pos)

    def __neg__(self) -> Value:
        return apply(self, "negate", operator.neg)

    def __abs__(self) -> Value:
        return apply(self, "absolute", operator.abs)

    def __round__(self, digits: Any = None) -> Value:
        return apply(self, "round", round, digits)

    def __eq__(self, other: Any) -> Value:  # type: ignore[override]
        return apply(self, "equal", operator.eq, other)

    def __ne__(self, other: Any) -> Value:  # type: ignore[override]
        return apply(self, "unequal", operator.ne, other)

    def __lt__(self, other: Any) -> Value:
        return apply(self, "less", operator.lt, other)

    def __le__(self, other: Any) -> Value:
        return apply(self, "at most", operator.le, other)

    def __gt__(self, other: Any) -> Value:
        return apply(self, "greater", operator.gt, other)

    def __ge__(self, other: Any) -> Value:
        return apply(self, "at least", operator.ge, other)


@Mapping.register
class MappingValue(Value):
    """A Value that ``match`` takes as a mapping."""

    __slots__ = ()

    def get(self, key: Any, default: Any = None) -> Any:
        # ``match`` asks with a mark of its own for what is not there, and looks whether it gets that very object back.
        if type(default) is object and plain(key) not in self.data:
            return default
        return _method(self, "get", key, default)


@Sequence.register
class SequenceValue(Value):
    """A Value that ``match`` takes as a sequence."""

    __slots__ = ()


def apply(value: Value, name: str, function: Callable[..., Any], *more: Any, turned: bool = False) -> Value:
    """An operator as an operation; ``turned`` where the value stands on its right."""
    both = (*more, value) if turned else (value, *more)
    made: Value = value._tape.call(name, function, dict(zip("xyz", both, strict=False)), positional=True)
    return made


def _with_item(data: Any, key: Any, item: Any) -> Any:
    data[key] = item
    return data


def _without_item(data: Any, key: Any) -> Any:
    del data[key]
    return data


def _method(value: Value, name: str, *args: Any, **kwargs: Any) -> Value | None:
    given = {"self": value, **{f"a{i}": a for i, a in enumerate(args, 1)}, **kwargs}
    changes = name in _CHANGING.get(type(value._data), ())
    nothing = False

    def call(**plainly: Any) -> Any:
        nonlocal nothing
        own = plainly.pop("self")
        found = getattr(own, name)(*[plainly.pop(f"a{i}") for i in range(1, len(args) + 1)], **plainly)
        nothing = changes and found is None
        return own if nothing else found

    made: Value = value._tape.call(name, call, given)
    if changes:
        value._node = made._node  # changed in place: what it is now came of the arguments too
    return None if nothing else made


def plain(value: Any) -> Any:
    """The value without its trace, also inside lists, tuples, sets and dicts. Raises InputError for one that holds itself."""
    return _plain(value, lambda v: v.data, ())


def unwrap(value: Any, note: Callable[[Value], None]) -> Any:
    """As ``plain``; ``note`` is told of each Value, which does not count as read."""

    def take(found: Value) -> Any:
        note(found)
        return found._data

    return _plain(value, take, ())


def _plain(value: Any, take: Callable[[Value], Any], inside: tuple[int, ...]) -> Any:
    if isinstance(value, Value):
        return take(value)
    if isinstance(value, set | frozenset):  # it cannot hold itself; its order differs from process to process
        mixed = any(isinstance(item, Value) for item in value)
        return type(value)([_plain(item, take, inside) for item in sorted(value, key=_shown)]) if mixed else value
    if not isinstance(value, list | tuple | dict):
        return value
    if id(value) in inside:
        raise InputError("cyclic trace: a list or dict that holds itself went into an operation; hand over what it is made of")
    inside = (*inside, id(value))
    if isinstance(value, dict):
        pairs = {_plain(k, take, inside): _plain(v, take, inside) for k, v in value.items()}
        return pairs if type(value) is dict else _filled(copy.copy(value), pairs)
    items = [_plain(item, take, inside) for item in value]
    if type(value) in (list, tuple):
        return type(value)(items)
    if all(new is old for new, old in zip(items, value, strict=True)):
        return value
    # Of a named tuple another one; of a class that may be made in any way what it is at heart.
    return type(value)(*items) if hasattr(value, "_fields") else list(items) if isinstance(value, list) else tuple(items)


def _filled(own: dict[Any, Any], pairs: dict[Any, Any]) -> dict[Any, Any]:
    """A Counter, a defaultdict, ... with these pairs in it."""
    own.clear()
    for key, value in pairs.items():
        own[key] = value
    return own


def _shown(item: Any) -> str:
    return show(item._data if isinstance(item, Value) else item)


def operation(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose calls are nodes of the trace; it is given plain values. ``async def`` is awaited as it is.

    What it says of itself, the first line of its docstring, is shown to optimisers. It must give the same for the same
    arguments; what does not goes through ``Tape.effect``. Outside a program's run it is the function as it was.
    """
    signature = inspect.signature(function)
    about = (inspect.getdoc(function) or "").split("\n", 1)[0]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        tape = ACTIVE.get()
        if tape is None:
            return function(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        arguments = dict(bound.arguments)

        def again(**plainly: Any) -> Any:
            bound.arguments.update(plainly)
            return function(*bound.args, **bound.kwargs)

        return tape.call(function.__name__, again, arguments, about=about)

    return call


def show(value: Any) -> str:
    """A value as text that is the same in every process: no addresses, sets in order."""
    if isinstance(value, str):
        return value
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(show, value))) + "}"
    return _ADDRESS.sub("", repr(value))


def stack(error: BaseException) -> str:
    """The stack trace of an error in the program's own lines, latest call last; files by name alone."""
    own = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.resolve().parent != _HERE:
            own.append(f"{path.name}, line {frame.lineno}, in {frame.name}: {frame.line or ''}".rstrip(": "))
    told = getattr(error, "told", "")
    return "\n".join([*own[-_FRAMES:], *([told] if told else []), describe(error)])


def describe(error: BaseException) -> str:
    """An error in one line or more; where a Value went to code that takes plain data alone, with what to write instead."""
    text = f"{type(error).__name__}: {error}"
    return f"{text}; {_HINT}" if isinstance(error, TypeError | ValueError) and _HANDED.search(str(error)) else text


def ours(error: BaseException) -> bool:
    """Whether an error is the engine's business rather than the program's: it ends or pauses the run."""
    return isinstance(error, LoopwrightError) and not isinstance(error, BadOutput)
