"""One table of a task file, read field by field, so that each mistake can say where it is and what to type instead."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from loopwright.core.errors import TaskError

_REQUIRED: Any = object()
_NAMES = {
    str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "a table",
    type(None): "null",
}  # fmt: skip


def shown(value: object) -> str:
    """A value as an error may quote it: short, and in one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def kind_of(value: object) -> str:
    """The type of a value from TOML or JSON, in words."""
    return _NAMES.get(type(value), f"a {type(value).__name__}")


def near(name: str, known: Collection[str]) -> str:
    """What to type instead of an unknown name."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"


def not_plain(value: object, path: str = "") -> str:
    """Why a value cannot be kept as JSON text (non-finite number, lone surrogate, date, ...), or ""."""
    at = f"{path}: " if path else ""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(value[error.start]):04x}"
            return f"{at}holds a lone surrogate ({half}), which is half a character; remove it"
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{at}expected a finite number, got {value}"
    if value is None or isinstance(value, bool | int):
        return ""
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
        if any(not isinstance(key, str) for key in value):
            return f"{at}expected text as keys, got {shown(next(k for k in value if not isinstance(k, str)))}"
    elif isinstance(value, list | tuple):
        items = ((f"[{i}]", v) for i, v in enumerate(value))
    else:
        return f"{at}expected text, numbers, true, false, lists and tables, got {kind_of(value)}: {shown(value)}"
    for key, part in items:
        here = f"{path}.{key}" if path and not key.startswith("[") else f"{path}{key}"
        if problem := not_plain(key) or not_plain(part, here):
            return problem
    return ""


class Section:
    """The fields of one table. Reading them one by one marks them as known; ``close`` refuses the rest.

    place: from a field's name ("" for the table itself) to where it stands, such as ``task.toml:12``.
    """

    def __init__(self, name: str, data: Mapping[str, Any], place: Callable[[str], str]) -> None:
        self.name = name
        self.data = data
        self._place = place
        self._known: set[str] = set()

    def fail(self, field: str, problem: str) -> TaskError:
        """The error to raise."""
        label = f"{self.name} {field}".strip()
        return TaskError(self._place(field), f"{label}: {problem}" if label else problem)

    def has(self, field: str) -> bool:
        self._known.add(field)
        return field in self.data

    def _get(self, field: str, default: Any, types: tuple[type, ...], expected: str, hint: str) -> Any:
        if not self.has(field):
            if default is _REQUIRED:
                mistyped = difflib.get_close_matches(field, [f for f in self.data if f not in self._known], n=1, cutoff=0.6)
                todo = f"Rename {mistyped[0]}" if mistyped else f"Add {hint or f'{field} = ...'}"
                raise self.fail(field, f"missing; expected {expected}. {todo}")
            return default
        value = self.data[field]
        # bool is an int to Python, but ``count = true`` is a mistake.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            tail = f"; write {hint}" if hint else ""
            raise self.fail(field, f"expected {expected}, got {kind_of(value)} {shown(value)}{tail}")
        if problem := not_plain(value):
            raise self.fail(field, problem)
        return value

    def text(self, field: str, default: Any = _REQUIRED, *, hint: str = "") -> Any:
        return self._get(field, default, (str,), "text in quotes", hint)

    def flag(self, field: str, default: Any = _REQUIRED) -> Any:
        return self._get(field, default, (bool,), "true or false", "")

    def whole(self, field: str, default: Any = _REQUIRED, *, low: int = 0, hint: str = "") -> Any:
        value = self._get(field, default, (int,), f"a whole number of at least {low}", hint)
        if value is not None and value < low:
            raise self.fail(field, f"expected a whole number of at least {low}, got {value}")
        return value

    def number(
        self,
        field: str,
        default: Any = _REQUIRED,
        *,
        low: float = -math.inf,
        high: float = math.inf,
        above: bool = False,
    ) -> Any:
        """A finite number from ``low`` (with ``above``: from just above it) to ``high``."""
        bounds = f" {'above' if above else 'of at least'} {low:g}" if low > -math.inf else ""
        bounds += f"{' and' if bounds else ''} at most {high:g}" if high < math.inf else ""
        value = self._get(field, default, (int, float), f"a number{bounds}", "")
        if value is not None and not ((low < value if above else low <= value) and value <= high):
            raise self.fail(field, f"expected a number{bounds}, got {value}")
        return value

    def table(self, field: str, default: Any = _REQUIRED, *, hint: str = "") -> Any:
        return self._get(field, default, (dict,), "a table", hint)

    def texts(self, field: str, default: Any = _REQUIRED) -> Any:
        value = self._get(field, default, (list,), 'a list of texts such as ["a", "b"]', "")
        if value is not None and not all(isinstance(v, str) for v in value):
            raise self.fail(field, f'expected a list of texts such as ["a", "b"], got {shown(value)}')
        return value

    def choice(self, field: str, known: Collection[str], default: Any = _REQUIRED) -> Any:
        value = self.text(field, default)
        if value not in known:
            raise self.fail(field, f"expected one of {', '.join(sorted(known))}, got {value!r}; {near(value, known)}")
        return value

    def close(self) -> None:
        """Refuse fields that nothing has read."""
        for field in self.data:
            if field not in self._known:
                raise self.fail(field, f"unknown field; {near(field, self._known)}")
