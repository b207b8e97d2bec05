"""Figures of what is known of every task: files that can be read, the same each time, and input that is none."""

import pytest

from loopwright.core.errors import InputError
from loopwright.improve.plots.continual import accuracy_curves, accuracy_heat

MATRIX = [[0.1, 0.0], [0.9, 0.0], [0.5, 0.7], [0.7, 0.9]]


@pytest.mark.parametrize("draw", [accuracy_curves, accuracy_heat])
def test_svg_and_png(draw) -> None:
    svg = draw(MATRIX, [0, 4, 6, 8], [1, 3], title="a & b")
    assert svg.startswith(b"<?xml") and b"a &amp; b" in svg
    assert svg == draw(MATRIX, [0, 4, 6, 8], [1, 3], title="a & b")
    assert draw(MATRIX, [0, 4, 6, 8], [1, 3], form="png").startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [accuracy_curves, accuracy_heat])
def test_a_single_task_and_holes(draw) -> None:
    assert draw([[0.5]], [3], [0], form="png").startswith(b"\x89PNG")
    holes = [[0.1, float("nan")], [0.9, float("nan")], [0.5, 0.7]]
    assert draw(holes, [0, 1, 2], [1, 2], form="png").startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [accuracy_curves, accuracy_heat])
@pytest.mark.parametrize("steps", [[0, 1, 2], [0, 2, 1, 3], [0, 1, 1, 2]])
def test_steps_that_are_none_are_refused(draw, steps) -> None:
    with pytest.raises(InputError, match="4 rising numbers"):
        draw(MATRIX, steps, [1, 3])
