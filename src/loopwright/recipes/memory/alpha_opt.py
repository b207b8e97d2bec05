"""AlphaOPT: a library of insights {taxonomy, condition, explanation, example}, learned from solver feedback, conditions evolved.

Kong et al., "AlphaOPT: Formulating Optimization Programs with Self-Improving LLM Experience Library", arXiv:2510.18428, and the
authors' code. Train problems are answered with the insights that apply so far. Learning: where the checker (a solver, say) finds
an answer wrong, the model is shown what was said and corrects it until it is right, up to ``explore`` times; from the wrong and
the right answer it writes insights; they are kept only where the problem is now answered rightly with them at hand, in up to
``verify`` tries. New insights that repeat old ones of the same heading are merged, where all their problems are still answered
rightly. Evolution: insights that mislead (negative) or were missed where they help (unretrieved) get new conditions: of
``variants`` the one that retrieves best over these problems and those it was right for, if it beats the old one.

A candidate's part ``library`` is what was learned; ``with-library`` answers with it. It wants a model that can correct a wrong
answer now and then, and problems whose answers can be checked exactly: the world ``modelling``. It costs, a batch and failure,
up to explore + 2 * verify calls, and as many answers as insights are probed.

How this differs: a round learns from a batch and evolves the library with it at once, where the authors learn from all train
data first and then evolve in iterations. It learns from answers alone, never from reference programs. What misled or was missed
is found by answering without or with the insight, where the authors let a model label it. Merging is of two insights at a time.
Insights on formulation and code are not told apart. The library is offered where it is no worse on ``screen`` train problems.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from loopwright.blocks.library import Insight, applicable, as_part, headings, read_insights, recondition
from loopwright.blocks.replies import read_list
from loopwright.blocks.templates import filled
from loopwright.core.context import Context
from loopwright.core.errors import InputError
from loopwright.core.registry import improver
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


@dataclass
class Seen:
    """One problem of a batch, with the insights that were told."""

    example: Example
    told: list[Insight]
    rollout: Rollout

    @property
    def right(self) -> bool:
        return self.rollout.score == 1.0


@dataclass
class Record:
    """Problems for which an insight was told and right, misled, or was missed."""

    positive: dict[str, Example] = field(default_factory=dict)
    negative: dict[str, Example] = field(default_factory=dict)
    unretrieved: dict[str, Example] = field(default_factory=dict)


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
    watched = ctx.rng.sample(list(pool.values()), min(screen, len(pool)))
    library: list[Insight] = []
    records: dict[str, Record] = {}

    def version(insights: Sequence[Insight], retrieve: bool) -> Candidate:
        if not insights:
            return base
        solver: JsonValue = {"recipe": ANSWERING, "options": {} if retrieve else {"retrieve": False}}
        return base.child(by="alpha-opt", note=f"{len(insights)} insights", library=as_part(insights), solver=solver)

    async def answered(example: Example, insights: Sequence[Insight], ctx: Context) -> Rollout:
        return (await ctx.evaluate(version(insights, False), [example]))[0]

    async def retrieved(example: Example, insights: Sequence[Insight], ctx: Context) -> list[Insight]:
        async def ask(asked: str) -> str:
            return await ctx.ask(asked, role="policy", temperature=0.0)

        return await applicable(example.question, insights, ask)

    async def write(prompt: str, fields: dict[str, str], ctx: Context) -> str:
        return await ctx.ask(filled(prompt, fields), role="proposer", temperature=temperature, max_tokens=max_tokens)

    async def attempt(example: Example, ctx: Context) -> Seen:
        told = await retrieved(example, library, ctx)
        return Seen(example, told, await answered(example, told, ctx))

    async def learned(seen: Seen, ctx: Context) -> list[Insight]:
        """What a failure teaches, verified on its own problem."""
        rollout = seen.rollout
        for _ in range(explore):
            if rollout.score is None or rollout.score == 1.0:
                break
            message = correct.replace("{feedback}", _said(rollout))
            (rollout,) = await ctx.follow(base, [rollout], [message], temperature=temperature)
        if rollout.score != 1.0:
            return []
        fields = {
            "question": seen.example.question, "wrong": seen.rollout.output, "feedback": _said(seen.rollout),
            "right": rollout.output, "headings": ", ".join(headings(library)) or "(none)",
        }  # fmt: skip
        for _ in range(verify):
            made = read_insights(await write(extract, fields, ctx), [seen.example.id])
            if made and (await answered(seen.example, [*seen.told, *made], ctx)).score == 1.0:
                return made
        return []

    async def filed(new: Insight, ctx: Context) -> None:
        """Merged with one of its heading where that still serves all their problems, else added."""
        for i, old in enumerate(library):
            sources = tuple(dict.fromkeys([*old.sources, *new.sources]))
            if old.id == new.id:
                library[i] = old.model_copy(update={"sources": sources})
                return
            if old.taxonomy != new.taxonomy:
                continue
            fields = {"one": old.explanation, "other": new.explanation, "heading": new.taxonomy}
            for merged in read_insights(await write(merge, fields, ctx), sources, loose=False)[:1]:
                served = [await answered(pool[s], [merged], ctx) for s in sources]
                if all(r.score == 1.0 for r in served):
                    library[i] = merged.model_copy(update={"taxonomy": new.taxonomy})
                    records[library[i].id] = records.pop(old.id, Record())
                    return
        library.append(new)

    async def diagnosed(seen: Seen, ctx: Context) -> list[tuple[str, str]]:
        """(insight, what it was to this problem): told and right, misleading, or missed."""
        if seen.right:
            return [(i.id, "positive") for i in seen.told]
        said = []
        for insight in seen.told[:probes]:
            if (await answered(seen.example, [i for i in seen.told if i != insight], ctx)).score == 1.0:
                said.append((insight.id, "negative"))
        known = {i.id for i in seen.told}
        for insight in [i for i in library if i.id not in known and seen.example.id not in i.sources][:probes]:
            if (await answered(seen.example, [*seen.told, insight], ctx)).score == 1.0:
                said.append((insight.id, "unretrieved"))
        return said

    async def refined(insight: Insight, ctx: Context) -> str:
        """The best condition of all, judged by whom the insight is told."""
        record = records[insight.id]
        wanted = [*record.positive.values(), *record.unretrieved.values()]
        fields = {
            "condition": insight.condition or "(always)", "explanation": insight.explanation, "variants": str(variants),
            "negative": _listed(record.negative), "unretrieved": _listed(record.unretrieved),
        }  # fmt: skip
        best, most = insight.condition, len(record.positive)
        for condition in read_list(await write(refine, fields, ctx))[:variants]:
            changed = recondition(library, insight.id, condition)

            async def told(example: Example, ctx: Context, changed: list[Insight] = changed) -> bool:
                return any(i.id == insight.id for i in await retrieved(example, changed, ctx))

            hits = sum(await ctx.map(told, wanted))
            hits += sum(not hit for hit in await ctx.map(told, list(record.negative.values())))
            if hits > most:
                best, most = condition, hits
        return best

    top = await _mean(ctx, base, watched)
    async for examples in ctx.batches(batch, rounds=rounds):
        seen = await ctx.map(attempt, examples)
        before = as_part(library)
        for made in await ctx.map(learned, [s for s in seen if not s.right and s.rollout.score is not None]):
            for insight in made:
                await filed(insight, ctx)
        for one, said in zip(seen, await ctx.map(diagnosed, seen), strict=True):
            for id, kind in said:
                getattr(records.setdefault(id, Record()), kind)[one.example.id] = one.example
        asked = [i for i in library if (r := records.get(i.id)) and (r.negative or r.unretrieved)]
        for insight, condition in zip(asked, await ctx.map(refined, asked), strict=True):
            library = recondition(library, insight.id, condition)
            records[insight.id] = Record(positive=records[insight.id].positive)
        if as_part(library) == before:
            continue
        made_now = version(library, True)
        score = await _mean(ctx, made_now, watched)
        if score >= top:
            top = score
            yield made_now


def _said(rollout: Rollout) -> str:
    return "\n".join(f.text for f in rollout.feedback if f.text) or "It is wrong."


def _listed(problems: dict[str, Example]) -> str:
    return "\n".join(f"- {e.question}" for e in problems.values()) or "(none)"


async def _mean(ctx: Context, candidate: Candidate, examples: Sequence[Example]) -> float:
    known = [r.score for r in await ctx.evaluate(candidate, examples) if r.score is not None]
    return sum(known) / len(known) if known else 0.0
