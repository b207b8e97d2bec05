"""How far the judges of a task can be trusted: they are asked about answers whose worth is known, and told on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwright import __version__
from loopwright.blocks.convert import convert
from loopwright.core.context import Context
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import Feedback, Missing, Preference, Score, Verdict
from loopwright.core.heard import Heard
from loopwright.core.outputs import check_file, write_file
from loopwright.core.scope import Meter
from loopwright.core.store import Store, told_rollouts
from loopwright.core.types import Budget, Candidate, Example, Rollout, Turn, digest
from loopwright.critics import BuiltCritic, build_critic
from loopwright.critics.judges import judge_name
from loopwright.improve.judge_figures import RIGHT, Audit, Labelled, of_answers, of_pairs
from loopwright.improve.session import Progress, driving, quiet
from loopwright.models import load as load_model
from loopwright.models.names import ModelName, recorded, shown_model
from loopwright.store import open_store
from loopwright.worlds.files import load_task
from loopwright.worlds.task import Task

_CODE = ("exact", "number", "regex", "schema", "tests", "python")  # checkers that ask no model


async def judge_report(
    task_folder: Path | str,
    *,
    items: Path | str | None = None,
    run: str | None = None,
    model: ModelName | None = None,
    repeats: int = 3,
    limit: int = 100,
    calibrate: Path | str | None = None,
    force: bool = False,
    seed: int = 0,
    budget: Budget | None = None,
    store_path: Path | str = ".loopwright/",
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Ask each judge of a task about labelled answers; see the command ``loopwright judge-report``.

    items: a file of answers with labels. run: instead, the answers that a run left, with what the checker said of them.
    repeats: how often a judge is asked the same to see whether it says the same. limit: answers, as many good as bad where
    there are. calibrate: where to write what the judges' scores mean; force: over a file that is no calibration.
    Raises InputError where there is nothing to judge by.
    """
    if calibrate is not None:
        check_file(calibrate, "--calibrate", force=force, ours=_is_calibration)
    task = load_task(task_folder)
    judges = _judges(task, from_run=items is None)
    store = open_store(store_path if Path(store_path).suffix else f"{store_path}/")
    try:
        labelled = _chosen(_read(Path(items), task) if items is not None else _left(store, run or "last"), limit)
        named = recorded(model or task.others.get("judge") or task.model or "embedded")
        spec = {"job": "judge-report", "task": task.spec(), "model": named}
        backend = load_model(named, blobs=store.blobs)
        try:
            caps = budget or task.budget
            row = store.create_run(spec, seed=seed, budget=caps.model_dump(), code_version=__version__)
            async with driving(store, row, backend, cache=True, progress=progress, budget=caps) as engine:
                policy = Candidate(parts={"prompt": task.prompt.model_dump(mode="json", exclude_defaults=True)})
                ctx = Context(engine, "judges", world=task, policy=policy, compared=True)
                audits = [await _audit(ctx.at(f"{i}"), judge, labelled, repeats) for i, judge in enumerate(judges)]
                if task.compare is not None:
                    audits.append(await _compared(ctx.at("compare"), labelled))
        finally:
            await backend.close()
    finally:
        store.close()
    if calibrate is not None:
        known = {a.key: [list(k) for k in a.knots] for a in audits if a.key and a.knots}
        if not known:
            raise InputError("--calibrate: none of the task's judges gives a number that could be calibrated")
        write_file(Path(calibrate), [json.dumps(known, indent=1) + "\n"])
    return {
        "run": row.id, "task": task.name, "model": shown_model(named), "answers": len(labelled),
        "good": sum(x.label >= RIGHT for x in labelled), "judges": [a.model_dump(mode="json") for a in audits],
        "calibration": str(calibrate) if calibrate is not None else "",
    }  # fmt: skip


def _is_calibration(start: bytes) -> bool:
    """Whether a file that begins so is a calibration of ours, which may be written again."""
    return re.match(rb'\{\n "[0-9a-f]{12}": \[\n', start) is not None


# ---- what is judged ---------------------------------------------------------------------------------------------------


def _judges(task: Task, *, from_run: bool) -> list[BuiltCritic]:
    """Every critic, and the checker where it asks a model; labels that it gave itself say nothing of it."""
    found = list(task.critics)
    if task.checker.kind not in _CODE:
        if from_run:
            raise InputError(
                f"the checker of this task is itself a judge ({task.checker.kind}), so a run's answers have no other labels; "
                'give some: --items FILE, one JSON object a line, {"input": ..., "output": ..., "label": true}'
            )
        found.append(task.checker)
    if not found and task.compare is None:
        raise InputError(f"{task.name} has no judge: add [[critics]] or [compare] to its task.toml")
    return found


def _read(path: Path, task: Task) -> list[Labelled]:
    """Answers from a file. Raises InputError with the line of the first mistake."""
    if not path.is_file():
        raise InputError(f"--items: {path}: no such file")
    known = {e.id: e for split in task.splits.values() for e in split}
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            data: Any = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}:{number}: not JSON: {error}") from None
        label = data.get("label") if isinstance(data, dict) else None
        good = isinstance(label, int | float) and 0 <= label <= 1 and isinstance(data.get("output"), str)
        if not good or label is None or ("input" not in data and data.get("id") not in known):
            raise InputError(
                f"{path}:{number}: expected {{\"input\": ..., \"output\": text, \"label\": true, false or 0 to 1}} (or the id of "
                f"an example of the task instead of input), got {line[:80]!r}"
            )
        example = known.get(str(data.get("id"))) or Example(
            id=digest(data["input"])[:12], input=data["input"], target=data.get("target"), meta=data.get("meta") or {}
        )
        if data["output"].strip():  # an empty answer has the lowest score by rule: no judge is asked about it
            found.append(_labelled(example, data["output"], float(label)))
    return found


