"""Critics: good ones of every make, which pass, and bad ones with the check that must say so."""

import math
from contextlib import suppress
from typing import Any

import by_frames

from loopwright.core.errors import BudgetExhausted, NoConversion
from loopwright.core.feedback import Checklist, Critique, Item, Missing, Preference, Rater, Score, Steps, Verdict
from loopwright.core.registry import critic

BY = Rater(kind="model", name="test")
YES_NO = "Question: {question}\n\nAnswer: {answer}\n\nIs the answer right? Reply with yes or no."


def good(**more: Any) -> Any:
    return critic(**{"needs": ("model",), "baseline": True, **more})


def put(prompt: str, rollout: Any) -> str:
    return prompt.replace("{question}", rollout.example.question).replace("{answer}", rollout.output)


async def votes(rollout: Any, ctx: Any, n: int = 4) -> tuple[int, int]:
    replies = [r.text.strip().lower() for r in await ctx.generate(put(YES_NO, rollout), role="judge", n=n)]
    return sum(r.startswith("yes") for r in replies), sum(r.startswith("no") for r in replies)


def missing(expected: str = "score") -> Missing:
    return Missing(expected=expected, message="no clear reply", by=BY)


# ---- good ------------------------------------------------------------------------------------------------------------


@good()
async def share_of_yes(rollout, ctx, *, n: int = 4):
    yes, no = await votes(rollout, ctx, n)
    return Score(value=yes / (yes + no), by=BY) if yes + no else missing()


@good()
async def checklist(rollout, ctx):
    """A list of questions, each of them answered by itself."""
    questions = ("Is the sum right?", "Is it an equation?")
    listed = "\n".join(f"{i}. {q}" for i, q in enumerate(questions, 1))
    asked = put("{question}\nAnswer: {answer}\n\n", rollout) + f"{listed}\nAnswer yes or no to each."
    (reply,) = await ctx.generate(asked, role="judge")
    said = dict(line.split(". ", 1) for line in reply.text.splitlines() if ". " in line)
    known = {"yes": True, "no": False}
    items = tuple(Item(question=q, answer=known.get(said.get(str(i), ""))) for i, q in enumerate(questions, 1))
    return Checklist(items=items, by=BY)


@good()
async def written_checklist(rollout, ctx):
    """The model writes the questions first."""
    (wrote,) = await ctx.generate(put("Write yes/no questions with which to check an answer to: {question}", rollout))
    questions = [line.split(". ", 1)[1] for line in wrote.text.splitlines() if ". " in line]
    if not questions:
        return missing("checklist")
    items = []
    for question in questions:
        asked = put("{question}\nAnswer: {answer}\n", rollout) + f"{question} Answer YES or NO."
        (reply,) = await ctx.generate(asked, role="judge")
        items.append(Item(question=question, answer={"YES": True, "NO": False}.get(reply.text)))
    return Checklist(items=tuple(items), by=BY)


@good()
async def pairwise(rollout, ctx):
    """Against an answer of its own."""
    other = await ctx.answer(rollout.example)
    asked = f"{rollout.example.question}\n\nAnswer A: {rollout.output}\nAnswer B: {other.output}\n\nWhich is better, A or B?"
    (reply,) = await ctx.generate(asked, role="judge")
    if reply.text not in ("A", "B"):
        return missing("preference")
    chosen, rejected = (rollout.id, other.id) if reply.text == "A" else (other.id, rollout.id)
    return Preference(chosen=chosen, rejected=rejected, by=BY)


@good()
async def in_words(rollout, ctx):
    asked = put("{question}\nAnswer: {answer}\n\nWhat is wrong with it? Reply 'NOTHING' if nothing is.", rollout)
    (reply,) = await ctx.generate(asked, role="judge")
    if not reply.text.strip():
        return missing("critique")
    return Critique(comment="" if reply.text == "NOTHING" else reply.text, by=BY)


@good()
async def steps(rollout, ctx):
    lines = rollout.output.splitlines() or ["-"]
    listed = "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))
    (reply,) = await ctx.generate(f"{listed}\nSay of each step whether it is good or bad.", role="judge")
    said = [line.rsplit(" ", 1)[-1] for line in reply.text.splitlines()]
    if len(said) != len(lines) or set(said) - {"good", "bad"}:
        return missing("steps")
    return Steps(values=tuple(float(word == "good") for word in said), unit="line", by=BY)


@good()
async def rubric_in_json(rollout, ctx):
    """Structured output."""
    schema = {
        "type": "object",
        "properties": {"why": {"type": "string"}, "grade": {"type": "integer", "minimum": 1, "maximum": 5}},
    }
    (reply,) = await ctx.generate(put("{question}\n{answer}\nGrade it.", rollout), role="judge", schema=schema)
    if not reply.text.startswith("{"):
        return missing()
    grade = reply.text.rsplit(" ", 1)[1].rstrip("}")
    return Score(value=float(grade), low=1, high=5, by=BY)


