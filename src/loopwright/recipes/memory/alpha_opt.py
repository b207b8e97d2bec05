"""AlphaOPT: a library of insights {taxonomy, condition, explanation, example}, learned from solver feedback, conditions evolved.

Kong et al., "AlphaOPT: Formulating Optimization Programs with Self-Improving LLM Experience Library", arXiv:2510.18428, and the
authors' code. Train problems are answered with the insights that apply so far. Learning: where the checker finds an answer wrong,
the model is shown what was said and corrects it until it is right, up to ``explore`` times; from the wrong and the right answer
it writes insights, kept only where the problem is then answered rightly with them, in up to ``verify`` tries. New insights that
repeat old ones are merged, where all their problems are still answered rightly. Evolution: insights that misled or were missed
get new conditions: of ``variants`` the one that retrieves best over these problems and those it was right for.

A candidate's part ``library`` is what was learned; ``with-library`` answers with it. It wants a model that can correct a wrong
answer now and then, and problems whose answers can be checked exactly: the world ``modelling``. It costs, a batch and failure,
up to explore + 2 * verify calls, and as many answers as insights are probed.

How this differs: a round learns from a batch and evolves the library at once, where the authors learn from all train data first.
It learns from answers alone, not from reference programs. What misled or was missed is found by answering without or with it,
where the authors let a model label it. Insights on formulation and code are not told apart; two are merged at a time. The library
is offered where it is no worse on ``screen`` train problems.
"""

from collections.abc import AsyncGenerator, Sequence

from pydantic import JsonValue

from loopwright.blocks.experience import Experience, Seen, listed, said_of
from loopwright.blocks.library import Insight, applicable, as_part, headings, read_insights
from loopwright.blocks.replies import read_list
from loopwright.blocks.select import mean_score
from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.registry import improver
from loopwright.core.templates import filled
from loopwright.core.types import Candidate, Example, Rollout

ANSWERING = "loopwright.recipes.memory.with_library:with_library"
CORRECT = "That is not right. {feedback}\nFind out what is wrong with it and answer the problem again, in the same form."
EXTRACT = (
    "A problem was answered wrongly first.\n\nProblem:\n{question}\n\nWrong answer:\n{wrong}\n\nWhat was said of it: {feedback}\n"
    "\nRight answer:\n{right}\n\nWrite an instruction or two that would have prevented the mistake and hold for other problems "
    "of this kind, with none of this one's numbers. Headings so far: {headings}. Reply as a JSON list: "
    '[{"taxonomy": "area/heading", "condition": "when it applies, and when not", "explanation": "what to do, and why", '
    '"example": "the wrong and the right way, in a line each"}]'
)
MERGE = (
    "Two notes are filed under one heading:\n1. {one}\n2. {other}\n\nIf they teach the same, write one note that says what both "
    'do, as JSON: {"taxonomy": "{heading}", "condition": "...", "explanation": "...", "example": "..."}. Otherwise reply "no".'
)
REFINE = (
    "A note applies on a condition.\nCondition: {condition}\nNote: {explanation}\n\nIt misled whoever worked on these problems, "
    "so the condition must leave them out:\n{negative}\n\nIt was missed in these, where it would have helped, so the condition "
    'must hold for them:\n{unretrieved}\n\nWrite {variants} different better conditions, as a JSON list of texts.'
)


