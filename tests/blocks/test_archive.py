"""The archive of elites: cells and their borders, who enters, and that nothing changes under whoever holds an older one."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.blocks import archive as archives
from loopwright.blocks.archive import BETTER, NEW, REFUSED, add, cells, elites, figures, fresh, heat, pick
from loopwright.core.errors import InputError
from loopwright.core.learner import decode_state, encode_state


def put(archive: archives.Archive, *rows: tuple[float, float, float]) -> tuple[archives.Archive, archives.Added]:
    """Objective and two measures of each; what is kept is the objective, so that it can be told who entered."""
    table = np.array(rows, dtype=float)
    return add(archive, table[:, :1], table[:, 0], table[:, 1:])


def grid(along: int = 4) -> archives.Archive:
    return fresh([0.0, -1.0], [1.0, 1.0], [along, along], 1)


def test_one_filled_cell() -> None:
    archive, added = put(grid(), (3.0, 0.3, 0.6))
    assert added.status.tolist() == [NEW] and added.gain.tolist() == [3.0]
    assert np.argwhere(np.isfinite(heat(archive))).tolist() == [[1, 3]] and heat(archive)[1, 3] == 3.0
    assert figures(archive) == {"coverage": 1 / 16, "qd_score": 3 / 16, "best": 3.0}
    assert elites(archive).kept.tolist() == [[3.0]] and pick(archive, np.random.default_rng(0), 5).tolist() == [[3.0]] * 5


def test_an_empty_archive_has_figures_and_no_elites() -> None:
    assert figures(grid()) == {"coverage": 0.0, "qd_score": 0.0, "best": 0.0}
    assert np.isnan(heat(grid())).all() and elites(grid()).kept.shape == (0, 1)


def test_measures_beyond_the_range_count_to_the_border() -> None:
    archive = grid()
    places = cells(archive, np.array([[-9.0, -9.0], [0.0, -1.0], [1.0, 1.0], [1e300, 1e300], [0.25, 0.0]]))
    assert places.tolist() == [0, 0, 15, 15, 6]


def test_the_better_stays_and_the_first_of_equals() -> None:
    archive, _ = put(grid(), (3.0, 0.1, 0.1))
    worse, added = put(archive, (2.0, 0.1, 0.1), (3.0, 0.1, 0.1))
    assert added.status.tolist() == [REFUSED] * 2 and added.gain.tolist() == [-1.0, 0.0] and worse is archive
    better, added = put(archive, (4.0, 0.1, 0.1), (5.0, 0.1, 0.1), (-7.0, 0.9, 0.9))
    assert added.status.tolist() == [BETTER, BETTER, NEW] and added.gain.tolist() == [1.0, 2.0, -7.0]
    assert elites(better).objective.tolist() == [5.0, -7.0] and elites(better).kept.tolist() == [[5.0], [-7.0]]
    assert figures(better)["qd_score"] == 5 / 16  # an elite below 0 adds nothing
    twins = add(grid(), np.array([[1.0], [2.0]]), np.array([5.0, 5.0]), np.full((2, 2), 0.5))[0]
    assert elites(twins).kept.tolist() == [[1.0]]


def test_what_failed_is_refused() -> None:
    archive, added = put(grid(), (np.nan, 0.1, 0.1), (1.0, np.nan, 0.1), (np.inf, 0.1, 0.1), (1.0, 0.5, 0.5))
    assert added.status.tolist() == [REFUSED, REFUSED, REFUSED, NEW] and archive.filled == 1
    nothing, added = put(grid(), (np.nan, 0.1, 0.1))
    assert nothing.filled == 0 and added.gain.tolist() == [-np.inf]


def test_any_order_gives_the_same_elites_and_an_older_archive_stays_as_it_was() -> None:
    rng = np.random.default_rng(5)
    rows = list(zip(rng.normal(size=900), rng.uniform(-0.2, 1.2, 900), rng.uniform(-1.2, 1.2, 900), strict=True))
    one, many, back = grid(25), grid(25), grid(25)
    older = []
    for i, row in enumerate(rows):
        one, _ = put(one, row)
        if i % 300 == 0:
            older.append((one, repr(encode_state(one))))
    for at in range(0, len(rows), 70):
        many, _ = put(many, *rows[at : at + 70])
    for row in reversed(rows):
        back, _ = put(back, row)
    for archive in (one, many, back):  # what was replaced is dropped in time
        assert archive.filled > 300 and len(archive.recent) ** 2 <= archive.filled * 2 * 70
        assert len(archive.settled) <= archive.filled == len(archive.row)
    assert len(one.settled) and len(one.recent)
    assert np.array_equal(heat(one), heat(many), equal_nan=True) and np.array_equal(heat(one), heat(back), equal_nan=True)
    for archive in (one, many, back):  # what is kept belongs to its cell
        found = elites(archive)
        assert (found.kept[:, 0] == found.objective).all() and (archive.best[found.cell] == found.objective).all()
    assert all(repr(encode_state(archive)) == text for archive, text in older)
    assert repr(encode_state(decode_state(encode_state(one), grid(25)))) == repr(encode_state(one))
    drawn = pick(one, np.random.default_rng(0), 20_000)[:, 0]
    assert set(drawn.tolist()) == set(elites(one).objective.tolist())


def test_an_archive_over_what_measures_span() -> None:
    seen = np.array([[0.0, 7.0], [4.0, 7.0], [1.0, 7.0]])
    archive = archives.spanning(seen, 4, 1)
    assert archive.low.tolist() == [0.0, 7.0] and archive.high.tolist() == [4.0, 8.0]
    assert cells(archive, seen).tolist() == [0, 12, 4]


def test_ranges_that_are_none() -> None:
    for low, high, shape in (([0], [0], [3]), ([0], [np.inf], [3]), ([0], [1], [0]), ([0, 1], [1], [2]), ([], [], [])):
        with pytest.raises(InputError):
            fresh(low, high, shape, 1)
    with pytest.raises(InputError, match="take fewer"):
        fresh([0.0] * 9, [1.0] * 9, [50] * 9, 1)
    for spec in ({}, {"measures": {}}, {"measures": ["x"]}, {"measures": {"x": [1]}}, {"measures": {"x": "ab"}}):
        with pytest.raises(InputError, match="measure"):
            archives.ranges(spec)  # type: ignore[arg-type]
