"""Versions of texts: who is built on, what a new one is made of, and what is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from loopwright.blocks.parameters import with_values
from loopwright.blocks.versions import Family, Version, changes, gained, scores_of, texts_of
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Score
from loopwright.core.types import Candidate, Example, Rollout

BASE = Candidate(parts={"prompt": {"system": "Be brief.", "instruction": "Answer. Be kind."}})
EXAMPLES = [Example(id=f"e{i}", input=str(i)) for i in range(6)]


def child(family: Family, of: int, name: str, text: str, **scores: float) -> Version:
    candidate = with_values(family.versions[of].candidate, {name: text}, by="x", note="")
    made = family.born(candidate, [of], by="reflection", turn=1, round=1, examples=["e1"])
    return replace(made, scores={(example, "score"): value for example, value in scores.items()})


def family() -> Family:
    """The start, one that is best at e0 alone, and one that is best on the whole."""
    made = Family(BASE)
    assert not made.add(replace(made.best, scores={(e, "score"): 0.2 for e in ("e0", "e1", "e2")}))
    assert made.add(child(made, 0, "system", "Be long.", e0=1.0, e1=0.0, e2=0.0))
    assert made.add(child(made, 0, "instruction", "Answer. Be exact.", e0=0.0, e1=1.0, e2=1.0))
    return made


def test_the_front_is_built_on_by_lots_or_the_best_alone() -> None:
    for select, places in (("front", {1, 2}), ("best", {2})):
        made, rng = family(), random.Random(0)
        drawn = [slot for _ in range(20) for slot in made.slots(EXAMPLES, 3, rng, select)]  # type: ignore[arg-type]
        assert {slot.place for slot in drawn} == places and all(len(slot.examples) == 3 for slot in drawn)
        turns = [slot.turn for slot in drawn if slot.place == 2]
        assert turns == list(range(1, len(turns) + 1))  # a text that was taken up is not the next one's turn
    made = Family(BASE)
    assert [slot.place for slot in made.slots(EXAMPLES, 3, random.Random(0))] == [0] * (len(EXAMPLES) // 3)  # not tried yet
    assert not made.add(made.best)
    assert made.slots(EXAMPLES, 3, random.Random(0)) == []  # nobody has a score


def test_a_version_is_taken_once_and_keeps_where_its_sentences_came_from() -> None:
    made = family()
    assert not made.add(made.versions[1]) and len(made.versions) == 3
    best = made.best
    assert best is made.versions[2] and best.candidate.parents == (BASE.hash,)
    told = [(piece.text, piece.by, piece.examples) for piece in best.lineage["instruction"]]
    assert told == [("Answer.", "task", ()), ("Be exact.", "reflection", ("e1",))]


def test_a_merge_is_due_once_after_a_rewrite() -> None:
    made = family()
    made.versions[1].scores[("e0", "score")] = 3.0
    crossing = made.crossing(5, random.Random(0))
    assert crossing == (1, 2, {"system": "Be long.", "instruction": "Answer. Be exact."})
    assert made.crossing(5, random.Random(0)) is None
    made.add(child(made, 0, "system", "Be quick.", e0=0.0))
    assert made.crossing(1, random.Random(0)) is None  # as many as are wanted were merged


def test_what_several_changed_is_joined_on_top_of_the_best() -> None:
    made = family()
    others = [child(made, 0, "system", text) for text in ("Be long.", "Be quick.", "Be long.")]
    assert changes(made.best, others)["system"] == ["Be long.", "Be quick."]
    both = with_values(made.best.candidate, {"system": "Be long. Be quick."}, by="x", note="")
    joined = made.united(both, made.best, others)
    assert joined.parents == [2, 0] and [p.by for p in joined.lineage["instruction"]] == ["task", "reflection"]


def test_scores_are_by_example_and_what_was_not_judged_is_left_out() -> None:
    def attempt(i: int, status: str = "ok", value: float | None = None) -> Rollout:
        said = () if value is None else (Score(value=value),)
        return Rollout.model_validate({"id": str(i), "example": EXAMPLES[i], "turns": (), "status": status, "feedback": said})

    found = scores_of([attempt(0, value=0.5), attempt(1, "failed", 0.25), attempt(2, "lost")], ("score", "cost"))
    assert found[("e0", "score")] == 0.5 and found[("e1", "score")] == 0.25 and ("e2", "score") not in found
    assert gained({("e0", "score"): 1.0, ("e2", "score"): 1.0}, found) == 0.5


def test_texts_that_stay_must_be_there_and_leave_something_to_rewrite() -> None:
    assert texts_of(BASE, ("system",)) == {"instruction": "Answer. Be kind."}
    with pytest.raises(UnknownName, match="text to freeze"):
        texts_of(BASE, ("sytem",))
    with pytest.raises(InputError, match="nothing to rewrite"):
        texts_of(BASE, ("system", "instruction"))
