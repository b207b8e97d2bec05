"""How a job asks the gate: how many looks it plans, who asked about these examples before, and what was left unproven."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from loopwright.core.errors import InputError
from loopwright.core.gate import Decision, Gate, how_many
from loopwright.core.groups import counts_of, units
from loopwright.core.loop import SCREEN_P
from loopwright.core.paired_tests import betting_power, sign_chance, sign_power
from loopwright.core.store import RunRow, Store
from loopwright.core.types import Candidate
from loopwright.improve.artifact import MANIFEST, UNPROVEN
from loopwright.improve.lengths import SPLITS
from loopwright.improve.portfolio import Method
from loopwright.worlds.named import NamedWorld
from loopwright.worlds.near import near_duplicates
from loopwright.worlds.task import Task

FEW = 20  # gate examples below which one look is planned: more would leave none of them enough
ROUNDED = (
    "the checker gave grades between 0 and 1, where its kind or its answers on screen examples told of verdicts alone: "
    "a grade of a gate example counted 0 for a candidate and 1 for the incumbent. Write [gate] graded = true"
)
_POWER, _MOST = 0.8, 20_000  # how often a gain should be noticed; gate examples beyond which none are counted
_MUCH = 0.5  # chance of a false acceptance over several runs from which new gate examples are recommended
_PROMPTS = 2  # offers to expect of a method that writes prompts; others make one


def planned_looks(methods: Iterable[Method], size: int) -> int:
    """How many looks to plan for: the offers to expect of the methods.

    Args:
        methods: that the job will run.
        size: number of gate examples, a group counted as one.

    Returns:
        At least 1. One of a small gate, as it could notice nothing at a smaller share of alpha.
    """
    if size < FEW:
        return 1
    return max(1, sum(_PROMPTS if m.recipe.card.improves == "prompt" else 1 for m in methods))


def gate_of(task: Task | NamedWorld, methods: Iterable[Method], grades: bool | None, seed: int) -> Gate:
    """The gate of a run.

    Args:
        task: with its options of the gate.
        methods: that the job will run, from which the planned looks are counted where the task does not plan them.
        grades: whether the checker gave grades, not verdicts, of screen examples, None where it gave nothing; tells of a checker
            whose kind does not.
        seed: of the run.
    """
    given, examples = dict(task.gate), task.examples("gate")
    planned = int(given.pop("planned", 0)) or planned_looks(methods, len(units(examples)))
    graded = given.pop("graded", getattr(task.checker, "graded", None))
    counts = counts_of(examples)
    if counts == "groups":
        graded = True  # means of groups are no verdicts
    elif graded is None:
        graded = grades is not False
    return Gate(**given, planned=planned, graded=bool(graded), seed=seed, counts=counts)


def over_runs(runs: int, alpha: float) -> str:
    """What is promised over several runs that ask the gate about the same questions, each with an alpha of its own.

    Args:
        runs: how many, this one included.
        alpha: the chance of a false acceptance in one run, at most.
    """
    chance = runs * alpha
    told = f"the chance of any false acceptance over all {runs} runs is at most {runs} x {alpha:g} = {chance:g}"
    if chance >= 1:
        told = f"{runs} runs x {alpha:g} = {chance:g}, so over all of them nothing is promised about false acceptances"
    return told + ("; --fresh-gate draws gate examples that no run has asked about." if chance >= _MUCH else ".")


def beforehand(gate: Gate, task: Task | NamedWorld, earlier: Earlier, made_by: str) -> tuple[str, bool]:
    """What is said before anything is spent on methods: what gain the gate can notice, and who asked it before.

    Args:
        gate: of the run.
        task: with its splits.
        earlier: runs on the same questions.
        made_by: the earlier run that made what this one starts from, or "".

    Returns:
        The sentences, and whether they are a warning.
    """
    size = len(units(task.examples("gate")))
    usual = gate.detectable(size, losses=0.05) if gate.margin is None else 0.0
    told = [gate.notice(size)]
    screen = len(units(task.examples("screen")))
    if screen and usual:
        passes = sign_chance(screen, min(1.0, usual + 0.05), 0.05, SCREEN_P)
        told.append(
            f"{how_many(screen, 'screen', gate.counts)} come first: one that is {100 * usual:.0f} points better passes them "
            f"{min(99, math.floor(100 * passes))} times in 100."
        )
    if not task.examples("screen"):
        told.append(
            f"Of {len(task.examples('train'))} train examples none can be kept apart as a screen: every candidate that a method "
            "offers asks the gate."
        )
    if earlier.runs:
        before, runs = len(earlier.runs), len(earlier.runs) + 1
        looks = f"{earlier.looks} look{'s' if earlier.looks != 1 else ''}"
        told.append(
            f"{before} earlier run{'s' if before > 1 else ''} asked about these questions ({looks}): "
            + over_runs(runs, gate.alpha)
        )
    if made_by:
        told.append(f"What this run starts from was made by run {made_by[:13]} on these examples. It was chosen by hand, so "
            "nothing here proves that start itself.")
    return " ".join(told), usual is None or usual > 0.3 or bool(earlier.runs)


def copies_between(task: Task | NamedWorld) -> str:
    """The warning of questions of two splits that are nearly the same, or "".

    Of a task folder alone: nobody can give the questions of a world that is built in a group.
    """
    if isinstance(task, NamedWorld):
        return ""
    pairs = near_duplicates({split: task.examples(split) for split in SPLITS})
    between = [pair for pair in pairs if {pair.first[0], pair.second[0]} != {"train", "screen"}]
    if not between:
        return ""
    named = "; ".join(f"{a} {i} and {b} {j}" for (a, i), (b, j) in between[:3]) + (", ..." if len(between) > 3 else "")
    many = f"{len(between)} pairs of questions are" if len(between) > 1 else "one pair of questions is"
    return (
        f"{many} nearly the same in two splits ({named}): what is learned of one is then proved on the other. Give such examples "
        'one "group", so that they stay together and count as one'
    )


class Earlier(NamedTuple):
    """Runs before this one that asked the gate about the same questions, the oldest first."""

    runs: tuple[str, ...]
    looks: int
    fresh: int  # how often their gates were drawn anew


def earlier_runs(store: Store, row: RunRow | None, questions: str) -> Earlier:
    """Which runs asked the gate about these questions before, in whatever split.

    Args:
        store: of the runs.
        row: the run that asks; None for one that is yet to be made, so that all count.
        questions: hash of the task's questions, as its spec has it.

    Returns:
        The runs with at least one look, their looks together.
    """
    runs: list[str] = []
    looks = fresh = 0
    for other in store.runs():
        if row is not None and (other.id == row.id or other.created > row.created):
            continue
        task = other.spec.get("task")
        if other.spec.get("job") != "improve" or not isinstance(task, dict) or task.get("questions") != questions:
            continue
        fresh = max(fresh, int((other.spec.get("split") or {}).get("fresh", 0)))
        asked = sum(event.type == "look" for event in store.events(other.id))
        if asked:
            runs.append(other.id)
            looks += asked
    return Earlier(tuple(runs), looks, fresh)


def made_by(store: Store, earlier: Earlier, base: Candidate, model: Any) -> str:
    """The earlier run that made what this one starts from, or "".

    Such a start was chosen by somebody who saw what came of it on these examples, so nothing about it is proved by them.

    Args:
        store: of the runs.
        earlier: runs on the same questions.
        base: what the run starts from.
        model: as the run's spec names it; an adapter in an artifact's folder is known by its manifest.
    """
    places = _texts(model)
    for run in earlier.runs:
        begun = store.run(run)
        made = [Candidate.model_validate(row.data) for row in store.candidates(run)]
        own = _own(begun)
        for candidate in made:
            for part in ("prompt", "solver"):
                value = base.parts.get(part)
                if value and value == candidate.parts.get(part) and value != own.get(part):
                    return run
    for place in places:
        for folder in (Path(place), Path(place).parent):
            for name in (MANIFEST, UNPROVEN):
                run = _run_of(folder / name)
                if run in earlier.runs:
                    return run
    return ""


def _texts(model: Any) -> list[str]:
    """The paths that a model's name may hold."""
    if isinstance(model, Mapping):
        return [text for value in model.values() for text in _texts(value)]
    if not isinstance(model, str):
        return []
    _, _, rest = model.partition(":")
    return [piece for piece in rest.split("+") if piece]


