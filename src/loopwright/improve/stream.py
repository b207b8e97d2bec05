"""A Learner on a stream: run in recorded blocks, measured afterwards, and left as a state that a service goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from loopwright import __version__
from loopwright.blocks.archive import Archive
from loopwright.blocks.evaluations import COLUMNS
from loopwright.blocks.watching import Watched, evaluations, watched
from loopwright.core import loop
from loopwright.core.context import Context
from loopwright.core.errors import Diverged, InputError
from loopwright.core.feedback import Missing, Score
from loopwright.core.learner import Logged, Session
from loopwright.core.looks import Looks
from loopwright.core.measure import Record
from loopwright.core.model import Sampling
from loopwright.core.outfolder import OutFolder, reserve
from loopwright.core.outputs import check_folder
from loopwright.core.registry import Recipe, get_recipe
from loopwright.core.store import RunRow, Store
from loopwright.core.types import Budget, Candidate, digest
from loopwright.core.world import Stream
from loopwright.improve.changed import of_a_stream
from loopwright.improve.fingerprints import fingerprint
from loopwright.improve.page import POLICY, STYLE, escape
from loopwright.improve.plots.files import Draw, inline, save
from loopwright.improve.session import Progress, driving, folder_of, quiet
from loopwright.store import open_store
from loopwright.worlds.named import named_stream
from loopwright.worlds.single import Single

JOB = "stream"
STEPS = 1000
LOOKS = 250  # about so often a stream of tasks is asked what is still known of each
LEFT = ("state.json", "result.json", "report.html")  # what a run leaves in its folder
TENTHS = 10  # the course of a run is told in so many parts
SHOWN = {"blind": "regret of blind choices"}
CALLED = {"accuracy": "accuracy of every task", "accuracy-heat": "accuracy of every task over time"}


async def run_stream(
    slug: str,
    world: str,
    *,
    options: Mapping[str, Any] | None = None,
    steps: int | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    numbered: bool = False,
    force: bool = False,
    store_path: Path | str = ".loopwright/",
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Let the world drive the Learner for so many steps; see the command ``loopwright run``.

    world: a stream by name, as ``worlds.named.named_stream`` takes it. steps: without it STEPS, or one pass of a stream of tasks.
    ``out`` gets result.json, the learner's state.json and figures; it, ``numbered`` and ``force`` are as for ``run_improve``.
    Returns the result that ``--json`` prints. Raises InputError for what is no Learner or no stream.
    """
    if out is None:
        out, numbered = "out", True
    check_folder(out, "--out")
    recipe = get_recipe(slug)
    if recipe.card.shape != "learner":
        raise InputError(f"{slug} is {recipe.card.shape}, not learner; a stream drives learners only, see: loopwright list")
    if steps is not None and steps < 1:
        raise InputError(f"expected at least one step, got {steps}")
    recipe(**(options or {}))  # a mistyped option is found before anything is written
    stream: Any = named_stream(world)
    if steps is None:
        steps = int(stream.ends(seed)[-1]) if hasattr(stream, "ends") else STEPS
    spec = {
        "job": JOB, "task": f"{slug} on {world}", "recipe": slug, "world": world, "options": dict(options or {}), "steps": steps,
        "spec": digest(stream.spec), "code": fingerprint(__version__, None, {slug: recipe}).spec(), "out": "",
    }  # fmt: skip
    store = open_store(store_path)
    try:
        with reserve(out, names=LEFT, numbered=numbered, force=force) as folder:
            spec["out"] = str(folder.path.resolve())
            row = store.create_run(spec, seed=seed, budget={}, code_version=__version__)
            return await _drive(store, row, stream, progress, folder)
    finally:
        store.close()


async def resume_stream(store: Store, row: RunRow, progress: Progress = quiet) -> dict[str, Any]:
    """Go on with a stopped run: at most the block it was in is done again. Raises Diverged if stream or code is another."""
    stream = named_stream(str(row.spec["world"]))
    if digest(stream.spec) != row.spec["spec"]:
        raise Diverged(f"the stream {row.spec['world']} is not the one that run {row.id} began with; start a new run")
    slug = str(row.spec["recipe"])
    changes = of_a_stream(row, fingerprint(__version__, None, {slug: get_recipe(slug)}).spec())
    if changes.matters:
        raise Diverged(
            f"run {row.id} is not gone on with, as this changed since it began: {changes.told()}. Put it back, or start a new "
            "run: a learner's steps cost nothing but their time"
        )
    return await _drive(store, row, stream, progress)


