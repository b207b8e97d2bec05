"""A Learner on a stream: run in recorded blocks, measured afterwards, and left as a state that a service goes on from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from loopwright import __version__
from loopwright.blocks.archive import Archive
from loopwright.core import loop
from loopwright.core.context import Context
from loopwright.core.errors import Diverged, InputError
from loopwright.core.feedback import Missing, Score
from loopwright.core.learner import Logged, Session
from loopwright.core.model import Sampling
from loopwright.core.registry import Recipe, get_recipe
from loopwright.core.store import RunRow, Store
from loopwright.core.types import Budget, Candidate, digest
from loopwright.core.world import Stream
from loopwright.improve.page import STYLE
from loopwright.improve.plots.canvas import FORMS
from loopwright.improve.session import Progress, driving, quiet
from loopwright.store import open_store
from loopwright.worlds.named import named_stream
from loopwright.worlds.single import Single

JOB = "stream"
STEPS = 1000
TENTHS = 10  # the course of a run is told in so many parts
SHOWN = {"blind": "regret of blind choices"}


async def run_stream(
    slug: str,
    world: str,
    *,
    options: Mapping[str, Any] | None = None,
    steps: int = STEPS,
    seed: int = 0,
    out: Path | str = "out",
    store_path: Path | str = ".loopwright/",
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Let the world drive the Learner for so many steps; see the command ``loopwright run``.

    world: a stream by name, as ``worlds.named.named_stream`` takes it. ``out`` gets result.json, the learner's state.json and
    figures. Returns the result that ``--json`` prints. Raises InputError for what is no Learner or no stream.
    """
    recipe = get_recipe(slug)
    if recipe.card.shape != "learner":
        raise InputError(f"{slug} is {recipe.card.shape}, not learner; a stream drives learners only, see: loopwright list")
    if steps < 1:
        raise InputError(f"expected at least one step, got {steps}")
    recipe(**(options or {}))  # a mistyped option is found before anything is written
    stream = named_stream(world)
    spec = {
        "job": JOB, "task": f"{slug} on {world}", "recipe": slug, "world": world, "options": dict(options or {}), "steps": steps,
        "spec": digest(stream.spec), "out": str(Path(out).resolve()),
    }  # fmt: skip
    store = open_store(store_path)
    try:
        row = store.create_run(spec, seed=seed, budget={}, code_version=__version__)
        return await _drive(store, row, stream, progress)
    finally:
        store.close()


async def resume_stream(store: Store, row: RunRow, progress: Progress = quiet) -> dict[str, Any]:
    """Go on with a stopped run: at most the block it was in is done again. Raises Diverged if the stream is another now."""
    stream = named_stream(str(row.spec["world"]))
    if digest(stream.spec) != row.spec["spec"]:
        raise Diverged(f"the stream {row.spec['world']} is not the one that run {row.id} began with; start a new run")
    return await _drive(store, row, stream, progress)


async def _drive(store: Store, row: RunRow, stream: Stream, progress: Progress) -> dict[str, Any]:
    recipe = get_recipe(str(row.spec["recipe"]))
    steps, options = int(str(row.spec["steps"])), dict(row.spec["options"])
    out = Path(str(row.spec["out"]))
    out.mkdir(parents=True, exist_ok=True)
    async with driving(store, row, None, cache=False, progress=progress, budget=Budget()) as engine:
        progress("stream", {"run": row.id, "task": row.spec["task"], "steps": steps})
        ctx = Context(engine, "stream", world=Single("", sampling=Sampling()), policy=Candidate(), recipe=recipe)
        session, log = await loop.learn(
            recipe, stream, ctx, steps=steps, options=options, block=max(1, min(1000, steps // TENTHS))
        )
        engine.finish()
        seconds = engine.ledger.seconds
    course = courses(stream, row.seed, log)
    result: dict[str, Any] = {
        "run": row.id, "recipe": recipe.slug, "world": row.spec["world"], "seed": row.seed, "steps": len(log),
        "options": options, "seconds": round(seconds, 3), "status": "done", **_told(log),
        "measures": {name: _summary(values) for name, values in course.items()},
    }  # fmt: skip
    (out / "state.json").write_text(json.dumps({"recipe": recipe.slug, "options": options, **session.snapshot()}))
    result["state"] = str(out / "state.json")
    result["figures"] = [str(path) for path in _draw(out, recipe, stream, session, course)]
    (out / "report.html").write_text(page(result), encoding="utf-8")
    result["report"] = str(out / "report.html")
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
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


def _draw(out: Path, recipe: Recipe, stream: Any, session: Session, course: Mapping[str, Sequence[float | None]]) -> list[Path]:
    """The figures that what was measured allows, as PNG and SVG."""
    from loopwright.improve.plots.archive import archive_figure
    from loopwright.improve.plots.curves import learning_curves

    title = f"{recipe.slug} on {stream.name}"
    drawn: dict[str, Callable[..., bytes]] = {}
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
    paths = []
    for name, draw in drawn.items():
        for form in FORMS:
            paths.append(out / f"{name}.{form}")
            paths[-1].write_bytes(draw(form=form))
    return paths


def page(result: Mapping[str, Any]) -> str:
    """A run as one HTML page that asks nothing of the network."""
    rows = "".join(
        f"<tr><td>{escape(SHOWN.get(name, name))}</td>"
        + "".join(f'<td class="n">{_number(m[k])}</td>' for k in ("mean", "first_tenth", "last_tenth", "total"))
        + f'<td class="n">{m["steps"]:,}</td></tr>'
        for name, m in result["measures"].items()
    )
    figures = "".join(
        f"<section><h2>{escape(Path(path).stem)}</h2>{text[text.index('<svg'):]}</section>"
        for path in result["figures"]
        if path.endswith(".svg") and (text := Path(path).read_text(encoding="utf-8"))
    )
    facts = [f"{result['steps']:,} steps", f"{result['answered']:,} answered", f"seed {result['seed']}"]
    facts += [f"{result[k]:,} {k}" for k in ("missing", "censored") if result[k]]
    title = escape(f"{result['recipe']} on {result['world']}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}: Loopwright report</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">\n'
        f'<style>{STYLE}</style></head>\n<body><main><header><p class="brand">Loopwright</p><h1>{title}</h1>'
        f'<p class="facts">{escape(", ".join(facts))}</p></header>\n<section class="wide"><h2>What a step was worth</h2><table>'
        "<tr><th>per step</th><th>mean</th><th>first tenth</th><th>last tenth</th><th>in all</th><th>steps</th></tr>"
        f'{rows}</table></section>\n{figures}<p class="facts">run {escape(result["run"])}</p></main></body></html>\n'
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