def _own(row: RunRow) -> dict[str, Any]:
    """The parts that a run began with."""
    from loopwright.improve.report import task_parts

    return task_parts(row.spec)


def _run_of(path: Path) -> str:
    import json

    try:
        return str(json.loads(path.read_text(encoding="utf-8")).get("run", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def refuse_start(run: str) -> InputError:
    """The error of a fresh gate before a start that earlier examples made."""
    return InputError(
        f"--fresh-gate: what this run starts from was made by run {run[:13]} on these examples, which a fresh gate would ask "
        "about again; start from what came before it, or add examples that no run has seen"
    )


def best_refused(decisions: Sequence[tuple[Candidate, Decision]]) -> tuple[Candidate, Decision] | None:
    """Of the candidates that the gate refused, the one with the largest gain measured; None where none had a gain.

    One that was refused on the first third of the examples had none.

    Args:
        decisions: of the run, in order.
    """
    accepted = {candidate.hash for candidate, decision in decisions if decision.accepted}
    refused = [
        (candidate, decision)
        for candidate, decision in decisions
        if not decision.accepted and not decision.early and decision.effect > 0 and candidate.hash not in accepted
    ]
    return max(refused, key=lambda one: one[1].effect, default=None)


def needed(decision: Decision) -> int | None:
    """How many gate examples would notice a gain like this one 4 times in 5, at the share of alpha of this look.

    Args:
        decision: of the refused candidate, with its wins and losses.

    Returns:
        About that many; None for more than 20,000, or for a look of an earlier version, which kept no such figures.
    """
    if decision.level is None or decision.losses is None or decision.effect <= 0:
        return None
    level, loss = decision.level, min(decision.losses / decision.n, (1 - decision.effect) / 2)
    power = sign_power if decision.test == "sign" else partial(betting_power, margin=decision.margin or 0.0)
    low, high = 1, 2
    while power(high, decision.effect + loss, loss, level) < _POWER:
        low, high = high, high * 2
        if high > _MOST:
            return None
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, decision.effect + loss, loss, level) >= _POWER else (middle, high)
    return high


def about_unproven(candidate: Candidate, decision: Decision, counts: str = "examples") -> str:
    """What is said of the best refused candidate, after the run.

    Args:
        candidate: that was refused.
        decision: of the gate.
        counts: what the gate counted, "examples" or "groups".
    """
    more = needed(decision)
    name = f"{candidate.by} ({candidate.note})" if candidate.note else candidate.by
    counted = "" if decision.wins is None else f", {decision.wins} better and {decision.losses} worse"
    enough = f"about {how_many(more, 'gate', counts)}" if more is not None else f"more than {how_many(_MOST, 'gate', counts)}"
    return (
        f"{name} was {100 * decision.effect:.1f} points better on {how_many(decision.n, 'gate', counts)}{counted}, and "
        f"was refused: {decision.reason}. A gain like this is accepted 4 times in 5 with {enough}"
    )
