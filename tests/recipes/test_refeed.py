"""ReFeed: what is looked up, what the model is shown, and which of its answers is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from world_kit import context

from loopwright.core.context import Context, solve
from loopwright.core.errors import UnknownName
from loopwright.core.model import Request
from loopwright.core.registry import get_recipe
from loopwright.core.types import Candidate, Rollout, Turn
from loopwright.models.scripted import ScriptedModel
from loopwright.worlds.city_archive import city_archive
from loopwright.worlds.small import Small

WORLD = city_archive()
EXAMPLE = next(e for e in WORLD.items if "door in the capital of Peru" in e.question)


class Sure(ScriptedModel):
    """Says how sure it is of each of its answers: a log-probability for each word."""

    def __init__(self, said: dict[int, list[tuple[str, float]]]) -> None:
        super().__init__(lambda request, i: "", fingerprint="sure")
        self.said, self.asked = said, list[Request]()

    def _turn(self, request: Request, index: int) -> Turn:
        self.asked.append(request)
        answers = self.said[1 if "passages" in request.turns[-1].text else 0]
        text, surety = answers[(index + (request.sampling.temperature > 0)) % len(answers)]
        return Turn(role="assistant", text=text, logprobs=(surety,) * len(text.split()) if surety else ())


def run(world: Small, said: dict[int, list[tuple[str, float]]], slug: str = "refeed", **options: Any) -> tuple[Rollout, Sure]:
    model = Sure(said)
    ctx: Context = context(world)
    ctx.engine.models["policy"] = model
    candidate = Candidate(parts={"solver": {"recipe": get_recipe(slug).address, "options": options}})
    return asyncio.run(solve(candidate, EXAMPLE, ctx)), model


def test_the_answer_brings_the_document_that_the_question_lacks() -> None:
    rollout, model = run(WORLD, {0: [("In Lima it is blue.", -1.0)], 1: [(f"It is {EXAMPLE.target}.", -0.1)]}, answers=1)
    shown = model.asked[-1].turns
    assert rollout.output == f"It is {EXAMPLE.target}." and f"city archive of Lima is {EXAMPLE.target}." in shown[-1].text
    assert [t.role for t in shown] == ["user", "assistant", "user"]  # the first answer is there to be refined
    _, plain = run(WORLD, {1: [("red", 0.0)]}, "retrieve-then-read")
    assert len(plain.asked) == 1 and EXAMPLE.question in plain.asked[0].turns[0].text


def test_every_sampled_answer_is_looked_up_once_and_documents_are_capped() -> None:
    said = {0: [("Lima, blue", -1.0), ("Quito, red", -1.0), ("Lima, blue", -1.0)], 1: [("red", -0.5)]}
    _, model = run(WORLD, said, answers=4, documents=4)
    shown = model.asked[-1].turns[-1].text
    assert "[Lima 1]" in shown and "[Quito 1]" in shown and shown.count("[") == 4


@pytest.mark.parametrize(("after", "kept"), [(-2.0, "Lima, blue"), (-0.5, "Lima, red"), (0.0, "Lima, red")])
def test_the_surer_answer_is_kept_and_the_refined_one_where_nobody_knows(after: float, kept: str) -> None:
    rollout, _ = run(WORLD, {0: [("Lima, blue", -1.0)], 1: [("Lima, red", after)]}, answers=1)
    assert rollout.output == kept
    rollout, _ = run(WORLD, {0: [("Lima, blue", -1.0)], 1: [("Lima, red", after)]}, answers=1, keep="refined")
    assert rollout.output == "Lima, red"


def test_without_documents_there_is_the_first_answer_and_without_a_search_an_error() -> None:
    async def nothing(text: str, ctx: Context) -> str:
        return "nothing found"

    empty = Small("empty", WORLD.items, WORLD.checker, tools={"search": nothing})
    rollout, model = run(empty, {0: [("Lima, blue", -1.0)]}, answers=1)
    assert rollout.output == "Lima, blue" and len(model.asked) == 1
    rollout, model = run(empty, {0: [("Lima, blue", -1.0)]}, "retrieve-then-read")
    assert rollout.output == "Lima, blue" and len(model.asked[0].turns) == 1
    with pytest.raises(UnknownName, match="search"):
        run(Small("bare", WORLD.items, WORLD.checker), {0: [("Lima, blue", -1.0)]}, answers=1)
