"""Figures of a run that stand in its report and beside it as files: how versions descend, and what was made in each round."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from loopwright.core.errors import InputError, LoopwrightError
from loopwright.core.outfolder import OutFolder
from loopwright.core.store import RolloutRow, Store
from loopwright.core.types import Rollout
from loopwright.core.world import World
from loopwright.improve.plots.files import Draw, inline, save
from loopwright.improve.plots.images import picture_sheet
from loopwright.improve.plots.lineage import Version, lineage_figure, versions_of
from loopwright.improve.report_data import Report

ROUNDS, ACROSS = 6, 10  # lines of a sheet, and pictures in each
LABELS = {"lineage": "tree of the versions", "pictures": "what was made in the rounds"}  # by what a figure's name begins with

Array = np.ndarray[Any, np.dtype[Any]]
Place = tuple[int, str]  # of a picture in its line: how many of its question come before, and the question


def world_of(spec: Mapping[str, Any]) -> World | None:
    """The world that a run was on by name; None for a task folder, which knows no pictures, or where it cannot be made now."""
    from loopwright.worlds.named import named_world

    try:
        return named_world(str(spec["world"])) if "world" in spec else None
    except LoopwrightError:
        return None


def save_figures(
    store: Store, report: Report, world: Any, folder: Path | OutFolder, prefix: str = "", *, force: bool = False
) -> dict[str, str]:
    """Write all figures that the run has, as PNG and SVG; returns the SVG of each by name, for the page.

    world: as ``world_of`` gives it. folder, prefix, force: as for ``plots.files.save``.
    """
    drawn = {**lineages(store, report), **sheets(store, report, world)}
    paths = [path for path in save(drawn, folder, prefix, force=force) if path.suffix == ".svg"]
    return {name: inline(path, LABELS[name.partition("-")[0]]) for name, path in zip(drawn, paths, strict=True)}


def methods_of(store: Store, run: str) -> set[str]:
    """By slug, those that a run began."""
    return {str(event.payload.get("slug", "")) for event in store.events(run) if event.type == "method"}


# ---- where versions came from -----------------------------------------------------------------------------------------


def lineages(store: Store, report: Report) -> dict[str, Draw]:
    """A tree for each method that noted its versions, and one of all that was offered by methods that noted none."""
    notes = [event for event in store.events(report.run) if event.type == "version"]
    noted = {by: versions_of(notes, by) for by in dict.fromkeys(str(event.payload.get("by", "")) for event in notes)}
    drawn: dict[str, Draw] = {}
    for by, versions in noted.items():
        kept = {v.index for v in versions} - {None}
        if kept and len(versions) > 1 and all(kept.issuperset(v.parents) for v in versions):
            drawn[f"lineage-{by}"] = partial(lineage_figure, versions, title=f"{by} on {report.task}")
    alone = len(methods_of(store, report.run)) <= 1
    others = [] if noted and alone else [look for look in report.looks if look.by not in noted]
    if len({look.candidate for look in others}) > 1:
        versions, best = offered(report)
        title = f"offered to the gate: {report.task}"
        drawn["lineage"] = partial(lineage_figure, versions, best=best, label="score on the gate examples", title=title)
    return drawn


def offered(report: Report) -> tuple[list[Version], int]:
    """The start and what went before the gate, in order, and the place of what was kept in the end.

    A version whose parents were never offered descends from what it was compared with.
    """
    first, *rest = report.versions
    begun = report.gate_baseline
    start = begun.score if begun is not None else report.looks[0].incumbent_score
    places = {first.hash: 0}
    versions = [Version(0, None, start, report.looks[0].n)]
    looks = {look.candidate: look for look in report.looks}
    best = 0
    for version in (v for v in rest if v.hash in looks):
        look = looks[version.hash]
        parent = next((places[p] for p in (*version.parents, look.incumbent) if p in places), None)
        place = places[version.hash] = len(versions)
        why = "" if look.accepted else look.reason or "turned down"
        versions.append(Version(place, parent, look.candidate_score, look.n, why))
        best = place if look.accepted else best
    return versions, best


# ---- what was made ----------------------------------------------------------------------------------------------------


def sheets(store: Store, report: Report, world: Any) -> dict[str, Draw]:
    """What was made in some of the rounds and what was offered last, where the world can show outputs as pictures.

    In every line the pictures are of the same questions, as far as the rounds had any in common. A run of several methods has
    no sheet: its records do not say whose round it was.
    """
    picture = getattr(world, "picture", None)
    if picture is None or len(methods_of(store, report.run)) > 1:
        return {}
    asked = {example.id: example.question for split in ("train", "gate") for example in world.examples(split)}
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)  # by line: the rollouts with their questions
    last = report.looks[-1] if report.looks else None
    for row in store.rollouts(report.run):
        line = _line(row, last.candidate if last else "")
        if line and row.example in asked:
            found[line].append((row.id, asked[row.example]))
    rounds = sorted((line for line in found if line.startswith("round")), key=lambda line: int(line.split()[1]))
    shown = [rounds[i] for i in sorted({round(i) for i in np.linspace(0, len(rounds) - 1, ROUNDS)})] if rounds else []
    if last is not None and "offered" in found:
        shown.append("offered")
    if len(shown) < 2:
        return {}
    chosen = dict(zip(shown, chosen_of([found[line] for line in shown]), strict=True))
    made = _pictures(store, report.run, picture, {id for ids in chosen.values() for id in ids})
    if not made:
        return {}
    blank = np.full_like(next(iter(made.values())), np.nan)
    end = f"offered ({last.by})" if last else ""
    rows = {end if at == "offered" else at: np.stack([made.get(id, blank) for id in ids]) for at, ids in chosen.items()}
    return {"pictures": partial(picture_sheet, rows, low=0.0, high=1.0, title=f"made in the rounds: {report.task}")}


def _line(row: RolloutRow, last: str) -> str:
    """Of the sheet, where the attempt belongs into one. Replicates are attempts like others."""
    if row.split == "train":
        return f"round {row.round}" if row.round else ""
    return "offered" if row.split == "gate" and row.candidate == last else ""


def chosen_of(lines: Sequence[Sequence[tuple[str, str]]]) -> list[list[str]]:
    """Ids of up to ACROSS attempts a line, as many in each, given (id, question): of questions that all have in common where
    there are any, one of each before the second of one; else the first of each line.
    """
    placed: list[dict[Place, str]] = []
    for line in lines:
        seen: Counter[str] = Counter()
        places: dict[Place, str] = {}
        for id, question in line:
            places[seen[question], question] = id
            seen[question] += 1
        placed.append(places)
    common = [place for place in sorted(placed[0]) if all(place in places for places in placed)][:ACROSS]
    if common:
        return [[places[place] for place in common] for places in placed]
    count = min(ACROSS, *(len(line) for line in lines))
    return [[id for id, _ in line[:count]] for line in lines]


def _pictures(store: Store, run: str, picture: Any, ids: set[str]) -> dict[str, Array]:
    """By id, those that are pictures."""
    made: dict[str, Array] = {}
    for row in store.rollouts(run):
        if row.id not in ids:
            continue
        rollout = Rollout.model_validate_json(row.data)
        try:
            if rollout.status == "ok":
                made[row.id] = np.asarray(picture(rollout.output), dtype=float)
        except InputError:
            continue
    return made
