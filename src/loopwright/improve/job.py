"""The main job: measure, try a portfolio, let the gate decide, prove it on examples that nothing has seen."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loopwright import __version__
from loopwright.blocks.monitors import parse_rule
from loopwright.core import loop
from loopwright.core.budget import Reserve
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import BudgetExhausted, Diverged, InputError, MethodEnded, UnknownName
from loopwright.core.failing import ErrorRules, Failures
from loopwright.core.feedback import FREE, Cost
from loopwright.core.gate import Gate, summarise
from loopwright.core.groups import counts_of, unit_scores, units
from loopwright.core.identity import ENDED
from loopwright.core.loop import Incumbent
from loopwright.core.model import Model, Trainable
from loopwright.core.outfolder import OutFolder, reserve
from loopwright.core.outputs import check_folder
from loopwright.core.raised import told
from loopwright.core.registry import get_recipe
from loopwright.core.store import RunRow, Store, refuse_pruned
from loopwright.core.types import Budget, Candidate
from loopwright.core.world import Split, start
from loopwright.improve import faults, lengths, stream, uses
from loopwright.improve.caps import EVENT as CAPS
from loopwright.improve.caps import in_force, new_caps, told_of_an_end
from loopwright.improve.changed import about, code_of, kept_versions, refused, since
from loopwright.improve.gating import (
    beforehand,
    copies_between,
    earlier_runs,
    gate_of,
    made_by,
    refuse_start,
)
from loopwright.improve.keeping_back import MEASURED, KeptBack
from loopwright.improve.parts import methods_of, models_of, store_folder, task_of
from loopwright.improve.portfolio import Method, changes, wrap_solver
from loopwright.improve.proving import Proving
from loopwright.improve.ready import make_ready
from loopwright.improve.session import Progress, driving, folder_of, quiet
from loopwright.models.names import ModelName, recorded, shown_model
from loopwright.store import open_store
from loopwright.worlds.files import Task
from loopwright.worlds.held_out import held_out
from loopwright.worlds.named import NamedWorld
from loopwright.worlds.task import TOO_LONG

CHANGE = ("prompt", "weights", "answers")
ROLES = ("judge", "proposer")  # that another model may play
LEFT = ("artifact", "unproven", "result.json", "report.html")  # what a run leaves in its folder


async def run_improve(
    task_folder: Path | str | None = None,
    *,
    world: str = "",
    change: Sequence[str] = CHANGE,
    model: ModelName | None = None,
    seed: int = 0,
    budget: Budget | None = None,
    out: Path | str | None = None,
    numbered: bool = False,
    force: bool = False,
    store_path: Path | str = ".loopwright/",
    methods: Mapping[str, Mapping[str, Any]] | None = None,
    only: Sequence[str] = (),
    cache: bool = True,
    stop: Sequence[str] = (),
    others: Mapping[str, ModelName] | None = None,
    device: str = "auto",
    fresh_gate: bool = False,
    too_long: str = "",
    fail_on_error: bool | float | str | None = None,
    retry_on_error: int | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Improve what a task folder describes; see the command ``loopwright improve``.

    world: instead of a folder, a world by name, as ``worlds.named.named_world`` takes it.
    out: the folder of artifact, result and report. It is the run's alone: one that belongs to another run, or holds files of
    these names, is refused. numbered: instead take OUT-2, OUT-3, ...; so it is with "out", where none is given. force: take it
    over from an earlier run that has ended; what that run wrote there, and nobody changed, is removed.
    model: over that of task.toml: a text, or a table as ``[model]`` there, such as {"name": "gpt-4o-mini", "omit": ["seed"]}.
    methods: options by recipe slug, over those of task.toml. only: run just these recipes.
    too_long: what becomes of examples whose prompt does not fit the context ("mark", "drop", "truncate", "stop"), over that of
    task.toml.
    others: models of roles that ``model`` is not to play: of a ``judge``, of a ``proposer`` that writes prompts.
    device: where embedded models compute: "auto" (CUDA where there is one), "cpu", "cuda".
    stop: rules such as "entropy<0.1" that end a recipe's rounds by what ``blocks.monitors`` sees of its last one.
    fresh_gate: draw train and gate anew, never test: earlier runs asked the gate that there was.
    fail_on_error, retry_on_error: when examples that have an error end the run, and how often each is tried again, over those of
    task.toml: see ``core.failing.ErrorRules``.
    Returns the result that ``--json`` prints. Raises LoopwrightError; a paused or failed run stays in the store.
    """
    if out is None:
        out, numbered = "out", True
    check_folder(out, "--out")
    if (task_folder is None) != bool(world):
        raise InputError("expected a task folder or the name of a world, got " + ("both" if world else "neither"))
    place = {"world": world} if task_folder is None else {"folder": str(Path(task_folder).resolve())}
    task = task_of(place)
    spec: dict[str, Any] = {
        "job": "improve",
        **place,
        "task": task.spec(),
        "change": changes(change),
        "model": recorded(model or task.model or "embedded"),
        "methods": {slug: dict(options) for slug, options in (methods or {}).items()},
        "only": list(only),
        "out": "",
        "cache": cache,
        "stop": [str(parse_rule(rule)) for rule in stop],
    }
    if unknown := set(others or {}) - {*ROLES}:
        raise UnknownName("role of a model", min(unknown), ROLES)
    if roles := {**task.others, **(others or {})}:
        spec["others"] = {role: recorded(name) for role, name in roles.items()}
    if device != "auto":
        spec["device"] = device
    if too_long:
        if too_long not in TOO_LONG:
            raise UnknownName("policy for prompts that are too long", too_long, TOO_LONG)
        spec["too_long"] = too_long
    written = getattr(task, "errors", ErrorRules())
    rules = ErrorRules.checked(
        written.fail_on_error if fail_on_error is None else fail_on_error,
        written.retry_on_error if retry_on_error is None else retry_on_error,
    )
    spec["errors"] = rules.model_dump()
    caps = budget or task.budget
    chosen = methods_of(task, spec)  # a mistyped recipe or option is found before anything is loaded
    spec["code"] = code_of(__version__, task, {m.slug: m.recipe for m in chosen})
    if unseen := spec["code"].get("unseen"):
        progress("notice", {"message": f"a resumed run would not notice a change of {'; '.join(unseen)}"})
    store = open_store(store_folder(store_path))
    try:
        async with models_of(spec, store, caps) as models:
            spec["fingerprint"] = models["policy"].fingerprint
            earlier = earlier_runs(store, None, task.questions)
            spec["split"] = {
                "weights": isinstance(models["policy"], Trainable) and any("fit" in m.recipe.card.needs for m in chosen),
                "fresh": earlier.fresh + 1 if fresh_gate else 0,
            }
            if fresh_gate and (run := made_by(store, earlier, start(task), spec["model"])):
                raise refuse_start(run)
            task = task.divided(**spec["split"])
            spec["task"] = task.spec()
            if roles:
                spec["fingerprints"] = {role: models[role].fingerprint for role in roles}
            with reserve(out, names=LEFT, numbered=numbered, force=force) as folder:
                spec["out"] = str(folder.path.resolve())
                row = store.create_run(spec, seed=seed, budget=caps.model_dump(), code_version=__version__)
                return await _drive(store, row, task, models, caps, progress, folder)
    finally:
        store.close()


