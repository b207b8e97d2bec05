"""Stories of neighbours: the answers are what an answer-set program derives, and the checker reads free answers."""

from __future__ import annotations

import re

import pytest

from loopwright.core.errors import InputError
from loopwright.worlds.spatial import KNOWLEDGE, WORDINGS, named, relation, spatial


def facts(question: str) -> str:
    """The question as an answer-set program."""
    story, asked = question.split("\n")
    lines = []
    for sentence in re.findall(r"[A-Z][^.]+\.", story):
        for name, wordings in WORDINGS.items():
            for wording in wordings:
                pattern = re.escape(wording).replace(r"\{a\}", "([A-Z])").replace(r"\{b\}", "([A-Z])")
                if found := re.fullmatch(pattern, sentence):
                    lines.append(f"is({found[1].lower()},{name.replace('-', '_')},{found[2].lower()}).")
    a, b = re.findall(r"\b[A-Z]\b", asked)
    return "\n".join([*lines, f"query({a.lower()},{b.lower()})."])


@pytest.mark.parametrize(("hops", "noise"), [(1, 0), (4, 2), (10, 5)])
def test_the_target_is_what_clingo_derives(hops: int, noise: int) -> None:
    clingo = pytest.importorskip("clingo", reason="pip install 'loopwright[asp]'")
    for example in spatial(hops=hops, noise=noise, count=25).items:
        program = facts(example.question)
        assert program.count("is(") == hops + noise
        control = clingo.Control(["0"])
        control.add("base", [], KNOWLEDGE + program)
        control.ground([("base", [])])
        with control.solve(yield_=True) as models:
            shown = [[str(atom) for atom in model.symbols(shown=True)] for model in models]
        assert shown == [[f"answer({str(example.target).replace('-', '_')})"]]


def test_every_split_has_questions_and_no_question_is_in_two() -> None:
    world = spatial(count=200)
    splits = [{e.question for e in world.examples(s)} for s in ("train", "gate", "test")]  # type: ignore[arg-type]
    assert all(splits) and sum(map(len, splits)) == len(set.union(*splits)) == 200
    assert world.fingerprint == spatial(count=200).fingerprint != spatial(count=200, seed=1).fingerprint


def test_relations_and_how_answers_name_them() -> None:
    assert relation(0, 0) == "overlap" and relation(-3, 1) == "upper-left" and relation(2, 0) == "right"
    assert named("It is not left of B but Upper left.") == "upper-left"
    assert named("lower_right") == "lower-right" and named("overlap") == "overlap" and named("leftmost") == ""
    with pytest.raises(InputError, match="hops"):
        spatial(hops=0)
