"""Test examples that are out of the process while methods run: checked, counted, put away, read again at the end."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any, overload

from loopwright.core.errors import HiddenFromRecipes
from loopwright.core.types import Example


class HeldOut(Sequence[Example]):
    """Examples of a split that can be put away: then the process holds how many they are, and none of them.

    They lie in a file without a name, which is gone with the process, so that nothing that changes in the task's folder
    meanwhile changes what is proved.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples: tuple[Example, ...] | None = tuple(examples)
        self._size = len(self._examples)
        self._file: IO[bytes] | None = None

    @property
    def away(self) -> bool:
        """Whether they are put away."""
        return self._examples is None

    def put_away(self) -> None:
        """Let go of the examples. Raises OSError where there is no room for them on the disk."""
        if self._examples is None:
            return
        file = tempfile.TemporaryFile()  # noqa: SIM115
        pickle.dump([example.model_dump() for example in self._examples], file)
        file.flush()
        self._file, self._examples = file, None

    def bring_back(self) -> None:
        """Read them again."""
        if self._file is None:
            return
        self._file.seek(0)
        self._examples = tuple(Example.model_validate(data) for data in pickle.load(self._file))
        self._file.close()
        self._file = None

    def _there(self) -> tuple[Example, ...]:
        if self._examples is None:
            raise HiddenFromRecipes("the test examples are put away until every method has ended; nothing looks at them before")
        return self._examples

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Example]:
        return iter(self._there())

    @overload
    def __getitem__(self, at: int) -> Example: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Example, ...]: ...
    def __getitem__(self, at: int | slice) -> Example | tuple[Example, ...]:
        return self._there()[at]

    def __repr__(self) -> str:
        return f"HeldOut({self._size} examples{', put away' if self.away else ''})"


def held_out(*worlds: Any) -> list[HeldOut]:
    """The test splits of these worlds that can be put away."""
    found = (world.examples("test") for world in worlds)
    return [split for split in found if isinstance(split, HeldOut)]
