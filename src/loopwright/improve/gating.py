"""How a job asks the gate: how many looks it plans, who asked about these examples before, and what was left unproven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loopwright.core.errors import InputError
from loopwright.core.gate import Decision
from loopwright.core.store import RunRow, Store
from loopwright.core.types import Candidate
from loopwright.improve.artifact import MANIFEST
from loopwright.improve.portfolio import Method

FEW = 20  # gate examples below which one look is planned: more would leave none of them enough
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


UNPROVEN = "unproven.json"  # the manifest of a candidate that the gate did not accept


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