async def resume_improve(
    run: str, *, store_path: Path | str = ".loopwright/", progress: Progress = quiet, budget: Budget | None = None,
    model: ModelName | None = None, others: Mapping[str, ModelName] | None = None, fork: bool = False,
    out: Path | str | None = None, keep_failures: bool = False, fail_on_error: bool | float | str | None = None,
) -> dict[str, Any]:
    """Go on with a run that was paused, killed or failed. Nothing that was recorded is done or paid again.

    Args:
        run: its id, the beginning of it, or "last".
        store_path: of the store that holds it.
        progress: told of what happens.
        budget: caps in place of those of the same name that it has; a cap below what it has spent is refused.
        model: the same model reached in another way, as where a key has another variable now.
        others: likewise of other roles.
        fork: go on although task or code changed: in a new run that takes over what the old one recorded and is still valid.
        keep_failures: leave examples as they are that failed before; else those that nothing was built on are asked again.
        out: of a fork: the folder for its results; None for one beside the parent's.
        fail_on_error: when examples that have an error end the run, this time; None for the run's own rule.

    Returns:
        The result, as of ``run_improve``; of a fork with its ``parent``.

    Raises:
        Diverged: the task, the code or the model changed since, and this is no fork; nothing was paid then.
        InputError: a cap is less than what was spent; ``out`` without ``fork``.
        RunBusy: another process drives the run.
    """  # fmt: skip
    if out is not None and not fork:
        raise InputError("out goes with fork: a run that is gone on with keeps its folder")
    store = open_store(store_folder(store_path))
    try:
        row = store.run(run)
        refuse_pruned(row)
        check_folder(str(row.spec.get("out", ".")), "out")
        if row.spec.get("job") == stream.JOB:
            if fork:
                raise InputError("a learner's run is not forked: its steps cost nothing but their time, so start a new run")
            if fail_on_error is not None:
                raise InputError("fail_on_error is about examples, of which a learner's run has none")
            return await stream.resume_stream(store, row, progress)
        if row.spec.get("job") != "improve":
            raise InputError(f"run {row.id} comes from {row.spec.get('job')!r}, not from 'improve'; it cannot be gone on with")
        task = task_of(row.spec)
        if "split" in row.spec:
            task = task.divided(**row.spec["split"])
        code = code_of(__version__, task, {m.slug: m.recipe for m in methods_of(task, row.spec)})
        changes = since(row, task, code)
        if changes.matters and not fork:
            raise refused(row, changes)
        if changes.notes:
            progress("notice", {"message": f"changed since run {row.id} began, without effect: {'; '.join(changes.notes)}"})
        task = kept_versions(row, task, changes)
        caps = new_caps(store, row, budget, fork=fork)
        if row.status == "done" and not fork and budget is not None:
            progress("notice", {"message": told_of_an_end(row, budget)})
        named: dict[str, Any] = {"model": recorded(model)} if model else {}
        if others:
            named["others"] = {**row.spec.get("others", {}), **{role: recorded(name) for role, name in others.items()}}
        if fail_on_error is not None:
            rules = ErrorRules(**row.spec["errors"]) if "errors" in row.spec else ErrorRules()
            named["errors"] = ErrorRules.checked(fail_on_error, rules.retry_on_error).model_dump()
        row = replace(row, spec={**row.spec, **named})
        async with models_of(row.spec, store, caps) as models:
            for role, begun in {"policy": row.spec["fingerprint"], **row.spec.get("fingerprints", {})}.items():
                if models[role].fingerprint != begun:
                    other = row.spec["model"] if role == "policy" else row.spec["others"][role]
                    raise Diverged(f"the model {shown_model(other)} is not the one run {row.id} began with; start a new run")
            if not fork:
                return await _drive(store, row, task, models, caps, progress, again=not keep_failures)
            with reserve(out or f"{row.spec['out']}-fork", names=LEFT, numbered=out is None) as folder:
                told = {"parent": changes.parent(row.id), "out": str(folder.path.resolve())}
                spec = {**row.spec, "task": task.spec(), "code": code, **told}
                row = store.create_run(spec, seed=row.seed, budget=caps.model_dump(), code_version=__version__)
                return await _drive(store, row, task, models, caps, progress, folder)
    finally:
        store.close()


