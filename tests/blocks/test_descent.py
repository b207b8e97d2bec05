"""Who is a parent next, and what a line of descent is worth."""

from __future__ import annotations

import random

import pytest

from loopwright.blocks.descent import Member, chances, children, clades, drawn, thompson
from loopwright.core.errors import InputError

# The first with two children, of which the second has one.
FAMILY = (Member(None, 5, 10), Member(0, 1, 10), Member(0, 9, 10), Member(2, 4, 10))


def test_chances_are_those_of_the_paper() -> None:
    assert children(FAMILY) == [2, 0, 1, 0]
    weights = [0.5 / 3, 0.017986209962 / 1, 0.982013790038 / 2, 0.268941421370 / 1]
    assert chances(FAMILY) == pytest.approx([w / sum(weights) for w in weights])
    assert chances(FAMILY, "score")[2] == max(chances(FAMILY, "score"))


def test_the_best_is_the_best_and_the_latest_the_latest() -> None:
    assert chances(FAMILY, "best") == [0, 0, 1, 0]
    assert chances((Member(None, 1, 2), Member(0, 1, 2)), "best") == [1, 0]  # the oldest of equals
    assert chances(FAMILY, "latest") == [0, 0, 0, 1]
    assert chances(FAMILY, "uniform") == [0.25] * 4


def test_an_archive_of_one_has_one_parent_even_if_it_solved_nothing() -> None:
    for member in (Member(), Member(None, 0, 10)):
        assert drawn([member], 3, random.Random(0)) == [0, 0, 0]
    with pytest.raises(InputError, match="begin with one"):
        chances([])


def test_a_parent_must_come_first() -> None:
    for at in (1, 2, -1):
        with pytest.raises(InputError, match="does not come before"):
            clades([Member(), Member(at)])


def test_a_clade_is_itself_and_all_below_and_looking_twice_changes_nothing() -> None:
    wanted = [(19, 40), (1, 10), (13, 20), (4, 10)]
    assert [(m.wins, m.tried) for m in clades(FAMILY)] == wanted
    assert [(m.wins, m.tried) for m in clades(FAMILY)] == wanted and FAMILY[0].wins == 5


def test_thompson_draws_the_better_more_often() -> None:
    rng = random.Random(1)
    drawn_ = [thompson((Member(None, 2, 20), Member(0, 12, 20)), rng) for _ in range(200)]
    assert sum(drawn_) > 190
    fair = [thompson((Member(None, 0, 0), Member(0, 0, 0)), rng) for _ in range(400)]
    assert 140 < sum(fair) < 260
