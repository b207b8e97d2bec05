"""A learner's state and what it is shown as strict JSON data, and the one check that all its numbers are finite."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from loopwright.core.arrays import Numbers
from loopwright.core.errors import InputError
from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

FORMAT = 2  # of the states that encode_state writes; 1 is what was written before snapshots told their format


def encode_state(state: Any) -> JsonValue:
    """State as strict JSON data, arrays and numbers bit for bit. Raises TypeError for what it cannot hold."""
    if isinstance(state, np.ndarray | np.generic):
        array = np.asarray(state)
        if array.dtype.hasobject:
            raise TypeError("a learner's arrays hold numbers, not Python objects")
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        kind = "array" if isinstance(state, np.ndarray) else "scalar"
        return {kind: data, "dtype": array.dtype.str, "shape": list(array.shape)}
    if isinstance(state, tuple):
        fields = getattr(state, "_fields", None)
        return {"tuple" if fields is None else "state": [encode_state(v) for v in state]}
    if isinstance(state, list):
        return [encode_state(v) for v in state]
    if isinstance(state, dict) and all(isinstance(k, str) for k in state):
        return {"dict": {k: encode_state(v) for k, v in state.items()}}
    if isinstance(state, float) and not math.isfinite(state):
        return {"float": repr(state)}
    if state is None or isinstance(state, bool | int | float | str):
        return state
    raise TypeError(
        "a learner's state holds numbers, strings, arrays, lists, tuples and dicts with text as keys, "
        f"got {type(state).__name__}"
    )


def decode_state(data: Any, like: Any, format: int = FORMAT) -> Any:
    """The inverse of encode_state; ``like`` is a state of the same learner (for the types of its NamedTuples).

    format: of the snapshot. A NamedTuple whose fields have changed since an earlier format has a class method ``of_format``
    (values, format), which makes the present one of what was written then.
    """
    if isinstance(data, list):
        return [decode_state(v, _sample(like, i), format) for i, v in enumerate(data)]
    if not isinstance(data, dict):
        return data
    if "array" in data or "scalar" in data:
        raw = np.frombuffer(base64.b64decode(data.get("array") or data.get("scalar", "")), dtype=data["dtype"])
        array = raw.reshape(data["shape"]).copy()
        return array if "array" in data else array[()]
    if "float" in data:
        return float(data["float"])
    if "dict" in data:
        samples = like if isinstance(like, dict) else {}
        return {k: decode_state(v, samples.get(k), format) for k, v in data["dict"].items()}
    values: list[Any] = data["tuple"] if "tuple" in data else data["state"]
    made = [decode_state(v, _sample(like, i), format) for i, v in enumerate(values)]
    if format < FORMAT and hasattr(like, "of_format"):
        return like.of_format(made, format)
    if "tuple" in data:
        return tuple(made)
    if not hasattr(like, "_fields"):
        raise TypeError("a NamedTuple inside a learner's state must be there from init on, so that its type is known")
    return type(like)(*made)


def _sample(like: Any, index: int) -> Any:
    """What stands at this place in ``like``; in a list or tuple that has grown, what stands first."""
    if isinstance(like, list | tuple) and like:
        return like[index] if index < len(like) else like[0]
    return None


def finite(array: np.ndarray) -> bool:
    """Whether every number of an array is finite."""
    if array.dtype.kind not in "fc":
        return True
    # Quicker than to look at each; a sum of squares may also overflow.
    return math.isfinite(abs(np.vdot(array, array))) or bool(np.isfinite(array).all())


def not_finite(state: Any, before: Any = None) -> str:
    """Where the state holds a number that is not finite, such as "model.weights"; empty where all are. What it shares with
    ``before``, a state that was checked, is not looked at again.
    """
    found = _not_finite(state, before)
    return "" if found is None else found.lstrip(".") or "the state itself"


def _not_finite(state: Any, before: Any) -> str | None:
    """The way to the number, made on the way back, since there is none but once in a session's life."""
    if state is before:
        return None
    if isinstance(state, np.ndarray):
        return None if finite(state) else ""
    if isinstance(state, tuple | list):
        alike = isinstance(before, tuple | list) and len(before) == len(state)
        for i, value in enumerate(state):
            way = _not_finite(value, before[i] if alike else None)
            if way is not None:
                fields = getattr(state, "_fields", None)
                return f".{fields[i]}{way}" if fields else f"[{i}]{way}"
    elif isinstance(state, dict):
        known = before if isinstance(before, dict) else {}
        for key, value in state.items():
            way = _not_finite(value, known.get(key))
            if way is not None:
                return f"[{key!r}]{way}"
    elif isinstance(state, float | np.floating) and not math.isfinite(state):
        return ""
    return None


def plain(value: Any, what: str = "a context") -> Any:
    """As JSON data: numpy's arrays and numbers become lists and numbers, tuples lists.

    Raises InputError, which names the place, for what JSON cannot hold: other objects, keys that are no text, NaN and infinity.
    """
    kind = type(value)
    if kind is np.ndarray:
        return _listed(value, what)
    if kind is float:
        if math.isfinite(value):
            return value
        raise InputError(f"{what} is {value}; expected finite numbers, or None for what is not known")
    if value is None or kind is int or kind is str or kind is bool:
        return value
    if isinstance(value, np.ndarray | np.generic):
        return _listed(value, what)
    if isinstance(value, Mapping):
        odd = next((k for k in value if not isinstance(k, str)), None)
        if odd is not None:
            raise InputError(f"{what} has the key {odd!r}, a {type(odd).__name__}; expected JSON data, whose keys are text")
        return {str(k): plain(v, f"{what}[{k!r}]") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v, f"{what}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, Numbers):
        return value.tolist()
    if isinstance(value, bool | int | float | str):  # a subclass, such as an enumeration of texts
        base = next(c for c in (bool, int, float, str) if isinstance(value, c))
        return plain(base(value), what)
    raise InputError(f"{what} is a {kind.__name__}; expected JSON data: numbers, text, lists, dicts with text as keys, or None")


def _listed(value: Any, what: str) -> Any:
    if value.dtype.kind not in "fiubU":
        raise InputError(f"{what} is an array of {value.dtype}; expected numbers or text")
    if not finite(np.asarray(value)):
        raise InputError(f"{what} holds a number that is not finite; expected finite numbers, or None for what is not known")
    return value.tolist()
