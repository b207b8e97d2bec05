"""What an answer votes for."""

from __future__ import annotations

from typing import Any

import pytest

from loopwright.blocks.select import final_answer
from loopwright.core.errors import InputError
from loopwright.core.types import Example, Rollout, Turn


def said(text: str, **fields: Any) -> Rollout:
    turns = (Turn(role="user", text="q"), Turn(role="assistant", text=text))
    return Rollout(id="r", example=Example(id="e", input="q"), turns=turns, **fields)


def test_the_whole_output_or_what_is_extracted() -> None:
    assert final_answer(said(" so  it\nis 4 ")) == "so it is 4"
    assert final_answer(said("7, so 4"), r"(\d)$") == "4" and final_answer(said("7, so 4"), r"\d") == "7"


def test_no_vote_where_it_failed_or_nothing_matches() -> None:
    assert final_answer(said("none"), r"\d") is None and final_answer(said("4", status="failed")) is None


@pytest.mark.fault(70)
@pytest.mark.parametrize("pattern", ["(a{9999}){9999}", "(a{1,9999}){,9999}", "((a{999}){999}){999}", "a" * 3000])
def test_a_pattern_that_takes_gigabytes_to_read_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(InputError, match="extract = "):
        final_answer(said("aaa"), pattern)
    assert final_answer(said("on 2026-12-01"), r"(\d{4}-\d{2}-\d{2})") == "2026-12-01"
