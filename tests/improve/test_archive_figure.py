"""The heat map of an archive: the same bytes every time, and its cells where they belong."""

from __future__ import annotations

import io

import numpy as np
import pytest

from loopwright.blocks import archive as archives
from loopwright.core.errors import InputError
from loopwright.improve.plots.archive import archive_figure


def corner() -> archives.Archive:
    """Four by four cells, of which the one with x low and y high is filled."""
    empty = archives.fresh([0.0, 0.0], [1.0, 1.0], [4, 4], 1)
    return archives.add(empty, np.ones((1, 1)), np.array([5.0]), np.array([[0.1, 0.9]]))[0]


def test_a_filled_cell_stands_where_its_measures_are() -> None:
    from matplotlib.image import imread

    picture = imread(io.BytesIO(archive_figure(corner(), ["x", "y"], low=0.0, high=10.0, form="png")))[..., :3]
    assert picture.shape[0] > 300
    middle_of_scale = np.array([0.128, 0.567, 0.551])  # viridis at 5 of 0 to 10
    rows, columns = np.nonzero(np.abs(picture - middle_of_scale).max(axis=2) < 0.02)
    inside = columns < picture.shape[1] * 0.7  # the scale stands on the right
    assert inside.sum() > 1000
    assert columns[inside].mean() < picture.shape[1] * 0.35 and rows[inside].mean() < picture.shape[0] * 0.4


def test_the_same_archive_gives_the_same_bytes() -> None:
    first = archive_figure(corner(), ["x", "y"], title="corner")
    assert first == archive_figure(corner(), ["x", "y"], title="corner")
    assert b"corner: 1 of 16 cells filled" in first and b"<svg" in first


def test_one_measure_an_empty_archive_and_too_many() -> None:
    line = archives.fresh([0.0], [2.0], [5], 1)
    assert b"0 of 5 cells filled" in archive_figure(line, ["speed"])
    cube = archives.fresh([0.0] * 3, [1.0] * 3, [2] * 3, 1)
    with pytest.raises(InputError, match="one or two measures"):
        archive_figure(cube, ["a", "b", "c"])
    with pytest.raises(InputError, match="each with a name"):
        archive_figure(line, ["a", "b"])
