"""AlphaOPT with a modeller whose mistakes, insights and conditions are written down: learned, verified, merged, narrowed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from world_kit import context

from loopwright.blocks.library import Insight, applicable, as_part, headings, library_of, read_insights, shown
from loopwright.core import loop
from loopwright.core.errors import InputError
from loopwright.core.registry import get_recipe
from loopwright.core.types import Candidate
from loopwright.worlds.modelling import modelling

pytest.importorskip("highspy", reason="pip install 'loopwright[milp]'")
WORLD = modelling(kinds="knapsack+diet", count=60)
TRUE = {e.question: str(e.target) for e in WORLD.items}


class Modeller:
    """Takes things several times, unless told that they are there once; told so, it also spoils diets.

    Its insights hold "where 'the' is said", which is everywhere; asked for better conditions it has a good one and a bad one.
    """

    def __init__(self, *, useless: bool = False, merges: bool = True, asked: Callable[[str], None] = lambda kind: None) -> None:
        self.useless, self.merges, self.asked = useless, merges, asked

    def __call__(self, texts: list[str], i: int) -> str:
        said = texts[-1]
        question = next((q for q in TRUE if any(q in t for t in texts)), "")
        if "filed under these headings" in said:
            return self._reply("match", "- selection/once")
        if "holds on a condition" in said:
            held = [n for n, word in re.findall(r"(\d+)\. where '(\w+)'", said) if word in question]
            return self._reply("check", ", ".join(held) or "none")
        if "answered wrongly first" in said:
            explanation = "Nothing." if self.useless else f"Things are there ONCE, so they are binary ({len(question) % 2})."
            return self._reply("extract", json.dumps([
                {"taxonomy": "Selection/Once", "condition": "where 'the' is said", "explanation": explanation, "example": "x"}
            ]))  # fmt: skip
        if "Two notes are filed" in said:
            merged = {"condition": "where 'the' is said", "explanation": "Things are there ONCE." if self.merges else "Neither."}
            return self._reply("merge", json.dumps({"taxonomy": "selection/once", **merged}))
        if "A note applies on a condition" in said:
            return self._reply("refine", json.dumps(["where 'nobody' is said", "where 'traveller' is said"]))
        if "That is not right" in said:
            return self._reply("correct", f"```\n{TRUE[question]}\n```")
        told = any("ONCE" in t for t in texts[:-1])
        if "traveller" in question:
            return TRUE[question] if told else TRUE[question].replace("binary", "integer")
        return TRUE[question].replace("minimize", "maximize") if told else TRUE[question]

    def _reply(self, kind: str, text: str) -> str:
        self.asked(kind)
        return text


def learn(modeller: Modeller, **options: Any) -> tuple[list[Candidate], Callable[[Candidate], float]]:
    """The candidates that were offered, and what one is worth on the test split."""
    ctx = context(WORLD, modeller)
    recipe, offered = get_recipe("alpha-opt"), list[Candidate]()

    async def offer(candidate: Candidate) -> bool:
        offered.append(candidate)
        return True

    options = {"rounds": 3, "batch": 10, "screen": 12, **options}
    asyncio.run(loop.improve(recipe, Candidate(), ctx.at("learn", recipe=recipe), offer, options))

    def worth(candidate: Candidate) -> float:
        made = asyncio.run(ctx.at(f"test.{candidate.hash}", split="test").evaluate(candidate, WORLD.examples("test")))
        return sum(r.score or 0.0 for r in made) / len(made)

    return offered, worth


def test_insights_are_learned_merged_and_their_condition_is_narrowed_where_they_misled() -> None:
    kinds: list[str] = []
    offered, worth = learn(Modeller(asked=kinds.append))
    (insight,) = library_of(offered[-1])
    assert insight.condition == "where 'traveller' is said" and insight.explanation == "Things are there ONCE."
    assert insight.taxonomy == "selection/once" and len(insight.sources) > 1
    assert set(kinds) == {"match", "check", "extract", "merge", "refine", "correct"}
    assert worth(Candidate()) < 0.9 and worth(offered[-1]) == 1.0
    assert offered[-1].parts["solver"]["options"] == {}  # type: ignore[index, call-overload]


def test_an_insight_that_does_not_serve_its_own_problem_is_dropped() -> None:
    assert learn(Modeller(useless=True))[0] == []


def test_a_merged_note_that_serves_them_no_more_leaves_both() -> None:
    offered, _ = learn(Modeller(merges=False))
    assert {i.explanation[-4:] for i in library_of(offered[-1])} == {"(0).", "(1)."}


def test_a_library_needs_the_answering_to_itself() -> None:
    ctx = context(WORLD, Modeller())
    recipe = get_recipe("alpha-opt")
    base = Candidate(parts={"solver": {"recipe": "best-of-n"}})

    async def offer(candidate: Candidate) -> bool:
        return True

    with pytest.raises(InputError, match=r"leave out \[solver\]"):
        asyncio.run(loop.improve(recipe, base, ctx.at("learn", recipe=recipe), offer, {}))


def test_insights_are_read_in_the_forms_that_models_give() -> None:
    whole = read_insights('[{"Taxonomy": {"Area": {"Head": null}}, "condition": "c", "explanation": "e"}]', ["a"])
    assert whole == [Insight(taxonomy="area/head", condition="c", explanation="e", sources=("a",))]
    assert read_insights('{"insights": [{"explanation": "e"}]}', [])[0].taxonomy == "general"
    assert read_insights("Mind the units.", ["a"]) == [Insight(explanation="Mind the units.", sources=("a",))]
    assert read_insights("no", [], loose=False) == read_insights('{"condition": "c"}', []) == []
    assert read_insights("", []) == read_insights("[]", []) == []
    candidate = Candidate().child(library=as_part(whole))
    assert library_of(candidate) == tuple(whole) and library_of(Candidate()) == ()
    assert "c" in shown(whole) and "e" in shown(whole) and headings(whole) == ["area/head"]


def test_what_applies_is_found_by_heading_and_then_by_condition() -> None:
    once = Insight(taxonomy="a/once", condition="c1", explanation="e1")
    units = Insight(taxonomy="a/units", condition="c2", explanation="e2")
    always = Insight(explanation="e3")

    async def ask(asked: str) -> str:
        return "Once and units matter." if "headings" in asked else "Number 2 holds, 1.5 kg does not."

    found = asyncio.run(applicable("q", [once, units, always], ask))
    assert found == [units, always]

    async def silent(asked: str) -> str:
        return ""

    assert asyncio.run(applicable("q", [once, always], silent)) == [always]
