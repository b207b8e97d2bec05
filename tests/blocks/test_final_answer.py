"""What an answer votes for."""

from __future__ import annotations

from typing import Any

from loopwright.blocks.select import final_answer
from loopwright.core.types import Example, Rollout, Turn


def said(text: str, **fields: Any) -> Rollout:
    turns = (Turn(role="user", text="q"), Turn(role="assistant", text=text))
    return Rollout(id="r", example=Example(id="e", input="q"), turns=turns, **fields)


def test_the_whole_output_or_what_is_extracted() -> None:
    assert final_answer(said(" so  it\nis 4 ")) == "so it is 4"
    assert final_answer(said("7, so 4"), r"(\d)$") == "4" and final_answer(said("7, so 4"), r"\d") == "7"


def test_no_vote_where_it_failed_or_nothing_matches() -> None:
    assert final_answer(said("none"), r"\d") is None and final_answer(said("4", status="failed")) is None