@improver(paper="arXiv:2510.18428", improves="memory", needs=("model", "critic"), learns_from=("verdict", "score"))
async def alpha_opt(
    base: Candidate,
    ctx: Context,
    *,
    rounds: int = 4,
    batch: int = 12,
    explore: int = 3,
    verify: int = 3,
    variants: int = 5,
    probes: int = 3,
    screen: int = 16,
    correct: str = CORRECT,
    extract: str = EXTRACT,
    merge: str = MERGE,
    refine: str = REFINE,
    temperature: float = 0.7,
    max_tokens: int = 800,
) -> AsyncGenerator[Candidate, bool]:
    """probes: insights left out, and others put in, to find out what went wrong with one failed problem."""
    if base.parts.get("solver"):
        raise InputError("alpha-opt answers with its library; leave out [solver], or the solver accepted before it")
    pool = {e.id: e for e in ctx.world.examples("train")}
    watched, known = ctx.rng.sample(list(pool.values()), min(screen, len(pool))), Experience(pool)

    def version(insights: Sequence[Insight], retrieve: bool) -> Candidate:
        if not insights:
            return base
        solver: JsonValue = {"recipe": ANSWERING, "options": {} if retrieve else {"retrieve": False}}
        return base.child(by="alpha-opt", note=f"{len(insights)} insights", library=as_part(insights), solver=solver)

    async def answered(example: Example, insights: Sequence[Insight], ctx: Context) -> Rollout:
        return (await ctx.evaluate(version(insights, False), [example]))[0]

    async def solves(example: Example, insights: Sequence[Insight], ctx: Context) -> bool:
        return (await answered(example, insights, ctx)).score == 1.0

    async def retrieved(example: Example, insights: Sequence[Insight], ctx: Context) -> list[Insight]:
        return await applicable(example.question, insights, lambda asked: ctx.ask(asked, role="policy", temperature=0.0))

    async def write(prompt: str, fields: dict[str, str], ctx: Context) -> str:
        return await ctx.ask(filled(prompt, fields), role="proposer", temperature=temperature, max_tokens=max_tokens)

    async def attempt(example: Example, ctx: Context) -> Seen:
        told = await retrieved(example, known.library, ctx)
        return Seen(example, told, await answered(example, told, ctx))

    async def learned(seen: Seen, ctx: Context) -> list[Insight]:
        """What a failure teaches, verified on its own problem."""
        rollout = seen.rollout
        for _ in range(explore):
            if rollout.score is None or rollout.score == 1.0:
                break
            said = [filled(correct, {"feedback": said_of(rollout)})]
            (rollout,) = await ctx.follow(base, [rollout], said, temperature=temperature)
        fields = {
            "question": seen.example.question, "wrong": seen.rollout.output, "feedback": seen.said,
            "right": rollout.output, "headings": ", ".join(headings(known.library)) or "(none)",
        }  # fmt: skip
        for _ in range(verify if rollout.score == 1.0 else 0):
            made = read_insights(await write(extract, fields, ctx), [seen.example.id])
            if made and await solves(seen.example, [*seen.told, *made], ctx):
                return made
        return []

    async def merged(old: Insight, new: Insight, ctx: Context) -> list[Insight]:
        fields = {"one": old.explanation, "other": new.explanation, "heading": new.taxonomy}
        return read_insights(await write(merge, fields, ctx), (), loose=False)

    async def told(problems: list[Example], library: Sequence[Insight], ctx: Context) -> list[list[Insight]]:
        return await ctx.map(lambda example, ctx: retrieved(example, library, ctx), problems)

    async def refined(insight: Insight, ctx: Context) -> str:
        """The best condition of all, judged by whom the insight is told."""
        record = known.records[insight.id]
        fields = {
            "condition": insight.condition or "(always)", "explanation": insight.explanation, "variants": str(variants),
            "negative": listed(record.negative), "unretrieved": listed(record.unretrieved),
        }  # fmt: skip
        return await known.fittest(insight, read_list(await write(refine, fields, ctx))[:variants], told, ctx)

    top = mean_score(await ctx.evaluate(base, watched))
    async for examples in ctx.batches(batch, rounds=rounds):
        seen = await ctx.map(attempt, examples)
        before = as_part(known.library)
        for made in await ctx.map(learned, [s for s in seen if not s.right and s.rollout.score is not None]):
            for insight in made:
                await known.file(insight, merged, solves, ctx)
        for one, effects in zip(seen, await ctx.map(lambda s, ctx: known.effects(s, probes, solves, ctx), seen), strict=True):
            known.note(one.example, effects)
        asked = known.unsettled()
        for insight, condition in zip(asked, await ctx.map(refined, asked), strict=True):
            known.settle(insight, condition)
        candidate = version(known.library, True)
        if as_part(known.library) != before and (score := mean_score(await ctx.evaluate(candidate, watched))) >= top:
            top = score
            yield candidate