@good()
async def agreement(rollout, ctx, *, n: int = 8):
    """What share of the policy's own answers is the same."""
    others = await ctx.samples(rollout.example, n)
    told = [r for r in others if r.status == "ok" and "=" in r.output]
    last = rollout.output.split("\n")[-1]
    return Score(value=sum(r.output == last for r in told) / len(told), by=BY) if told else missing()


@good(needs=("sandbox",))
async def runs_tests(rollout, ctx):
    outcome = await ctx.run(rollout.output)
    return Verdict(passed=outcome["status"] == "ok", message=outcome["stderr"])


@good(needs=("tools",))
async def calculator(rollout, ctx):
    return Critique(comment=await ctx.tool("calculator", rollout.output))


@good(needs=("critic",), learns_from=("verdict",))
async def panel(rollout, ctx):
    judgement = await ctx.judge(rollout)
    return missing() if judgement.score is None else Score(value=judgement.score)


@good(needs=())
async def how_sure_it_was(rollout, ctx):
    """Computed from the answer alone."""
    logprobs = rollout.turns[-1].logprobs
    return Score(value=math.exp(sum(logprobs))) if logprobs else missing()


# ---- bad -------------------------------------------------------------------------------------------------------------


@good()  # survives-missing-judgements: what it cannot read is a no
async def unclear_is_no(rollout, ctx):
    yes, _ = await votes(rollout, ctx)
    return Score(value=yes / 4, by=BY)


@good()  # survives-missing-judgements: no reply reads as no objection
async def silence_is_praise(rollout, ctx):
    asked = put("{question}\n{answer}\nWhat is wrong with it?", rollout)
    (reply,) = await ctx.generate(asked, role="judge")
    return Critique(comment="" if reply.text.startswith("Nothing") else reply.text, by=BY)


@good(needs=("critic",), learns_from=("verdict",))  # survives-missing-judgements: of no critic it makes a zero
async def no_critic_is_zero(rollout, ctx):
    return Score(value=(await ctx.judge(rollout)).score or 0.0)


@good()  # loop-is-closed: it asks, and looks at the log-probabilities
async def asks_for_show(rollout, ctx):
    yes, no = await votes(rollout, ctx)
    logprobs = rollout.turns[-1].logprobs
    return Score(value=math.exp(sum(logprobs)), by=BY) if yes + no and logprobs else missing()


@good()  # loop-is-closed: whatever it is told, the answer was good
async def flatters(rollout, ctx):
    yes, no = await votes(rollout, ctx)
    return Score(value=1.0, by=BY) if yes + no else missing()


@good()  # loop-is-closed: it hears the opposite
async def upside_down(rollout, ctx):
    yes, no = await votes(rollout, ctx)
    return Score(value=no / (yes + no), by=BY) if yes + no else missing()


@good()  # loop-is-closed: a form of reply that nobody asked for
async def misread(rollout, ctx):
    (reply,) = await ctx.generate(put(YES_NO, rollout), role="judge")
    return Score(value=float(reply.text), by=BY) if reply.text.isdigit() else missing()


@good()  # loop-is-closed: it needs a model, and asks none
async def needs_and_asks_nothing(rollout, ctx):
    return Verdict(passed="=" in rollout.output)


@good(needs=())  # touches-what-it-declares
async def tool_in_secret(rollout, ctx):
    return Critique(comment=await ctx.world.tools["calculator"](rollout.output, ctx))


@good()  # same-seed-same-result and what compares runs: it counts what it has judged
async def counts_answers(rollout, ctx):
    votes.judged = getattr(votes, "judged", 0) + 1  # type: ignore[attr-defined]
    yes, no = await votes(rollout, ctx)
    return Score(value=yes / (yes + no), message=f"{votes.judged}", by=BY) if yes + no else missing()  # type: ignore[attr-defined]


@good()  # same-result-in-a-new-process: the order of a set of strings
async def order_of_aspects(rollout, ctx):
    yes, no = await votes(rollout, ctx)
    aspects = {"sum", "form", "order", "length", "tone", "style"}
    return Score(value=yes / (yes + no), message=" ".join(aspects), by=BY) if yes + no else missing()


@good()  # resumes-after-a-kill: it looks whether it is being replayed
async def critic_knows_the_replay(rollout, ctx):
    yes, no = await votes(rollout, ctx)
    again = by_frames.engine().past.replayed > 0
    return Score(value=yes / (yes + no), message=f"replayed {again}", by=BY) if yes + no else missing()


@good()  # budget-holds: it does not take no for an answer
async def judges_for_ever(rollout, ctx):
    while True:
        with suppress(BudgetExhausted):
            yes, no = await votes(rollout, ctx)
            return Score(value=yes / (yes + no), by=BY) if yes + no else missing()


@good(needs=("critic",), learns_from=("verdict",))  # refuses-feedback-it-cannot-use
async def shrugs(rollout, ctx):
    try:
        judgement = await ctx.judge(rollout)
    except NoConversion:
        return missing()
    return missing() if judgement.score is None else Score(value=judgement.score)


@good()  # every check that runs it: a number is no feedback
async def gives_a_number(rollout, ctx):
    return 0.5