def _labelled(example: Example, output: str, label: float) -> Labelled:
    turns = (Turn(role="user", text=example.question), Turn(role="assistant", text=output))
    return Labelled(rollout=Rollout(id=digest([example.id, output])[:16], example=example, turns=turns), label=label)


def _left(store: Store, run: str) -> list[Labelled]:
    """The different answers that a run left, as its checker scored them."""
    found: dict[str, Labelled] = {}
    for row in told_rollouts(store, store.run(run).id):
        if row.score is not None:
            rollout = Rollout.model_validate_json(row.data)
            if rollout.status == "ok" and not rollout.unanswered:  # no judge is asked about those
                one = _labelled(rollout.example, rollout.output, row.score)
                found[one.rollout.id] = one
    return list(found.values())


def _chosen(labelled: Sequence[Labelled], limit: int) -> list[Labelled]:
    """At most ``limit``, drawn by their digests, as many good as bad where there are so many."""
    ordered = sorted(labelled, key=lambda x: digest(["drawn", x.rollout.id]))
    good = [x for x in ordered if x.label >= RIGHT]
    bad = [x for x in ordered if x.label < RIGHT]
    if not good or not bad:
        raise InputError(
            f"expected good and bad answers to judge by, got {len(good)} good and {len(bad)} bad; give some with --items FILE, "
            "or another run with --on RUN"
        )
    few = min(limit // 2, len(good)), min(limit - limit // 2, len(bad))
    return [*good[: max(few[0], limit - few[1])], *bad[: max(few[1], limit - few[0])]]


# ---- asking -----------------------------------------------------------------------------------------------------------


def _unit(said: Sequence[Feedback]) -> float | None:
    """What a judgement is worth in [0, 1]; a first piece that is a score or verdict stands for the whole."""
    first = next(iter(said), None)
    if first is None or any(isinstance(f, Missing) for f in said):
        return None
    try:
        score = convert(first, ("score", "verdict"))
    except NoConversion:
        return None
    return score.unit if isinstance(score, Score) else float(score.passed) if isinstance(score, Verdict) else None


async def _audit(ctx: Context, judge: BuiltCritic, labelled: Sequence[Labelled], repeats: int) -> Audit:
    warm = _warm(judge, repeats)

    async def ask(item: Labelled, ctx: Context) -> tuple[tuple[Feedback, ...], tuple[float, ...]]:
        whole = item.rollout
        if judge.role == "critic":
            whole = whole.model_copy(update={"example": whole.example.hidden()})
        said = (await ctx._judged(whole, (judge,))).feedback
        if repeats < 2:
            return said, ()
        if warm is not None:
            again = (await ctx.at("again")._judged(whole, (warm,))).feedback
            return said, next((f.readings for f in again if not isinstance(f, Missing)), ())
        more = [(await ctx.at(f"again{k}")._judged(whole, (judge,))).feedback for k in range(repeats - 1)]
        return said, tuple(v for v in map(_unit, [said, *more]) if v is not None)

    heard = Heard()
    values: list[tuple[float, Labelled]] = []
    readings: list[tuple[float, ...]] = []
    ctx = ctx.at("asked", meter=(meter := Meter()))
    answers = await ctx.map(ask, labelled)
    for item, (said, again) in zip(labelled, answers, strict=True):
        for feedback in said:
            heard.add(feedback)
        readings.append(again)
        value = _unit(said)
        if value is not None:
            values.append((value, item))
    figures, doubts, knots = of_answers(heard, values, readings, len(labelled))
    plain = judge.kind == "judge" and "rubric" in judge.options and "calibration" not in judge.options
    return Audit(
        judge=f"{judge.role} {judge.kind}", figures=figures, doubts=doubts, cost=meter.spent, knots=knots,
        key=judge_name(judge.options) if plain else "",
    )  # fmt: skip


def _warm(judge: BuiltCritic, repeats: int) -> BuiltCritic | None:
    """The same judge asked several times at a temperature; None where only asking again can tell."""
    if judge.kind != "judge" or repeats < 2 or "aspects" in judge.options:
        return None
    options = {k: v for k, v in judge.options.items() if k != "calibration" and v is not None}
    options |= {"repeats": repeats, "temperature": options.get("temperature") or 0.7}
    return build_critic("judge", options, Path(), role=judge.role)


async def _compared(ctx: Context, labelled: Sequence[Labelled]) -> Audit:
    """A comparator on pairs of a good and a bad answer to one example, the good one shown first in every other pair."""
    by_example: dict[str, tuple[list[Labelled], list[Labelled]]] = {}
    for item in labelled:
        by_example.setdefault(item.rollout.example.id, ([], []))[item.label < RIGHT].append(item)
    pairs = [(g[0].rollout, b[0].rollout) for g, b in by_example.values() if g and b]
    if not pairs:
        raise InputError("[compare] needs a good and a bad answer to one example to be judged by, and no example has both")

    async def ask(item: tuple[int, tuple[Rollout, Rollout]], ctx: Context) -> Preference | Missing:
        first, second = item[1] if item[0] % 2 == 0 else item[1][::-1]
        return await ctx.compare(first, second)

    ctx = ctx.at("asked", meter=(meter := Meter()))
    said = await ctx.map(ask, list(enumerate(pairs)))
    figures, doubts = of_pairs(said, [good.id for good, _ in pairs])
    return Audit(judge="compare", figures=figures, doubts=doubts, cost=meter.spent)
