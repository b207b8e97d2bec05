"""Many numbers at once in a Trial or a Measures: one array, as lists would cost more than what is done with them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, PlainValidator, RootModel, SerializationInfo, model_serializer

from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

PACKED = {"packed": True}  # context of a dump that only the engine reads
_KEYS = {"float64", "shape"}


def _array(given: Any) -> np.ndarray:
    if isinstance(given, Numbers):
        return np.asarray(given)
    if packed(given):
        return np.frombuffer(base64.b64decode(given["float64"]), dtype="<f8").reshape(given["shape"])
    try:
        array = np.array(given, dtype=float)
    except (TypeError, ValueError):
        array = np.zeros(())
    if array.ndim not in (1, 2):
        raise ValueError(f"expected numbers, in one list or in lists of one length, got {str(given)[:80]}")
    if np.isinf(array).any():
        raise ValueError("expected finite numbers, None or NaN for what failed, got infinity")
    array.flags.writeable = False
    return array


def packed(data: Any) -> bool:
    """Whether this is what ``Numbers`` become in a dump with the context PACKED."""
    return isinstance(data, dict) and data.keys() == _KEYS


def without_numpy(value: Any, *, floats: bool = True) -> Any:
    """The same with numpy's numbers and arrays as plain ones and lists; arrays of floats only where ``floats``."""
    kind = type(value)
    if kind is int or kind is float or kind is str or value is None or kind is Numbers:
        return value
    if isinstance(value, list | tuple):
        return [without_numpy(v, floats=True) for v in value]
    if isinstance(value, dict):
        return {k: without_numpy(v, floats=True) for k, v in value.items()}
    if not hasattr(value, "dtype") or (value.dtype.kind == "f" and value.ndim and not floats):
        return value
    return value.tolist()


class Numbers(RootModel[Any]):
    """[n] or [n, d] floats that nobody changes, NaN or None for what failed; a copy of the array or lists they are made of.

    ``numpy.asarray(numbers)`` copies nothing. ``tolist()`` is the JSON form; in an effect's record it is the bytes, bit for bit.
    """

    model_config = ConfigDict(frozen=True)

    root: Annotated[Any, PlainValidator(_array)]

    def tolist(self) -> list[Any]:
        """As lists, with None for what failed."""
        failed = np.isnan(self.root)
        plain: np.ndarray = self.root
        if failed.any():
            plain = plain.astype(object)
            plain[failed] = None
        told: list[Any] = plain.tolist()
        return told

    @model_serializer(mode="plain")
    def _told(self, info: SerializationInfo) -> Any:
        if not (info.context or {}).get("packed"):
            return self.tolist()
        raw = np.ascontiguousarray(self.root, dtype="<f8").tobytes()
        return {"float64": base64.b64encode(raw).decode(), "shape": list(self.root.shape)}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.root, dtype=dtype) if copy else np.asarray(self.root, dtype=dtype)

    def __len__(self) -> int:
        return len(self.root)

    def __getitem__(self, index: Any) -> Any:
        return self.root[index]

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter(self.root)

    def __eq__(self, other: object) -> bool:
        """Lists of the same numbers are equal, too: what was a Numbers comes back from JSON as lists."""
        try:
            return np.array_equal(self.root, np.asarray(other, dtype=float), equal_nan=True)
        except (TypeError, ValueError):
            return False

    __hash__ = None  # type: ignore[assignment]
