"""Steps put on tokens."""

from __future__ import annotations

import pytest

from loopwright.blocks.steps import line_ends, step_rewards
from loopwright.core.errors import InputError

TEXT = "3+4=7\n\n 7-5=2 \nAnswer: 2"
LETTERS = range(1, len(TEXT) + 1)


def test_a_line_ends_where_its_last_letter_is_written() -> None:
    assert [TEXT[i] for i in line_ends(TEXT, list(LETTERS))] == ["7", "2", "2"]
    assert line_ends(TEXT, [4, 6, 12, 20, 24, 24]) == [1, 3, 4]  # tokens may run over the end of a line, or have no text
    assert line_ends("", []) == []


def test_rewards_of_steps_sum_to_the_share_that_is_right() -> None:
    rewards = step_rewards([1.0, 1.0, 0.0], TEXT, list(LETTERS), weight=0.6)
    assert sum(rewards) == pytest.approx(0.4)
    assert len(rewards) == len(TEXT) and rewards[4] == pytest.approx(0.2)
    assert step_rewards([1.0, 1.0], "a\nb", [3]) == [1.0]  # one token that writes two lines


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(InputError, match="2 steps were judged, the answer has 3 lines"):
        step_rewards([1.0, 0.0], TEXT, list(LETTERS))
    with pytest.raises(InputError, match="the tokens end after 3"):
        line_ends(TEXT, [1, 3])
