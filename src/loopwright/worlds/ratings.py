"""Ratings of items by users, read from a table and checked; MovieLens-100k is fetched on first use."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.packaged import Packaged, fetch, say

# The terms are those of the data's own README. The ratings are not part of Loopwright and must not become so.
TERMS = (
    "MovieLens-100k (GroupLens, University of Minnesota) is for research: no redistribution and no commercial use without "
    "their permission; cite Harper and Konstan, ACM TiiS 5(4), 2015, doi:10.1145/2827872."
)
MOVIELENS = Packaged(
    "recbole==1.2.1",
    {"recbole/dataset_example/ml-100k/ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"},
    "MovieLens-100k, 2 MB,",
    "movielens-100k",
)


@dataclass(frozen=True)
class Ratings:
    """Rating r was given by user ``users[r]`` to item ``items[r]``; both are numbered in the order of their names.

    times: when, in whatever unit; empty where the table does not say.
    """

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray
    user_names: tuple[str, ...]
    item_names: tuple[str, ...]
    times: np.ndarray

    def matrix(self, least: float) -> np.ndarray:
        """[users, items] whether there is a rating of at least ``least``."""
        has = np.zeros((len(self.user_names), len(self.item_names)), dtype=bool)
        kept = self.values >= least
        has[self.users[kept], self.items[kept]] = True
        return has


def read_ratings(path: Path | str, *, low: float, high: float) -> Ratings:
    """A table with tabs and a first line that names ``user_id``, ``item_id`` and ``rating``, in any order and among
    others, of which ``timestamp`` is read too.

    Raises InputError, with the line, for a rating that is no number of the scale, a time that is no number, a pair that
    is rated twice, a user or item without a name, and a file without ratings.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}; expected a table of ratings")
    found: dict[tuple[str, str], float] = {}
    times: list[float] = []
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        # RecBole writes the type of a column after its name: rating:float.
        head = [name.split(":")[0] for name in next(lines, [])]
        missing = [name for name in ("user_id", "item_id", "rating") if name not in head]
        if missing:
            raise InputError(f"{path}: the first line must name {', '.join(missing)}, separated by tabs; it names {head}")
        columns = [head.index(name) for name in ("user_id", "item_id", "rating")]
        timed = head.index("timestamp") if "timestamp" in head else None
        for number, line in enumerate(lines, 2):
            if not line:
                continue
            if len(line) <= max(*columns, timed or 0):
                raise InputError(f"{path}:{number}: expected {len(head)} fields separated by tabs, got {len(line)}")
            user, item, text = (line[c].strip() for c in columns)
            if not user or not item:
                raise InputError(f"{path}:{number}: a rating without {'a user' if not user else 'an item'}")
            if (user, item) in found:
                raise InputError(f"{path}:{number}: user {user} rates item {item} a second time; keep one of the two")
            found[user, item] = _rating(text, low, high, f"{path}:{number}")
            if timed is not None:
                times.append(_time(line[timed].strip(), f"{path}:{number}"))
    if not found:
        raise InputError(f"{path}: there are no ratings in it")
    users, items = sorted({u for u, _ in found}, key=_order), sorted({i for _, i in found}, key=_order)
    of_user, of_item = {u: n for n, u in enumerate(users)}, {i: n for n, i in enumerate(items)}
    return Ratings(
        np.array([of_user[u] for u, _ in found]), np.array([of_item[i] for _, i in found]),
        np.array(list(found.values())), tuple(users), tuple(items), np.array(times),
    )  # fmt: skip


def _rating(text: str, low: float, high: float, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InputError(f"{where}: a rating is a number from {low:g} to {high:g}, got {text!r}; other scales need low and high")
    return value


def _time(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: a timestamp is a number, such as seconds, got {text!r}")
    return value


def _order(name: str) -> tuple[int, str]:
    """Numbers by size, then names by the alphabet."""
    return (int(name), "") if name.isdecimal() else (2**63, name)


def movielens(progress: Callable[[str], None] = say) -> Ratings:
    """100,000 ratings from 1 to 5 of 1,682 films by 943 users, each of whom gave at least 20. Raises FetchFailed."""
    if not MOVIELENS.here:
        progress(TERMS)
    fetch(MOVIELENS, progress)
    return _movielens()


@cache
def _movielens() -> Ratings:
    return read_ratings(MOVIELENS.paths()[0], low=1.0, high=5.0)


DATA: Mapping[str, Callable[[], Ratings]] = {"movielens-100k": movielens}


def ratings(data: str, *, low: float = 1.0, high: float = 5.0) -> Ratings:
    """By name, or from the path of a table. Raises UnknownName for what is neither, and as ``read_ratings`` does."""
    if data in DATA:
        return DATA[data]()
    if not Path(data).is_file():
        raise UnknownName("ratings (a name, or the path of a table)", data, DATA)
    return read_ratings(data, low=low, high=high)