async def _drive(
    store: Store, row: RunRow, stream: Stream, progress: Progress, folder: OutFolder | None = None
) -> dict[str, Any]:
    recipe = get_recipe(str(row.spec["recipe"]))
    steps, options = int(str(row.spec["steps"])), dict(row.spec["options"])
    async with driving(store, row, None, cache=False, progress=progress, budget=Budget()) as engine:
        with folder or folder_of(row, progress) as out:
            out.claim(row.id)
            progress("stream", {"run": row.id, "task": row.spec["task"], "steps": steps})
            ctx = Context(engine, "stream", world=Single("", sampling=Sampling()), policy=Candidate(), recipe=recipe)
            looks = _looks(stream, row.seed, steps)
            session, log = await loop.learn(
                recipe, stream, ctx, steps=steps, options=options, block=max(1, min(1000, steps // TENTHS)), looks=looks
            )
            engine.past.finish()
            return _written(out, row, stream, session, log, looks, engine.ledger.seconds)


def _written(
    out: OutFolder, row: RunRow, stream: Stream, session: Session, log: Sequence[Logged], looks: Looks | None, seconds: float
) -> dict[str, Any]:
    """The result, after it was written into the run's folder with the learner's state, the figures and a page."""
    recipe, options = get_recipe(str(row.spec["recipe"])), dict(row.spec["options"])
    course, seen = courses(stream, row.seed, log), _seen(stream, row.seed, looks)
    result: dict[str, Any] = {
        "run": row.id, "recipe": recipe.slug, "world": row.spec["world"], "seed": row.seed, "steps": len(log),
        "options": options, "seconds": round(seconds, 3), "status": "done", **_told(log),
        "measures": {name: _summary(values) for name, values in course.items()},
    }  # fmt: skip
    if seen is not None:
        result["knowledge"] = knowledge(seen)
    state = {"recipe": recipe.slug, "options": options, **session.snapshot()}
    result["state"] = str(out.write("state.json", json.dumps(state)))
    result["figures"] = [str(path) for path in _draw(out, recipe, stream, session, course, seen)]
    result["report"] = str(out.write("report.html", page(result)))
    out.write("result.json", json.dumps(result, indent=2) + "\n")
    return result


def courses(stream: Any, seed: int, log: Sequence[Logged]) -> dict[str, list[float | None]]:
    """Per step: ``regret`` (and ``blind``, what choosing without learning would have cost), ``score`` and ``reward``, as far as
    the stream and its feedback have them; None at steps without one.
    """
    found: dict[str, list[float | None]] = {}
    if hasattr(stream, "regret"):
        found["regret"] = [stream.regret(seed, t, one.trial) for t, one in enumerate(log)]
    if hasattr(stream, "blind"):
        found["blind"] = [stream.blind(seed, t) for t in range(len(log))]
    if hasattr(stream, "score"):
        found["score"] = [stream.score(seed, t, one.trial) for t, one in enumerate(log)]
    rewards = [one.feedback.value if isinstance(one.feedback, Score) else None for one in log]
    if any(r is not None for r in rewards):
        found["reward"] = rewards
    return {name: values for name, values in found.items() if any(v is not None for v in values)}


def _looks(stream: Any, seed: int, steps: int) -> Looks | None:
    """What to ask of a stream of tasks, and when; None for others, or where not one task would end."""
    if not hasattr(stream, "probes") or not hasattr(stream, "ends") or steps < stream.ends(seed)[0]:
        return None
    probes = stream.probes(seed)
    at = evaluations(stream, seed=seed, steps=steps, every=max(1, steps // LOOKS))
    return Looks(at, lambda session: session.probe(probes), {})  # type: ignore[arg-type, return-value]


def _seen(stream: Any, seed: int, looks: Looks | None) -> Watched | None:
    """None also where a run was begun before it was asked anything."""
    if looks is None or set(looks.at) != set(looks.found):
        return None
    return watched(looks.found, stream, seed)  # type: ignore[arg-type]


def knowledge(seen: Watched, measure: str = "stability-gap", experts: Sequence[Record] = ()) -> dict[str, Any]:
    """What was still known of every task, as data: a Measure's figures, and the matrix [evaluations, tasks].

    Raises InputError for a Measure that has no row for each figure.
    """
    table = get_recipe(measure)([*seen.records(), *experts])
    if tuple(table.columns) != COLUMNS:
        raise InputError(f"{measure} has no figures of tasks; stability-gap and lifelong-metrics have")
    figures = {str(row[1]): {"value": row[2], "low": row[3], "high": row[4]} for row in table.rows}
    return {"figures": figures, "steps": seen.steps, "ends": seen.ends, "matrix": seen.matrix.tolist()}


def _summary(values: Sequence[float | None]) -> dict[str, Any]:
    """Total, mean, and the means of the first and last tenth of the steps."""
    part = max(1, len(values) // TENTHS)
    return {
        "total": sum(v for v in values if v is not None), "mean": _mean(values), "first_tenth": _mean(values[:part]),
        "last_tenth": _mean(values[-part:]), "steps": sum(v is not None for v in values),
    }  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _told(log: Sequence[Logged]) -> dict[str, int]:
    """How much of the feedback came, and how."""
    return {
        "answered": sum(not isinstance(one.feedback, Missing) for one in log),
        "missing": sum(isinstance(one.feedback, Missing) for one in log),
        "censored": sum(one.feedback.status == "censored" for one in log),
    }


def _draw(
    out: OutFolder, recipe: Recipe, stream: Any, session: Session, course: Mapping[str, Sequence[float | None]],
    seen: Watched | None,
) -> list[Path]:  # fmt: skip
    """The figures that what was measured allows, as PNG and SVG."""
    from loopwright.improve.plots.archive import archive_figure
    from loopwright.improve.plots.continual import accuracy_curves, accuracy_heat
    from loopwright.improve.plots.curves import learning_curves

    title = f"{recipe.slug} on {stream.name}"
    drawn: dict[str, Draw] = {}
    if seen is not None:
        about = (seen.matrix, seen.steps, seen.ends)
        drawn["accuracy"] = partial(accuracy_curves, *about, title=title)
        drawn["accuracy-heat"] = partial(accuracy_heat, *about, title=title)
    if "regret" in course:
        lines = [name for name in ("regret", "blind") if name in course]
        named = {SHOWN.get(k, recipe.slug): np.array(list(accumulate(v or 0.0 for v in course[k]))) for k in lines}
        drawn["regret"] = partial(learning_curves, named, ylabel="regret, sum so far", title=title)
    for name in ("score", "reward"):
        if name in course and "regret" not in course:
            row = np.array([np.nan if v is None else v for v in course[name]])
            drawn[name] = partial(learning_curves, {recipe.slug: row}, ylabel=name, title=title)
    archive, names = getattr(session.state, "archive", None), getattr(session.state, "names", ())
    if isinstance(archive, Archive) and len(names) in (1, 2):
        drawn["archive"] = partial(archive_figure, archive, names, title=title)
    return save(drawn, out)


def page(result: Mapping[str, Any]) -> str:
    """A run as one HTML page that asks nothing of the network."""
    rows = "".join(
        f"<tr><td>{escape(SHOWN.get(name, name))}</td>"
        + "".join(f'<td class="n">{_number(m[k])}</td>' for k in ("mean", "first_tenth", "last_tenth", "total"))
        + f'<td class="n">{m["steps"]:,}</td></tr>'
        for name, m in result["measures"].items()
    )
    figures = "".join(
        f"<section><h2>{escape(CALLED.get(name := Path(path).stem, name))}</h2>{inline(Path(path), name)}</section>"
        for path in result["figures"]
        if path.endswith(".svg")
    )
    facts = [f"{result['steps']:,} steps", f"{result['answered']:,} answered", f"seed {result['seed']}"]
    facts += [f"{result[k]:,} {k}" for k in ("missing", "censored") if result[k]]
    title = escape(f"{result['recipe']} on {result['world']}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n{POLICY}\n<title>{title}: Loopwright report</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">\n'
        f'<style>{STYLE}</style></head>\n<body><main><header><p class="brand">Loopwright</p><h1>{title}</h1>'
        f'<p class="facts">{escape(", ".join(facts))}</p></header>\n<section class="wide"><h2>What a step was worth</h2><table>'
        "<tr><th>per step</th><th>mean</th><th>first tenth</th><th>last tenth</th><th>in all</th><th>steps</th></tr>"
        f"{rows}</table></section>\n{_known(result)}{figures}"
        f'<p class="facts">run {escape(result["run"])}</p></main></body></html>\n'
    )


def _known(result: Mapping[str, Any]) -> str:
    """The figures of a stream of tasks."""
    if "knowledge" not in result:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td>" + "".join(f'<td class="n">{_number(value)}</td>' for value in told.values()) + "</tr>"
        for name, told in result["knowledge"]["figures"].items()
    )
    heads = "<tr><th>on held-out questions of every task</th><th>value</th><th>low</th><th>high</th></tr>"
    return f'<section class="wide"><h2>What is still known of every task</h2><table>{heads}{rows}</table></section>\n'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