async def run_recipe(
    slug: str, *, options: Mapping[str, Any], task_folder: Path | str | None = None, **more: Any
) -> dict[str, Any]:
    """One recipe alone on a task or world, with the same engine, gate and report. Keyword arguments as for ``run_improve``."""
    get_recipe(slug)
    return await run_improve(task_folder, methods={slug: options}, only=[slug], **more)


async def _drive(
    store: Store, row: RunRow, task: Task | NamedWorld, models: Mapping[str, Model], caps: Budget, progress: Progress,
    folder: OutFolder | None = None, again: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """folder: reserved for a run that begins; one that is gone on with takes its own again. again: see ``driving``."""
    model, others = models["policy"], {role: model for role, model in models.items() if role != "policy"}
    # "cache" decides what is paid, not what comes out, except that a warm cache changes the composition of local batches.
    cache = row.spec["cache"]
    before, times = in_force(store, row)
    async with driving(store, row, model, cache=cache, progress=progress, budget=caps, others=others, again=again) as engine:
        if (given := caps.model_dump()) != before:
            await engine.event(CAPS, str(times), caps=given)
        with folder or folder_of(row, progress) as out:
            out.claim(row.id)
            return await _Job(engine, task, model, row.spec, progress, out).run()


class _Job(Proving):
    def __init__(
        self, engine: Engine, task: Task | NamedWorld, model: Model, spec: Mapping[str, Any], progress: Progress, out: OutFolder
    ) -> None:
        self.engine = engine
        self.base = start(task, by="task")
        policy = str(spec.get("too_long") or getattr(task, "too_long", "mark"))
        self.task, self.too_long = lengths.fitted(task, model, self.base, policy)
        self.model = model
        self.spec = spec
        self.progress = progress
        self.out = out
        self.ctx = Context(engine, "improve", world=self.task, policy=self.base)
        self.reserve = Reserve(engine.ledger, test=FREE)
        self.incumbent = Incumbent(self.ctx, self.base, Gate(), self.reserve)
        self.earlier = earlier_runs(engine.store, engine.run, task.questions)
        self.made_by = made_by(engine.store, self.earlier, self.base, spec["model"])
        self.kept = KeptBack(self.task, model, self.base, engine.ledger.budget)
        self.held_out = held_out(task, self.task)
        if "errors" in spec:  # of a run of an earlier version no number of errors ends it
            engine.failures = Failures(ErrorRules(**spec["errors"]), sum(len(self.task.examples(s)) for s in lengths.SPLITS))
        self.stopped = "every method has run"
        self.tried: list[str] = []
        self.failures: list[dict[str, Any]] = []  # methods that ended by an error

    async def run(self) -> dict[str, Any]:
        methods = self._trainable(methods_of(self.task, self.spec))
        await self.engine.event(
            "run", "start", run=self.engine.run.id, task=self.task.name, change=self.spec["change"],
            model=shown_model(self.spec["model"]),
            methods=[m.slug for m in methods], budget=self.engine.ledger.budget.model_dump(exclude_none=True),
            splits={s: len(self.task.examples(s)) for s in lengths.SPLITS},
            counts=counts_of(example for s in lengths.SPLITS for example in self.task.examples(s)),
            gate={"alpha": self.task.gate["alpha"], "min_effect": self.task.gate["min_effect"]},
            earlier=list(self.earlier.runs), earlier_looks=self.earlier.looks, made_by=self.made_by,
        )  # fmt: skip
        if parent := self.spec.get("parent"):
            await self.engine.event("notice", "fork", message=about(parent), loud=True)
        if copies := copies_between(self.task):
            await self.engine.event("warning", "near-duplicates", message=copies)
        if self.too_long:
            await self.engine.event("warning", "too-long", message=self.too_long)
        self.sketch = uses.sketch_of(self.task.examples("test"))
        self.used_before = len(uses.earlier_uses(self.engine.store, self.engine.run.id, self.sketch))
        if used := uses.told(self.used_before):
            await self.engine.event("notice", "test-uses", message=used, loud=True)
        self.kept.refuse_hopeless()
        for split in self.held_out:
            split.put_away()
        await make_ready(self.task, self.task.checker, methods, self.engine.sandbox)
        if self.task.examples("screen"):
            await self._baseline("screen")
        self.gate = self.incumbent.gate = gate_of(self.task, methods, self.incumbent.grades, self.engine.seed)
        message, loud = beforehand(self.gate, self.task, self.earlier, self.made_by)
        await self.engine.event("notice", "gate", message=message, loud=loud, graded=self.gate.graded)
        began = time.monotonic()
        await self._baseline("gate")
        self._set_aside(await self._measured(time.monotonic() - began))
        silent = []
        for number, method in enumerate(methods, 1):
            offers, base = self.incumbent.compared, self.incumbent.candidate
            if not await self._method(number, len(methods), method):
                return await self._prove()
            if self.incumbent.compared == offers and not any(f["number"] == number for f in self.failures):
                silent.append((method, base))
        for number, (method, base) in enumerate(silent, len(methods) + 1):
            # What had nothing to offer may have, on top of what was accepted since.
            changed = self.incumbent.candidate.hash != base.hash
            if changed and not await self._method(number, len(methods) + len(silent), method):
                break
        return await self._prove()

    async def _baseline(self, split: Split) -> None:
        """Measure what the run begins with; what it has on the gate is told after the run.

        On the screen the figure is of the examples that were judged: nothing is compared here, so that an answer without a
        judgement counts neither way.
        """
        made_of = units(self.task.examples(split))
        scores = unit_scores(made_of, await self.incumbent.scores(self.base, split), "incumbent")
        faults.refuse_unscored(faults.attempts(self.engine.store, self.engine.run.id, split, self.base.hash), split)
        hidden = split == "gate"
        figures = summarise(scores, side="incumbent" if hidden else None).model_dump()
        told, after = ({"n": figures["n"]}, figures) if hidden else (figures, None)
        await self.engine.tell("baseline", split, {"split": split, **told}, after=after)
        if split == "screen" or not self.task.examples("screen"):
            known = await self.incumbent.scores(self.base, split)
            where = self.ctx.at("silence", split=split)
            if warning := await faults.silence(where, self.base, self.task.examples(split), known):
                await self.engine.event("warning", "silence", message=warning, loud=True)

    def _trainable(self, methods: list[Method]) -> list[Method]:
        """Without those that change weights, where the model's cannot be; an error where none is left, or one was named."""
        if isinstance(self.model, Trainable):
            return methods
        for slug in self.spec["only"]:
            if "fit" in get_recipe(slug).card.needs:
                raise InputError(
                    f"{slug} changes weights, and those of {self.model.name} cannot be changed from here; use --model embedded"
                )
        left = [method for method in methods if "fit" not in method.recipe.card.needs]
        if methods and not left:
            raise InputError(
                f"every method here changes weights ({', '.join(m.slug for m in methods)}), and those of {self.model.name} "
                "cannot be changed from here; use --change prompt,answers or --model embedded"
            )
        return left

    async def _measured(self, seconds: float) -> float:
        """The same number after a resume, when the baseline comes from the record in no time."""

        async def now() -> bytes:
            return json.dumps(seconds).encode()

        return float(json.loads(await self.ctx.external("measured", "gate", now)))

    async def _method(self, number: int, of: int, method: Method) -> bool:
        """Run one method; False when the budget allows no further one."""
        recipe = method.recipe
        self.tried.append(method.slug)
        await self.engine.event("method", str(number), slug=method.slug, number=number, of=of, options=method.options)
        base = self.incumbent.candidate
        ctx = self.ctx.at(f"{number}.{method.slug}", policy=base)
        try:
            if recipe.card.shape == "solver":
                async for candidate in wrap_solver(base, method):
                    await self.incumbent.offer(candidate)
            else:
                ctx.recipe = recipe
                await loop.improve(recipe, base, ctx, self._offer, method.options)
            if why := self.engine.past.ended(ctx.scope):
                raise MethodEnded(why)  # what came after was done without it, so it is not gone on with
        except BudgetExhausted as error:
            self.stopped = str(error)
            await self.engine.event("budget", str(number), slug=method.slug, reason=str(error))
            return False
        except Exception as error:
            if faults.ends_the_run(error):
                raise
            await self._failed(number, method, ctx, error)
        return True

    async def _failed(self, number: int, method: Method, ctx: Context, error: Exception) -> None:
        """A method ended by an error: say so, and go on without it."""

        async def end() -> tuple[bytes, Cost]:
            return told(error).encode(), FREE

        why = (await self.engine.effect(f"{ctx.scope}/", ENDED, number, end, summary=f"{method.slug} ended by an error")).decode()
        self.failures.append({"method": method.slug, "number": number, "error": why})
        await self.engine.event("failure", str(number), slug=method.slug, number=number, error=why)

    async def _offer(self, candidate: Candidate) -> bool:
        return await self.incumbent.offer(candidate)

    def _set_aside(self, gate_seconds: float) -> None:
        """Keep what the final test needs, and the looks, by what the baseline took."""
        self.kept.took, self.kept.asked = self.incumbent.took["gate", self.base.hash]
        self.kept.refuse_small()
        sizes = self.kept.sizes
        each = gate_seconds / max(sizes["gate"], 1)
        cap = self.engine.ledger.budget.seconds
        seconds = {split: each * size if cap else 0.0 for split, size in sizes.items()}
        seconds["test"] = min(3 * seconds["test"], 0.3 * (cap or 0.0))
        costs = {"test": self.kept.test(), "gate": self.kept.candidate("gate"), "screen": self.kept.candidate("screen")}
        test, look, screen = (costs[split].model_copy(update={"seconds": seconds[split]}) for split in MEASURED)
        looks = self.gate.planned
        while looks and not self._affordable(test + (look + screen).times(looks)):
            looks -= 1
        self.incumbent.reserve = self.reserve = Reserve(self.engine.ledger, test=test, look=look, screen=screen, looks=looks)

    def _affordable(self, kept: Cost) -> bool:
        """Whether at least half of every cap is left to the methods."""
        budget = self.engine.ledger.budget
        caps = ((getattr(budget, resource), getattr(kept, resource)) for resource in ("calls", "tokens", "money", "seconds"))
        return all(cap is None or amount <= cap / 2 for cap, amount in caps)
