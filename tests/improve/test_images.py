"""Sheets of pictures and curves: files that can be opened, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from loopwright.core.errors import InputError
from loopwright.improve.plots.images import curves, picture_sheet
from loopwright.worlds.generators.arrays import diversity


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("L")


def test_a_sheet_shows_ink_as_black() -> None:
    white, black = (np.asarray(opened(picture_sheet({"a": np.full((3, 64), v)}))) for v in (-1.0, 1.0))
    assert white.shape == black.shape and (black < 10).mean() > 0.4 > 0.05 > (white < 10).mean()


def test_a_sheet_is_the_same_every_time() -> None:
    rows = {"start": np.zeros((2, 8, 8)), "end": np.ones((2, 8, 8))}
    assert picture_sheet(rows, title="two") == picture_sheet(rows, title="two")
    assert picture_sheet(rows, form="svg") == picture_sheet(rows, form="svg") != picture_sheet(rows)


def test_pictures_need_not_be_square() -> None:
    wide, tall = (opened(picture_sheet({"a": np.ones((2, *shape))})).size for shape in ((4, 8), (8, 4)))
    assert wide[0] / wide[1] > tall[0] / tall[1]


@pytest.mark.parametrize("counts", [{}, {"a": (2, 64), "b": (3, 64)}, {"a": (2, 63)}, {"a": (0, 64)}])
def test_pictures_that_fit_no_sheet_are_refused(counts: dict[str, tuple[int, int]]) -> None:
    rows = {name: np.ones(shape) for name, shape in counts.items()}
    with pytest.raises(InputError, match="pictures"):
        picture_sheet(rows)


def test_curves_are_drawn_and_checked() -> None:
    image = opened(curves({"reward": {"ddpo": [0.1, 0.5]}, "KL": {"ddpo": [0.0, 2.0]}}, across="samples", x={"ddpo": [0, 100]}))
    assert image.size[0] > 2 * image.size[1]
    with pytest.raises(InputError, match="2 points for 1 places"):
        curves({"reward": {"ddpo": [0.1, 0.5]}}, across="samples", x={"ddpo": [0]})
    with pytest.raises(InputError, match="no figure"):
        curves({}, across="samples", x={})


def test_diversity_is_the_mean_distance_of_two() -> None:
    assert diversity(np.array([[0.0, 0.0], [3.0, 4.0]])) == pytest.approx(5.0)
    assert diversity(np.zeros((4, 2))) == pytest.approx(0.0)
    assert np.isnan(diversity(np.zeros((1, 2))))
