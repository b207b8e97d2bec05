"""The context: all that a recipe may touch. Each method is an effect, or is made of effects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, Self, TypeVar

from loopwright.core.answers import measured, quoted, reasons, tally
from loopwright.core.errors import BadOutput, InputError, LoopwrightError, NoReply, UnknownName
from loopwright.core.failing import error_of
from loopwright.core.feedback import Cost, Critique, Rater
from loopwright.core.fences import without_thinking
from loopwright.core.judging import Judging
from loopwright.core.model import Request, Sampling
from loopwright.core.policy import prompt_of
from loopwright.core.raised import raised
from loopwright.core.registry import get_recipe
from loopwright.core.rounds import Rounds
from loopwright.core.seen import Judgement, share_of, short
from loopwright.core.store import RolloutRow
from loopwright.core.types import Candidate, Example, Rollout, Turn, digest
from loopwright.core.weights import Weights
from loopwright.core.world import demonstration

T = TypeVar("T")


class Context(Judging, Weights, Rounds):
    """What a recipe is given as ``ctx``.

    policy: the candidate that ``answer`` samples from.
    rng: random numbers of this scope; the same in every run with this seed.
    """

    _changed: tuple[Sampling, dict[str, Any], Sampling] | None = None  # the last that was asked for: most recipes ask for one

    # ---- answering ------------------------------------------------------------------------------------------------

    async def answer(
        self, example: Example, message: str | None = None, *, after: Rollout | None = None, **sampling: Any
    ) -> Rollout:
        """The policy's answer. ``after`` and ``message`` go on from an earlier rollout with another user message."""
        (rollout,) = await self.samples(example, 1, message, after=after, **sampling)
        return rollout

    async def samples(
        self, example: Example, n: int, message: str | None = None, *, after: Rollout | None = None, **sampling: Any
    ) -> list[Rollout]:
        """n answers to the same conversation, from one call. Keyword arguments override fields of Sampling.

        A model that gives no answer (an empty one, a refusal, a prompt too long for it) gives a rollout of status ``failed``,
        whose answer is "". A reply that cannot be read at all gives one of status ``lost``; it has no score.
        """
        self.need("model")
        self.ask_no_more()
        turns = after.turns if after is not None else prompt_of(self.policy).render(example)
        if message is not None:
            turns = (*turns, Turn(role="user", text=message))
        elif after is not None:
            raise InputError("answer(after=...) needs a message to answer")
        adapter = self.policy.parts.get("adapter")
        request = Request(
            turns=tuple(t.said() for t in turns),
            sampling=self._sampling(sampling),
            n=n,
            adapter=str(adapter) if adapter is not None else None,
        )
        name = f"{self.scope}:{self.engine.past.asked(self.scope)}"
        try:
            reply = await self.engine.generate(
                self.scope, "policy", request, summary=short(turns[-1].text), compared=self._is_compared
            )
        except (BadOutput, NoReply) as error:
            made = _without_answer(name, example, turns, self.policy, error)
            return [made.model_copy(update={"id": digest([name, i])[:16]}) for i in range(n)]
        self._meter.add(reply.cost)
        share = share_of(reply.cost, n)
        return [
            Rollout(
                id=digest([name, i])[:16], example=example.hidden(), turns=(*turns, choice),
                candidate=self.policy.hash, cost=share,
            )  # fmt: skip
            for i, choice in enumerate(reply.choices)
        ]

    def _sampling(self, changes: dict[str, Any]) -> Sampling:
        if not changes:
            return self.sampling
        if self._changed is None or self._changed[:2] != (self.sampling, changes):
            made = Sampling.model_validate({**self.sampling.model_dump(by_alias=True), **changes})
            self._changed = (self.sampling, changes, made)
        return self._changed[2]

    async def generate(
        self, prompt: str | Sequence[Turn], *, system: str = "", role: str = "proposer", n: int = 1, **sampling: Any
    ) -> list[Turn]:
        """n texts by the model of a role (``policy``, ``proposer``, ``judge``); not an answer to an example.

        So what ends an answer, or what it must fit, does not hold for them unless it is given here. The limit of an answer does
        in a world that sets no other (``text_tokens``).
        """
        self.need("model")
        self.ask_no_more()
        most = getattr(self._world, "text_tokens", 0) or self.sampling.max_tokens
        sampling = {"stop": (), "schema": None, "max_tokens": most, **sampling}
        turns = [Turn(role="user", text=prompt)] if isinstance(prompt, str) else list(prompt)
        if system:
            turns.insert(0, Turn(role="system", text=system))
        request = Request(turns=tuple(turns), sampling=self._sampling(sampling), n=n)
        reply = await self.engine.generate(
            self.scope, role, request, summary=short(turns[-1].text), compared=self._is_compared
        )
        self._meter.add(reply.cost)
        return list(reply.choices)

    async def ask(
        self, message: str, *, after: Rollout | None = None, system: str = "", role: str = "judge", **sampling: Any
    ) -> str:
        """What the model of a role says to a message, alone or going on from a rollout; "" where it says nothing usable.

        Thinking in ``<think>`` tags before the answer is left out; where it was never ended there is no answer.
        """
        said = [t.said() for t in after.turns] if after is not None else []
        try:
            (reply,) = await self.generate([*said, Turn(role="user", text=message)], system=system, role=role, **sampling)
        except (BadOutput, NoReply):
            return ""
        return without_thinking(reply.text).strip()

    # ---- batches of work ------------------------------------------------------------------------------------------

    async def rollout(
        self, policy: Candidate, examples: Sequence[Example], *, n: int = 1, judge: bool = True, **sampling: Any
    ) -> list[Rollout]:
        """n judged attempts at each example, example by example; one model call each.

        judge=False leaves the judgement out, for recipes that have answers compared.
        """
        return await self._attempts(policy, [(e, None, None) for e in examples], n, judge, sampling)

    async def follow(
        self,
        policy: Candidate,
        rollouts: Sequence[Rollout],
        messages: Sequence[str],
        *,
        n: int = 1,
        judge: bool = True,
        **sampling: Any,
    ) -> list[Rollout]:
        """n judged attempts that go on from each rollout with a user message of its own, rollout by rollout.

        The rollouts must have come from ``rollout`` or ``follow``; an attempt is judged by what was said last.
        """
        if len(messages) != len(rollouts):
            raise InputError(f"expected one message a rollout, got {len(messages)} messages and {len(rollouts)} rollouts")
        return await self._attempts(
            policy, [(r.example, m, r) for r, m in zip(rollouts, messages, strict=True)], n, judge, sampling
        )

    async def _attempts(
        self,
        policy: Candidate,
        items: Sequence[tuple[Example, str | None, Rollout | None]],
        n: int,
        judge: bool,
        sampling: dict[str, Any],
    ) -> list[Rollout]:
        async def attempt(item: tuple[Example, str | None, Rollout | None], ctx: Context) -> list[Rollout]:
            example, message, after = item
            made = await ctx.tried(
                lambda ctx: ctx.samples(example, n, message, after=after, **sampling), lambda made: made[0].status == "lost"
            )
            if not judge:
                return [r.model_copy(update={"example": example}) for r in made]
            return [await ctx._finish(r, example, i) for i, r in enumerate(made)]

        # To a Solver the objective is what it is measured by, not what it may ask.
        critics = self._critics if self._solving else (self._world.checker,)
        branch = self.at(f"rollout{self._next()}", policy=policy, critics=critics)
        groups = await branch.map(attempt, items)
        rollouts = [r for group in groups for r in group]
        if judge:
            self.engine.failures.note(self.split, rollouts)
        await self._recorded(rollouts, n)
        await self.tell_raised(rollouts)
        if self.round:
            figures = self.engine.watched[branch.scope] = self.engine.watch(rollouts)
            await self.engine.event(
                "round", branch.scope, round=self.round, by=self._by, **measured(rollouts), **tally(rollouts), monitors=figures
            )
        return rollouts

    async def _finish(self, rollout: Rollout, example: Example, index: int) -> Rollout:
        """Judge against the objective, which may look at the target."""
        whole = rollout.model_copy(update={"example": example})

        async def judged(ctx: Context) -> Rollout:
            return whole.told(*(await ctx._judged(whole, self._critics)).feedback)

        return await self.tried(judged, lambda r: r.status != "lost" and error_of(r) is not None, of=f".{rollout.id}")

    async def tried(self, attempt: Callable[[Self], Awaitable[T]], failed: Callable[[T], bool], *, of: str = "") -> T:
        """What ``attempt`` comes to, made again in a new scope while it failed and the run's rules allow another try."""
        made = await attempt(self)
        for k in range(1, self.engine.failures.retries + 1):
            if not failed(made):
                break
            made = await attempt(self.at(f"again{k}{of}"))
        return made

    async def evaluate(
        self, candidate: Candidate, examples: Sequence[Example] | None = None, *, n: int = 1
    ) -> list[Rollout]:
        """The candidate used as it would be, its Solver included, on train examples unless told otherwise; judged."""
        if self._solving:
            raise LoopwrightError("Solvers and Critics cannot be told scores: ctx.evaluate is for Improvers")
        chosen = self.world.examples(self.split) if examples is None else examples
        objective = self._world.checker

        async def solved(example: Example, ctx: Context) -> Rollout:
            try:
                return await solve(candidate, example, ctx)
            except (BadOutput, NoReply) as error:  # of a Solver's own texts: then it has no answer to this example
                turns = prompt_of(candidate).render(example)
                return _without_answer(f"{ctx.scope}/unanswered", example, turns, candidate, error)

        async def attempt(item: tuple[Example, int], ctx: Context) -> Rollout:
            example, replicate = item
            ctx = ctx.at("solve", critics=self._world.critics, recipe=None, sampling=self._world.sampling)
            rollout = await ctx.tried(partial(solved, example), lambda made: made.status == "lost")
            judge = ctx.at("check", critics=(objective,), scramble=self._scramble, recipe=self.recipe)
            return await judge._finish(rollout, example, replicate)

        branch = self.at(f"evaluate{self._next()}", policy=candidate, recipe=None, compared=True)
        rollouts = await branch.map(attempt, [(e, k) for e in chosen for k in range(n)])
        self.engine.failures.note(self.split, rollouts)
        await self._recorded(rollouts, n)
        if len(rollouts) > 1:
            await branch.tell_unusual(rollouts, told=await self.tell_raised(rollouts))
        return rollouts

    async def _recorded(self, rollouts: Sequence[Rollout], n: int) -> None:
        """Record attempts, n at each example."""
        new = self.engine.unrecorded([r.id for r in rollouts])
        await self.engine.record(*(_row(self, r, i % n) for i, r in enumerate(rollouts) if r.id in new))

    async def tell_raised(self, rollouts: Sequence[Rollout]) -> set[str]:
        """Tell the report, and whoever watches, what a program or a check raised and how often: once of each split and error.

        Not of gate examples: what became of those is told after the run. Returns the ids of the attempts that were told of.
        """
        told: set[str] = set()
        for one in raised(rollouts) if self.split != "gate" else ():
            if (key := f"{self.split}/{one.who}/{one.error}") not in self.engine.raised:
                self.engine.raised.add(key)
                await self.engine.event("warning", f"raised/{key}", message=f"{self.split} examples: {one}")
                told.update(one.ids)
        return told

    async def tell_unusual(self, rollouts: Sequence[Rollout], told: Collection[str] = ()) -> None:
        """Tell the report, and whoever watches, how many answers were cut off, not given or not scored, where any were.

        told: ids of attempts of which the reason was told already; where there are no others, nothing is.
        """
        if told and all(r.id in told or not (r.cut or r.unanswered or r.score is None) for r in rollouts):
            return
        counts, why = tally(rollouts), quoted(reasons(rollouts))
        if self.split == "gate":  # what became of those is told after the run, except that a limit is too low
            counts, why = {name: counts[name] for name in ("attempts", "cut")}, ""
        if any(n for name, n in counts.items() if name != "attempts"):
            await self.engine.event("answers", self.scope, split=self.split, by=self._by, round=self.round, **counts, why=why)

    def demonstration(self, example: Example) -> str | None:
        """An answer to imitate, as ``core.world.demonstration`` gives it; whether it is right, ``worked`` tells."""
        if self._solving:
            raise LoopwrightError("Solvers and Critics are shown no targets: ctx.demonstration is for Improvers")
        return demonstration(self._world, example)

    async def worked(self, examples: Sequence[Example]) -> list[Rollout]:
        """The examples' demonstrations as answers, judged by the objective like any other; those without one are left out."""

        async def judged(item: tuple[Example, str], ctx: Context) -> Rollout:
            example, text = item
            turns = (*prompt_of(ctx.policy).render(example), Turn(role="assistant", text=text))
            answer = Rollout(id=digest(["worked", example.id])[:16], example=example, turns=turns)
            return await ctx._finish(answer, example, 0)

        shown = [(e, text) for e in examples if (text := self.demonstration(e)) is not None]
        return await self.at("worked", critics=(self._world.checker,)).map(judged, shown)

    # ---- weights, code, tools -------------------------------------------------------------------------------------

    async def run(self, code: str, *, stdin: str = "", files: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        """Python code in the sandbox; returns the Outcome as plain data. Raises SandboxMissing where there is none."""
        self.need("sandbox")
        return await self.engine.run_code(self.scope, code, stdin=stdin, files=files or {}, options=options)

    async def tool(self, name: str, text: str) -> str:
        """Call one of the world's tools."""
        self.need("tools")
        if name not in self._world.tools:
            raise UnknownName(f"tool of {self._world.name}", name, self._world.tools)
        return await self._world.tools[name](text, self.at(f"tool.{name}{self._next()}", recipe=None))

    async def verify(self, rollout: Rollout, tools: Sequence[str] = ()) -> Judgement:
        """What the world's tools find wrong with an answer: a Critique each, empty where a tool has no objection.

        tools: by name; all of them when empty.
        """
        self.need("tools")
        names = list(tools) or list(self._world.tools)
        if not names:
            raise InputError(f"{self._world.name} has no tools; add [tools] to task.toml or leave the recipe out")
        said = [
            Critique(comment=await self.tool(name, rollout.output), by=Rater(kind="code", name=name), about=rollout.id)
            for name in names
        ]
        judgement = Judgement(feedback=tuple(said))
        return self._scramble(rollout.id, judgement) if self._scramble is not None else judgement

    async def search(self, query: str) -> str:
        """The world's search tool."""
        return await self.tool("search", query)

    async def external(self, kind: str, content: Any, call: Callable[[], Awaitable[bytes]], *, summary: str = "") -> bytes:
        """Any other costly or changing thing (a person, a simulator's step, a user's function) as an effect."""

        async def perform() -> tuple[bytes, Cost]:
            return await call(), Cost()

        return await self.engine.effect(self.scope, kind, content, perform, summary=summary or kind)


async def solve(candidate: Candidate, example: Example, ctx: Context) -> Rollout:
    """The candidate's answer: through its Solver if it has one, else the policy's own."""
    ctx = ctx.at("answer", policy=candidate)
    part = candidate.parts.get("solver")
    if not isinstance(part, dict):
        return await ctx.answer(example.hidden())
    recipe = get_recipe(str(part["recipe"]))
    ctx.recipe = recipe
    options = part.get("options") or {}
    if not isinstance(options, dict):
        raise InputError(f"solver options must be a table, got {options!r}")
    rollout: Rollout = await recipe(example.hidden(), ctx, **options)
    return rollout


def _without_answer(
    name: str, example: Example, turns: tuple[Turn, ...], policy: Candidate, error: BadOutput | NoReply
) -> Rollout:
    """What becomes of a reply that cannot be used; ``name`` makes its id."""
    return Rollout(
        id=digest([name, "failed"])[:16], example=example.hidden(), turns=turns, candidate=policy.hash,
        status="lost" if isinstance(error, NoReply) or error.unreadable else "failed", error=str(error),
    )  # fmt: skip


def _row(ctx: Context, rollout: Rollout, replicate: int) -> RolloutRow:
    return RolloutRow(
        run=ctx.engine.run.id, id=rollout.id, candidate=rollout.candidate, example=rollout.example.id, split=ctx.split,
        round=ctx.round, replicate=replicate, score=rollout.score, data=rollout.model_dump_json().encode(),
    )  # fmt: skip


