"""What a recipe may touch, see and be told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from core_kit import BASE, Counting, ToyWorld, context, engine_for, exact, new_run

from loopwright.core.context import Context, solve
from loopwright.core.errors import (
    BadOutput,
    BudgetExhausted,
    CheckerError,
    InputError,
    LoopwrightError,
    ModelUnavailable,
    Paused,
)
from loopwright.core.feedback import Critique, Feedback, Missing, Preference, Score, Verdict
from loopwright.core.model import Sampling
from loopwright.core.registry import Recipe, improver, solver
from loopwright.core.seen import Judgement
from loopwright.core.types import Candidate, Example, Rollout, Turn
from loopwright.store import MemoryStore

ANSWERS = Counting(say=lambda request, i: request.turns[-1].text.split("\n")[0] * 2)


def run(job: Any) -> Any:
    return asyncio.run(asyncio.wait_for(job, 20))


def part(recipe: Recipe) -> Candidate:
    return BASE.child(solver={"recipe": f"{__name__}:{recipe.function.__name__}", "options": {}})


# ---- work in parallel -------------------------------------------------------------------------------------------------


def test_map_keeps_the_order_and_gives_each_item_a_scope() -> None:
    ctx = context()

    async def work(item: int, branch: Context) -> tuple[int, str, float]:
        await asyncio.sleep(0.001 * (3 - item))
        return item, branch.scope, branch.rng.random()

    first = run(ctx.map(work, [0, 1, 2]))
    assert [item for item, _, _ in first] == [0, 1, 2]
    assert len({scope for _, scope, _ in first}) == len({draw for _, _, draw in first}) == 3
    assert run(context().map(work, [0, 1, 2])) == first


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([None, Paused("stopping"), ModelUnavailable("down")], ModelUnavailable),
        ([BudgetExhausted("calls", 1, 1, 1), None, BadOutput("x", kind="y")], BadOutput),
        ([Paused("stopping"), BudgetExhausted("calls", 1, 1, 1)], Paused),
    ],
)
def test_map_lets_all_finish_and_tells_the_reason_rather_than_its_consequences(
    errors: list[Exception | None], told: type[Exception]
) -> None:
    finished = []

    async def work(error: Exception | None, branch: Context) -> None:
        if error is not None:
            raise error
        await asyncio.sleep(0.005)
        finished.append(branch.scope)

    with pytest.raises(told):
        run(context().map(work, errors))
    assert len(finished) == errors.count(None)


def test_batches_are_rounds_with_scopes_of_their_own() -> None:
    async def job(ctx: Context) -> list[Any]:
        seen = []
        async for examples in ctx.batches(3, rounds=4):
            seen.append((ctx.scope, ctx.round, [e.id for e in examples]))
        return [seen, ctx.scope]

    seen, after = run(job(context(scope="top")))
    assert [(scope, number) for scope, number, _ in seen] == [(f"top/round{i}", i) for i in (1, 2, 3, 4)]
    assert all(len(set(ids)) == 3 and all(i.startswith("train") for i in ids) for _, _, ids in seen)
    assert after == "top"
    assert run(job(context(scope="top")))[0] == seen


# ---- what may be touched ----------------------------------------------------------------------------------------------


@solver()
async def undeclared(example: Example, ctx: Context, *, use: str = "model") -> Rollout:
    """Uses what its card does not name."""
    if use == "critic":
        await ctx.judge(Rollout(id="r", example=example, turns=()))
    if use == "tools":
        await ctx.tool("t", "x")
    if use == "sandbox":
        await ctx.run("print(1)")
    if use == "fit":
        await ctx.fit(BASE, [])
    return await ctx.answer(example)


@pytest.mark.parametrize("use", ["model", "critic", "tools", "sandbox", "fit"])
def test_a_capability_that_the_card_does_not_declare_is_refused(use: str) -> None:
    ctx = context(recipe=undeclared)
    with pytest.raises(LoopwrightError, match=f"undeclared used the capability '{use}'"):
        run(undeclared(Example(id="e", input="q"), ctx, use=use))
    assert ctx.engine.executed == 0


def test_judge_without_critics_is_refused_with_what_to_do() -> None:
    rollout = Rollout(id="r", example=Example(id="e", input="q", target="t"), turns=())
    with pytest.raises(InputError, match=r"toy has no critic; add \[\[critics\]\]"):
        run(context().judge(rollout))


def test_an_unknown_tool_is_named_with_the_near_one() -> None:
    async def lookup(text: str, ctx: Context) -> str:
        return text

    with pytest.raises(InputError, match="Did you mean lookup"):
        run(context(world=ToyWorld(tools={"lookup": lookup})).tool("lokup", "x"))


def test_going_on_from_a_rollout_needs_something_to_say() -> None:
    ctx = context()
    first = run(ctx.answer(Example(id="e", input="q")))
    with pytest.raises(InputError, match="needs a message"):
        run(ctx.answer(first.example, after=first))
    second = run(ctx.answer(first.example, "really?", after=first))
    assert [t.role for t in second.turns] == ["user", "assistant", "user", "assistant"]


# ---- no Solver sees a target ------------------------------------------------------------------------------------------

SEEN: list[Any] = []


async def watching(rollout: Rollout, ctx: Context) -> Feedback:
    SEEN.append(rollout.example.target)
    return Verdict(passed=False, message="try again")


@solver(needs=("model", "critic"))
async def curious(example: Example, ctx: Context) -> Rollout:
    """Looks for the target wherever a Solver may look."""
    rollout = await ctx.answer(example)
    judged = await ctx.judge(rollout)
    more = await ctx.rollout(ctx.policy, [example], n=2)
    SEEN.extend([example.target, rollout.example.target, *(r.example.target for r in more)])
    SEEN.extend(e.target for e in ctx.world.examples("train"))
    assert "doubled" not in judged.text
    assert all("doubled" not in f.text for r in more for f in r.feedback)
    for forbidden in (
        lambda: ctx.world.examples("gate"),
        lambda: ctx.world.examples("test"),
        lambda: ctx.world.checker,
        lambda: ctx.at("below").world.examples("test"),
    ):
        with pytest.raises(LoopwrightError, match="no recipe"):
            forbidden()
    with pytest.raises(LoopwrightError, match="cannot be told scores"):
        await ctx.evaluate(ctx.policy, [example])
    return rollout


async def telling(rollout: Rollout, ctx: Context) -> Feedback:
    return Verdict(passed=rollout.output == rollout.example.target, message="the question doubled")


def test_a_solver_never_sees_the_target_not_even_through_rollouts_and_critics() -> None:
    SEEN.clear()
    world = ToyWorld(critics=(watching,), checker=telling)
    ctx = context(world=world, model=ANSWERS, split="gate")
    rollouts = run(ctx.evaluate(part(curious), world.examples("gate")))
    assert len(SEEN) == 6 * (1 + 2 + 4 + 8)
    assert set(SEEN) == {None}
    assert [r.score for r in rollouts] == [1.0] * 6, "the objective itself does see it"
    assert [r.example.target for r in rollouts] == [e.target for e in world.examples("gate")]


@improver(needs=("model",), improves="prompt")
async def peeking(base: Candidate, ctx: Context, *, split: str = "test") -> AsyncIterator[Candidate]:
    """Measures itself on what it must not see."""
    await ctx.at("aside", split=split).evaluate(base)
    yield base


@pytest.mark.parametrize("split", ["gate", "test"])
def test_an_improver_is_shown_the_train_split_alone(split: Any) -> None:
    ctx = context(recipe=peeking)
    assert ctx.world.examples("train")[0].target is not None
    with pytest.raises(LoopwrightError, match="may change policy and sampling"):
        run(anext(peeking(BASE, ctx, split=split)))
    assert ctx.engine.executed == 0


def test_critics_at_answer_time_do_not_see_the_targets_that_an_improver_has() -> None:
    SEEN.clear()
    ctx = context(world=ToyWorld(critics=(watching,)))
    (rollout,) = run(ctx.rollout(BASE, ctx.world.examples("train")[:1]))
    assert rollout.example.target is not None
    run(ctx.judge(rollout))
    assert SEEN == [None]


# ---- evaluating -------------------------------------------------------------------------------------------------------


@solver(needs=("model",))
async def twice(example: Example, ctx: Context, *, times: int = 2) -> Rollout:
    """Asks again and keeps the last."""
    for _ in range(times):
        rollout = await ctx.answer(example)
    return rollout


def test_a_candidate_is_evaluated_as_it_would_be_used_its_solver_included() -> None:
    model = Counting(say=ANSWERS.say)
    ctx = context(model=model)
    plain = run(ctx.evaluate(BASE))
    assert (len(plain), len(model.asked)) == (8, 8)
    with_solver = run(ctx.evaluate(part(twice)))
    assert len(model.asked) == 8 + 16
    assert [r.score for r in with_solver] == [1.0] * 8
    assert {r.split for r in ctx.engine.store.rollouts(ctx.engine.run.id)} == {"train"}


def test_solver_options_that_are_no_table_are_refused() -> None:
    bad = BASE.child(solver={"recipe": f"{__name__}:twice", "options": [1]})
    with pytest.raises(InputError, match="solver options must be a table"):
        run(solve(bad, Example(id="e", input="q"), context()))


def test_an_answer_that_was_not_given_is_judged_as_an_empty_one_and_a_failed_judgement_never_is_a_zero() -> None:
    kinds = {"train 3": "empty", "train 6": "malformed"}

    def act(requests: Any) -> None:
        for asked, kind in kinds.items():
            if asked in requests[0].turns[-1].text:
                raise BadOutput(kind, kind=kind)

    async def raising(rollout: Rollout, ctx: Context) -> Feedback:
        if rollout.example.id == "train5":
            return Missing(expected="score", message="the judge was away")
        return await exact(rollout, ctx)

    ctx = context(model=Counting(say=ANSWERS.say, act=act), world=ToyWorld(checker=raising))
    for rollouts in (run(ctx.evaluate(BASE)), run(ctx.rollout(BASE, ctx.world.examples("train")))):
        assert [r.score for r in rollouts] == [1.0, 1.0, 1.0, 0.0, 1.0, None, None, 1.0]
        assert (rollouts[3].status, rollouts[3].output, rollouts[6].status) == ("failed", "", "lost")
        assert [type(f) for f in rollouts[6].feedback] == [Missing]
    stored = {(r.example, r.score) for r in ctx.engine.store.rollouts(ctx.engine.run.id)}
    assert {("train3", 0.0), ("train6", None)} <= stored


def test_rollouts_are_the_same_again_from_the_record() -> None:
    store = MemoryStore()
    row = new_run(store)

    def whole(model: Counting) -> str:
        ctx = context(engine_for(store, row, model))
        rollouts = run(ctx.rollout(BASE, ctx.world.examples("train"), n=3))
        ctx.engine.past.finish()
        return json.dumps([r.model_dump(mode="json") for r in rollouts])

    first, again = Counting(), Counting()
    assert whole(first) == whole(again)
    assert (len(first.asked), again.asked) == (8, [])


# ---- being told -------------------------------------------------------------------------------------------------------


@improver(needs=("model", "critic"), learns_from=("score",))
async def scores_only(base: Candidate, ctx: Context) -> AsyncIterator[Candidate]:
    """Learns from scores."""
    yield base


def test_feedback_comes_in_the_kinds_that_the_recipe_learns_from() -> None:
    asked = []

    def convert(feedback: Feedback, kinds: Any) -> Feedback:
        asked.append((feedback.kind, kinds))
        return Score(value=0.25)

    async def words(rollout: Rollout, ctx: Context) -> tuple[Feedback, ...]:
        return Critique(comment="short"), Missing(expected="score", message="gone")

    store = MemoryStore()
    engine = engine_for(store, new_run(store), Counting(), convert=convert)
    ctx = context(engine, recipe=scores_only, world=ToyWorld(critics=(words,)))
    rollout = run(ctx.answer(Example(id="e", input="q")))
    judged = run(ctx.judge(rollout))
    assert asked == [("critique", ("score",))]
    assert [f.kind for f in judged.feedback] == ["score", "missing"]
    assert {f.about for f in judged.feedback} == {rollout.id}
    assert judged.score is None, "with one judgement missing there is no mean"
    assert not judged.satisfied


def beats(circle: str) -> Any:
    """A comparator by which each output beats the next in the circle: no score agrees with it."""

    async def compare(first: Rollout, second: Rollout, ctx: Context) -> Preference:
        assert first.example.target is None and second.example.target is None
        ahead = circle[(circle.index(first.output) + 1) % len(circle)] == second.output
        chosen, rejected = (first, second) if ahead else (second, first)
        return Preference(chosen=chosen.id, rejected=rejected.id, shown=(first.id, second.id))

    return compare


def comparing(compare: Any, texts: str, **more: Any) -> tuple[Context, list[Rollout]]:
    world = ToyWorld()
    world.compare = compare  # type: ignore[attr-defined]
    said = iter(texts)
    ctx = context(world=world, model=Counting(say=lambda request, i: next(said)), **more)
    rollouts = [run(ctx.answer(Example(id=str(i), input=str(i), target="secret"))) for i in range(len(texts))]
    return ctx, [r.model_copy(update={"example": Example(id="e", input="q", target="secret")}) for r in rollouts]


def test_a_world_that_compares_is_asked_instead_of_scores_and_may_go_in_circles() -> None:
    ctx, (rock, paper, scissors) = comparing(beats("rsp"), "rps")
    chosen = [run(ctx.compare(a, b)).chosen for a, b in ((rock, scissors), (scissors, paper), (paper, rock))]
    assert chosen == [rock.id, scissors.id, paper.id]
    assert run(ctx.compare(scissors, rock)).shown == (scissors.id, rock.id), "first is shown first"


def test_an_answer_that_was_not_given_loses_against_any_other_and_nobody_is_asked() -> None:
    async def asked(first: Rollout, second: Rollout, ctx: Context) -> Preference:
        raise AssertionError("there is nothing to compare")

    ctx, (rock, paper) = comparing(asked, "rp")
    failed = paper.model_copy(update={"status": "failed", "error": "it was refused"})
    blank = paper.model_copy(update={"turns": (*paper.prompt, Turn(role="assistant", text=" \n"))})
    for nothing in (failed, blank):
        for a, b in ((rock, nothing), (nothing, rock)):
            said = run(ctx.compare(a, b))
            assert (said.chosen, said.rejected, said.tie) == (rock.id, paper.id, False)
        assert run(ctx.wins([(rock, nothing), (nothing, rock)])) == [1.0, 0.0]
    assert run(ctx.wins([(failed, rock.model_copy(update={"status": "failed"}))])) == [0.5]


def test_what_was_lost_is_compared_with_nothing() -> None:
    ctx, (rock, paper) = comparing(beats("rsp"), "rp")
    lost = paper.model_copy(update={"status": "lost", "error": "the server broke"})
    for a, b in ((rock, lost), (lost, rock)):
        said = run(ctx.compare(a, b))
        assert (said.kind, said.expected, said.message) == ("missing", "preference", "the server broke")


def test_a_comparator_that_speaks_of_something_else_is_an_error() -> None:
    async def astray(first: Rollout, second: Rollout, ctx: Context) -> Preference:
        return Preference(chosen=first.id, rejected="somebody")

    ctx, (a, b) = comparing(astray, "rp")
    with pytest.raises(CheckerError, match=r"compared .* and somebody, but was asked about"):
        run(ctx.compare(a, b))


def test_comparisons_can_be_mixed_up_like_judgements() -> None:
    def turned(id: str, judgement: Judgement) -> Judgement:
        (said,) = judgement.feedback
        assert isinstance(said, Preference) and id == f"{rock.id}/{scissors.id}"
        swapped = {"chosen": said.rejected, "rejected": said.chosen}
        return Judgement(feedback=(said.model_copy(update=swapped),))

    ctx, (rock, scissors) = comparing(beats("rsp"), "rs", scramble=turned)
    assert run(ctx.compare(rock, scissors)).chosen == scissors.id


def test_a_recipe_reaches_the_comparator_through_the_context_alone() -> None:
    ctx, (rock, scissors) = comparing(beats("rsp"), "rs", recipe=scores_only)
    assert run(ctx.compare(rock, scissors)).chosen == rock.id
    with pytest.raises(LoopwrightError, match=r"scores-only used ctx\.world\.compare, which no recipe may"):
        _ = ctx.world.compare  # type: ignore[attr-defined]


def test_critics_that_compare_by_score_see_no_target() -> None:
    seen = []

    async def watching(rollout: Rollout, ctx: Context) -> Feedback:
        seen.append(rollout.example.target)
        return Score(value=0.5)

    ctx = context(world=ToyWorld(critics=(watching,)))
    rollouts = run(ctx.rollout(BASE, [Example(id="e", input="q", target="secret")], n=2))
    run(ctx.compare(*rollouts))
    assert seen == [None, None]


def test_compare_says_tie_or_missing_rather_than_guess() -> None:
    async def length(rollout: Rollout, ctx: Context) -> Feedback:
        return Score(value=len(rollout.output) / 100) if rollout.output != "?" else Missing(expected="score", message="no")

    ctx = context(world=ToyWorld(critics=(length,)))
    texts = iter(["aa", "b", "c", "?"])
    ctx.engine.models["policy"] = Counting(say=lambda request, i: next(texts))
    a, b, c, d = (run(ctx.answer(Example(id=str(i), input=str(i)))) for i in range(4))
    better = run(ctx.compare(b, a))
    assert (better.chosen, better.rejected, better.tie) == (a.id, b.id, False)
    assert run(ctx.compare(b, c)).tie
    assert run(ctx.compare(a, d)).kind == "missing"
    assert run(ctx.wins([(b, a), (a, b), (b, c), (a, d)])) == [0.0, 1.0, 0.5, None]


def test_what_ends_or_binds_an_answer_does_not_hold_for_other_texts() -> None:
    model = Counting()
    sampling = Sampling(max_tokens=8, temperature=0.5, stop=("\n",), schema={"type": "null"})
    ctx = context(model=model, world=ToyWorld(sampling=sampling))
    run(ctx.answer(Example(id="a", input="a")))
    run(ctx.ask("Write that prompt anew."))
    run(ctx.generate("Say it in two lines.", stop=("three",), max_tokens=20))
    answer, asked, given = (request.sampling for request in model.asked)
    assert (answer.stop, answer.schema_) == (("\n",), {"type": "null"})
    assert (asked.stop, asked.schema_, asked.temperature, asked.max_tokens) == ((), None, 0.5, 8)
    assert (given.stop, given.schema_, given.max_tokens) == (("three",), None, 20)


def test_other_texts_may_be_longer_than_answers_where_the_world_says_so() -> None:
    model = Counting()
    world = ToyWorld(sampling=Sampling(max_tokens=8))
    world.text_tokens = 100  # type: ignore[attr-defined]
    ctx = context(model=model, world=world)
    run(ctx.answer(Example(id="a", input="a")))
    run(ctx.ask("What is wrong with it?"))
    run(ctx.ask("In a word?", max_tokens=2))
    assert [request.sampling.max_tokens for request in model.asked] == [8, 100, 2]
