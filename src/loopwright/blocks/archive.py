"""An archive of elites on a grid: of all solutions whose measures fall into a cell it keeps the one with the best objective.

The grid is that of MAP-Elites (Mouret and Clune, arXiv:1504.04909): every measure's range is cut into as many cells of one
width. Measures beyond a range count to the cell at its border.

Adding gives a new archive and leaves the old one as it was. So that this costs little, what is kept of new elites is appended to
a short table that is copied each time; when it has grown, both tables are made into one, without the elites that were replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from loopwright.blocks.space import Box, inside
from loopwright.core.errors import InputError
from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

MOST_CELLS = 10_000_000
REFUSED, BETTER, NEW = 0, 1, 2  # what became of a solution


class Archive(NamedTuple):
    low: np.ndarray  # [m] ranges of the measures
    high: np.ndarray  # [m]
    shape: np.ndarray  # [m] cells along each
    place: np.ndarray  # [cells] number of the elite, in the order in which cells were filled, -1 where a cell is empty
    best: np.ndarray  # [cells] objective of the elite, 0 where a cell is empty
    filled: int  # how many cells are
    row: np.ndarray  # [filled] where an elite lies: in ``settled``, or from its length on in ``recent``
    settled: np.ndarray  # [s, w] what is kept of elites
    recent: np.ndarray  # [r, w] of those that entered since


class Added(NamedTuple):
    """What became of each of n solutions, by the archive as it was before any of them was added."""

    status: np.ndarray  # [n] NEW, BETTER or REFUSED
    gain: np.ndarray  # [n] objective, less that of the elite where there was one; -inf for what failed


def fresh(low: Sequence[float], high: Sequence[float], shape: Sequence[int], width: int) -> Archive:
    """An empty archive. width: w, how many numbers are kept of an elite. Raises InputError for ranges that are none."""
    lower, upper, cells = np.asarray(low, dtype=float), np.asarray(high, dtype=float), np.asarray(shape, dtype=np.int64)
    if not (lower.ndim == 1 and lower.shape == upper.shape == cells.shape and len(cells)):
        raise InputError(f"an archive needs low, high and a number of cells of each measure, got {low}, {high} and {shape}")
    if not (np.isfinite([lower, upper]).all() and (lower < upper).all() and (cells > 0).all()):
        raise InputError(f"measures range from a low to a higher high, with at least one cell, got {low}, {high} and {shape}")
    total = int(np.prod(cells.astype(float)))
    if total > MOST_CELLS:
        raise InputError(f"{cells.tolist()} cells along {len(cells)} measures make {total:,}; take fewer, at most {MOST_CELLS:,}")
    none, nothing = np.full(total, -1, dtype=np.int32), np.zeros((0, width))
    return Archive(lower, upper, cells, none, np.zeros(total), 0, np.zeros(0, dtype=np.int64), nothing, nothing)


def spanning(measures: np.ndarray, along: int, width: int) -> Archive:
    """An empty archive with ``along`` cells of each measure over the range that these, [n, m], span."""
    low, high = measures.min(axis=0), measures.max(axis=0)
    return fresh(low, np.where(high > low, high, low + 1.0), [along] * measures.shape[1], width)


def ranges(spec: Mapping[str, JsonValue]) -> dict[str, tuple[float, float]]:
    """Measures by name with their ranges, as a specification tells them: {"measures": {"x": [-1, 1], ...}}."""
    told = spec.get("measures")
    if not isinstance(told, Mapping) or not told:
        raise InputError(
            'the specification must say \'measures\', the range of each by its name, such as {"x": [-1, 1], "y": [0, 2]}; '
            f"got {told!r}"
        )
    found: dict[str, tuple[float, float]] = {}
    for name, span in told.items():
        if not isinstance(span, list | tuple) or len(span) != 2 or not all(isinstance(end, int | float) for end in span):
            raise InputError(f"the range of measure {name!r} must be two numbers, got {span!r}")
        found[name] = (float(span[0]), float(span[1]))  # type: ignore[arg-type]
    return found


def cells(archive: Archive, measures: np.ndarray) -> np.ndarray:
    """[n] number of the cell that measures [n, m] fall into, row by row through the grid."""
    along = (measures - archive.low) * (archive.shape / (archive.high - archive.low))
    place = np.minimum(np.maximum(along, 0.0), archive.shape - 1).astype(np.int64)
    number = place[:, 0]
    for axis in range(1, len(archive.shape)):
        number = number * archive.shape[axis] + place[:, axis]
    return np.asarray(number)


def add(archive: Archive, kept: np.ndarray, objective: np.ndarray, measures: np.ndarray) -> tuple[Archive, Added]:
    """Solutions of which ``kept`` [n, w] is kept. Those with an objective or measure that is not finite are refused.

    Of several that fall into one cell the best enters; the elite stays where it is as good as the newcomer.
    """
    status, gain = np.zeros(len(objective), dtype=np.int64), np.full(len(objective), -np.inf)
    sound = np.flatnonzero(np.isfinite(objective) & np.isfinite(measures).all(axis=1))
    if not len(sound):
        return archive, Added(status, gain)
    cell, value = cells(archive, measures[sound]), objective[sound]
    vacant = archive.place[cell] < 0
    rise = value - archive.best[cell]  # best is 0 where vacant
    gain[sound] = rise
    status[sound] = np.where(vacant, NEW, np.where(rise > 0, BETTER, REFUSED))
    enters = np.flatnonzero(vacant | (rise > 0))
    if not len(enters):
        return archive, Added(status, gain)
    if len(enters) > 1:  # the best of each cell, the first of equals; in the order of solutions
        order = enters[np.lexsort((-value[enters], cell[enters]))]
        first = np.concatenate([[True], cell[order][1:] != cell[order][:-1]])
        enters = np.sort(order[first])
    place, best = archive.place.copy(), archive.best.copy()
    best[cell[enters]] = value[enters]
    newly = cell[enters][vacant[enters]]
    filled = archive.filled + len(newly)
    place[newly] = np.arange(archive.filled, filled)
    row = np.concatenate([archive.row, np.zeros(len(newly), dtype=np.int64)])
    row[place[cell[enters]]] = len(archive.settled) + len(archive.recent) + np.arange(len(enters))
    recent = np.concatenate([archive.recent, kept[sound[enters]]])
    archive = archive._replace(place=place, best=best, filled=filled, row=row, recent=recent)
    if len(recent) ** 2 > filled * max(64, 2 * len(enters)):  # so that short and long copies cost about the same
        archive = archive._replace(row=np.arange(filled), settled=_kept(archive, row), recent=recent[:0])
    return archive, Added(status, gain)


def _kept(archive: Archive, rows: np.ndarray) -> np.ndarray:
    old = len(archive.settled)
    if len(rows) == 1:
        at = int(rows[0])
        return np.asarray(archive.settled[[at]] if at < old else archive.recent[[at - old]])
    if not old:
        return np.asarray(archive.recent[rows])
    found, late = archive.settled.take(rows, axis=0, mode="clip"), np.flatnonzero(rows >= old)
    if len(late):
        found[late] = archive.recent[rows[late] - old]
    return np.asarray(found)


def pick(archive: Archive, rng: np.random.Generator, number: int) -> np.ndarray:
    """[number, w] of elites, each drawn with the same chance, with replacement. There must be one."""
    return _kept(archive, archive.row[rng.integers(archive.filled, size=number)])


def children(
    archive: Archive, box: Box, rng: np.random.Generator, number: int, *, deviation: float, line: float = 0.0
) -> np.ndarray:
    """[number, d] of elites whose kept numbers begin with a solution of the box, changed.

    Normal noise is added, ``deviation`` of each range wide; with ``line``, also a step along the way to another elite, normal of
    this deviation in units of the way (Vassiliades and Mouret, arXiv:1804.03906). Whoever leaves the box is put on its side.
    """
    d = len(box.low)
    parents = pick(archive, rng, number)[:, :d]
    made = rng.standard_normal((number, d))
    made *= deviation * (box.high - box.low)
    made += parents
    if line:
        made += line * rng.standard_normal((number, 1)) * (pick(archive, rng, number)[:, :d] - parents)
    return inside(box, made)


class Elites(NamedTuple):
    kept: np.ndarray  # [filled, w]
    objective: np.ndarray  # [filled]
    cell: np.ndarray  # [filled]


def elites(archive: Archive) -> Elites:
    """All of them, in the order in which their cells were filled."""
    taken = np.flatnonzero(archive.place >= 0)
    order = taken[np.argsort(archive.place[taken])]
    return Elites(_kept(archive, archive.row), archive.best[order], order)


def heat(archive: Archive) -> np.ndarray:
    """[cells of the first measure, cells of the second, ...] objectives, NaN where a cell is empty."""
    return np.asarray(np.where(archive.place >= 0, archive.best, np.nan).reshape(tuple(archive.shape.tolist())))


def figures(archive: Archive) -> dict[str, float]:
    """coverage: share of the cells that are filled. qd_score: sum of the elites' objectives over the number of cells, an
    objective below 0 counting as 0. best: the best objective, 0 for an empty archive."""
    taken = archive.place >= 0
    total = len(archive.place)
    return {
        "coverage": archive.filled / total,
        "qd_score": float(np.maximum(archive.best[taken], 0.0).sum() / total),
        "best": float(archive.best[taken].max()) if archive.filled else 0.0,
    }
