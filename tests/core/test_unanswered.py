"""Answers that were not given, and requests that have no reply: what each is worth, and to whom."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from core_kit import BASE, Counting, ToyWorld, context, engine_for, exact, new_run

from loopwright.blocks.convert import convert
from loopwright.core.answers import measured, quoted, reasons, tally
from loopwright.core.context import Context
from loopwright.core.errors import BadOutput, InputError, ModelUnavailable, NoReply, PromptTooLong, Refused
from loopwright.core.feedback import Feedback, Missing, Score, Verdict
from loopwright.core.model import Request
from loopwright.core.registry import improver, solver
from loopwright.core.types import Candidate, Example, Rollout, Turn
from loopwright.critics import build_critic, judge, pairwise, regex
from loopwright.critics import exact as exactly
from loopwright.store import MemoryStore

EXAMPLE = Example(id="e", input="q", target="t")


def run(job: Any) -> Any:
    return asyncio.run(asyncio.wait_for(job, 20))


def attempt(text: str | None, status: Any = "ok", **more: Any) -> Rollout:
    turns = [Turn(role="user", text="q")] + ([] if text is None else [Turn(role="assistant", text=text)])
    return Rollout(id=f"r{text}{status}", example=EXAMPLE, turns=tuple(turns), status=status, **more)


NOTHING = {
    "failed": attempt(None, "failed", error="refused: no"),
    "failed later": attempt("an earlier answer", "failed", error="empty"),
    "empty": attempt(""),
    "blank": attempt(" \n\t "),
}


@pytest.mark.fault(32)
@pytest.mark.fault(32)
@pytest.mark.parametrize("kind", NOTHING)
def test_code_is_asked_what_nothing_is_worth_and_sees_the_empty_answer(kind: str) -> None:
    seen = []

    async def checker(rollout: Rollout, ctx: Context) -> Feedback:
        seen.append(rollout.output.strip())
        return Score(value=0.25)

    found = run(context()._judged(NOTHING[kind], (checker,)))
    assert (seen, found.score) == ([""], 0.25)


@pytest.mark.fault(32)
@pytest.mark.parametrize("kind", NOTHING)
def test_models_are_not_asked_about_nothing_and_the_score_is_the_lowest(kind: str) -> None:
    model = Counting(say=lambda request, i: "Score: 9")
    ctx = context(model=model)
    critics = [
        judge("Is it good?"),
        build_critic("checklist", {"questions": ["Is it kind?"]}, Path()),
        build_critic("judge", {"aspects": {"tone": "Is it polite?", "size": "Is it short?"}}, Path()),
    ]
    for critic in critics:
        found = run(ctx._judged(NOTHING[kind], (critic,)))
        assert found.score == 0.0 and not found.missing and not found.satisfied
        assert found.text.startswith("no answer was given")
    assert model.asked == []
    assert run(ctx._judged(attempt("something"), (critics[0],))).score == 0.9


@pytest.mark.parametrize("kind", NOTHING)
def test_a_checker_that_cannot_read_nothing_gives_it_the_lowest_score(kind: str) -> None:
    async def breaks(rollout: Rollout, ctx: Context) -> Feedback:
        return Missing(expected="score", message="IndexError")

    async def raises(rollout: Rollout, ctx: Context) -> Feedback:
        return Score(value=float(rollout.output.split()[0] == "x"))

    assert run(context()._judged(NOTHING[kind], (breaks,))).score == 0.0
    assert run(context()._judged(NOTHING[kind], (raises,))).score == 0.0
    assert run(context()._judged(attempt("x"), (raises,))).score == 1.0
    assert run(context()._judged(attempt("x"), (breaks,))).score is None


def test_nothing_can_be_right_where_code_says_so() -> None:
    wanted = EXAMPLE.model_copy(update={"target": ""})
    silent = attempt(None, "failed").model_copy(update={"example": wanted})
    assert run(context()._judged(silent, (exactly(),))).score == 1.0
    assert run(context()._judged(silent, (regex(".+"),))).score == 0.0


@pytest.mark.fault(32)
def test_of_what_was_lost_nothing_is_known() -> None:
    lost = attempt(None, "lost", error="502")
    found = run(context()._judged(lost, (exactly(),)))
    assert (found.score, found.missing, lost.unanswered) == (None, True, False)


@improver(improves="prompt", learns_from=("edit",), needs=("model", "critic"))
async def from_edits(base: Candidate, ctx: Context) -> Any:
    """Learns from edits."""
    yield base


def test_a_kind_that_cannot_be_said_of_nothing_is_missing() -> None:
    async def verdict(rollout: Rollout, ctx: Context) -> Feedback:
        return Verdict(passed=False)

    store = MemoryStore()
    ctx = context(engine_for(store, new_run(store), Counting(), convert=convert), recipe=from_edits)
    (said,) = run(ctx._judged(NOTHING["failed"], (verdict,))).feedback
    assert isinstance(said, Missing) and said.expected == "edit"


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    ("error", "status", "score"),
    [
        (BadOutput("nothing", kind="empty"), "failed", 0.0),
        (Refused("no"), "failed", 0.0),
        (PromptTooLong("9 of 8 tokens"), "failed", 0.0),
        (BadOutput("half a line", kind="malformed"), "lost", None),
        (ModelUnavailable("400 what is this", kind="bad-request"), "lost", None),
    ],
)
def test_what_becomes_of_each_kind_of_failure_now_and_from_the_record(error: Any, status: str, score: float | None) -> None:
    def act(requests: Any) -> None:
        if "train 3" in requests[0].turns[-1].text:
            raise error

    store = MemoryStore()
    row = new_run(store)
    for act_now in (act, lambda requests: pytest.fail("it was asked again")):
        ctx = context(engine_for(store, row, Counting(say=lambda r, i: r.turns[-1].text.split("\n")[0] * 2, act=act_now)))
        rollouts = run(ctx.evaluate(BASE))
        assert [r.score for r in rollouts] == [score if i == 3 else 1.0 for i in range(8)]
        assert (rollouts[3].status, rollouts[3].error) == (status, str(error))
        ctx.engine.past.finish()


def test_one_request_without_a_reply_is_lost_where_others_are_answered_and_a_model_that_is_down_stops_the_run() -> None:
    class Late(Counting):
        async def generate(self, requests: Any) -> Any:
            if "train 3" in requests[0].turns[-1].text or self.down:
                await asyncio.sleep(0.02)
                raise ModelUnavailable("502", kind="server")
            return await super().generate(requests)

        down = False

    ctx = context(model=Late())
    rollouts = run(ctx.evaluate(BASE))
    assert [r.status for r in rollouts] == ["lost" if i == 3 else "ok" for i in range(8)]
    down = Late()
    down.down = True
    with pytest.raises(ModelUnavailable) as caught:
        run(context(model=down).evaluate(BASE))
    assert not isinstance(caught.value, NoReply)


@pytest.mark.fault(32, 37)
def test_a_judge_without_a_reply_is_a_judgement_that_is_missing() -> None:
    def act(requests: Any) -> None:
        raise ModelUnavailable("400", kind="bad-request")

    ctx = context(model=Counting(act=act))
    assert run(ctx._judged(attempt("x"), (judge("?"),))).missing
    world = ToyWorld()
    world.compare = pairwise("which?")  # type: ignore[attr-defined]
    ctx = context(model=Counting(act=act), world=world)
    assert run(ctx.compare(attempt("x"), attempt("y"))).kind == "missing"


@solver(needs=("model",))
async def drafts(example: Example, ctx: Context) -> Rollout:
    """A draft first."""
    await ctx.generate(f"draft of {example.question}")
    return await ctx.answer(example)


def test_a_solver_whose_own_text_cannot_be_had_has_no_answer_to_that_example() -> None:
    def act(requests: Any) -> None:
        if "draft of train 2" in requests[0].turns[-1].text:
            raise Refused("no drafts")

    ctx = context(model=Counting(say=lambda r, i: r.turns[-1].text.split("\n")[0] * 2, act=act))
    rollouts = run(ctx.evaluate(BASE.child(solver={"recipe": f"{__name__}:drafts"})))
    assert [r.score for r in rollouts] == [0.0 if i == 2 else 1.0 for i in range(8)]
    assert (rollouts[2].status, rollouts[2].error) == ("failed", "no drafts")


class Short(Counting):
    """A local model that cannot take long prompts."""

    def too_long(self, request: Request) -> PromptTooLong | None:
        return PromptTooLong("too long") if "train 5" in request.turns[-1].text else None


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_a_prompt_that_is_too_long_leaves_the_rest_of_its_wave_alone(rows: int) -> None:
    store = MemoryStore()
    row = new_run(store)
    kept = []
    for _ in range(2):
        model = Short(batch_rows=rows)
        ctx = context(engine_for(store, row, model))
        rollouts = run(ctx.evaluate(BASE, n=2))
        assert [r.status for r in rollouts] == ["failed" if r.example.id == "train5" else "ok" for r in rollouts]
        assert all("train 5" not in r.turns[-1].text for r in model.asked)
        kept.append([r.model_dump(mode="json") for r in rollouts])
        ctx.engine.past.finish()
    assert kept[0] == kept[1] and model.asked == []


def test_counts_of_attempts_and_the_reasons_of_those_without() -> None:
    long = Turn(role="assistant", text="so", finish="length")
    cut = attempt("x").model_copy(update={"turns": (long,), "feedback": (Score(value=1.0),)})
    missing = attempt("y").told(Missing(expected="score", message="the judge was away"))
    refused = NOTHING["failed"].told(Score(value=0.0))
    rollouts = [cut, missing, missing, refused, attempt("z")]
    assert tally(rollouts) == {"attempts": 5, "cut": 1, "unanswered": 1, "unscored": 3}
    assert reasons(rollouts) == [("the judge was away", 2), ("refused: no", 1), ("not judged", 1)]
    assert quoted(reasons(rollouts), 2) == '2 times "the judge was away"; once "refused: no"; and 1 other reasons'
    told = "toy: 400 The response was filtered as the prompt triggered a content management policy"
    assert reasons([attempt(None, "failed", error=told).told(Score(value=0.0))]) == [(told, 1)]
    assert measured([attempt("z")])["score"] is None
    assert measured(rollouts)["score"] == 0.5


def test_attempts_at_one_example_are_one_value_of_the_interval() -> None:
    """Sixteen examples, each asked eight times, half of them always right: sixteen values, not 128."""
    rollouts = [
        attempt("x").model_copy(update={"example": Example(id=f"e{i}", input=f"{i}"), "feedback": (Score(value=float(i % 2)),)})
        for i in range(16) for _ in range(8)
    ]  # fmt: skip
    found, once = measured(rollouts), measured(rollouts[::8])
    assert found == once and (found["n"], found["score"], found["missing"]) == (16, 0.5, 0)
    assert found["high"] - found["low"] > 0.4, "as wide as that of sixteen"
    more = [*rollouts, attempt("y")]
    assert measured(more) == {**found, "missing": 1}


def test_a_later_turn_that_failed_does_not_pass_for_the_earlier_answer() -> None:
    assert NOTHING["failed later"].output == ""
    assert run(context()._judged(NOTHING["failed later"], (exact,))).score == 0.0


@pytest.mark.fault(47)
@pytest.mark.parametrize("error", [OverflowError("too large"), ValueError("4300 digits"), RecursionError(), OSError(5, "gone")])
def test_a_checker_that_raises_on_one_answer_loses_that_judgement_alone(error: Exception) -> None:
    async def checker(rollout: Rollout, ctx: Context) -> Feedback:
        if rollout.output == "odd":
            raise error
        return Score(value=1.0)

    ctx = context()
    odd, plain = (run(ctx._judged(attempt(text), (checker,))) for text in ("odd", "plain"))
    (said,) = odd.feedback
    assert isinstance(said, Missing) and type(error).__name__ in said.message and "checker" in said.message
    assert (odd.score, plain.score) == (None, 1.0)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), InputError("wrong options")])
def test_what_is_of_the_run_is_no_error_of_one_answer(error: Exception) -> None:
    async def checker(rollout: Rollout, ctx: Context) -> Feedback:
        raise error

    with pytest.raises(type(error)):
        run(context()._judged(attempt("odd"), (checker,)))
