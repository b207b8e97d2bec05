"""What each method takes at its defaults, measured: ``python -m loopwright.claims.costs docs/results`` (``make costs``).

Every method runs once on the toy world of ``loopwright check``, whose model answers at once: calls and tokens are the
method's, the seconds this library's own work, and what a real model takes comes on top. A call may ask for several samples.
Other tasks cost more or less: a method that stops when it is satisfied stops where the toy is right.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopwright.checks.bench import STREAMS, Bench, short
from loopwright.core.feedback import FREE, Frozen
from loopwright.core.registry import Recipe, all_recipes

FOLDER = "costs"
FILE = "toy.json"
EXAMPLES = 24  # that a Solver answers, or a Critic judges
PER = {"solver": "answer", "critic": "judgement", "improver": "run", "learner": "1000 decisions", "measure": "run"}


class MethodCost(Frozen):
    """Means per ``per`` (an answer, a judgement, a run, 1000 decisions); seconds are of the processor.

    cut: options that were set below their defaults, which are meant for larger tasks than the toy.
    fits: trainings. code: programs run in the sandbox. failed: why there are no figures.
    """

    slug: str
    family: str
    shape: str
    per: str
    calls: float = 0.0
    tokens: float = 0.0
    seconds: float = 0.0
    fits: int = 0
    code: float = 0.0
    cut: dict[str, int] = {}
    failed: str = ""


def method_cost(recipe: Recipe, *, seed: int = 0) -> MethodCost:
    """One run on the toy; what the gate's looks at an Improver's candidates take is not counted, as that is no choice of its."""
    card = recipe.card
    named: dict[str, Any] = {"slug": card.slug, "family": card.family, "shape": card.shape, "per": PER[card.shape]}
    bench = Bench(recipe, seed=seed, examples=EXAMPLES)
    began = time.process_time()
    try:
        bench.run()
    except Exception as error:  # a method that needs what is not installed here; the table says so
        return MethodCost(**named, failed=f"{type(error).__name__}: {error}".splitlines()[0][:200])
    seconds = time.process_time() - began
    runs = 1.0
    if card.shape in ("solver", "critic"):
        runs = float(EXAMPLES)
    elif card.shape == "learner":
        runs = STREAMS[card.improves][1] / 1000
    spent, fits, code = FREE, 0, 0
    for effect in bench.store.effects(bench.row.id if bench.row else ""):
        if "/gate." not in effect.scope:
            spent = spent + effect.cost
            fits += effect.kind == "fit"
            code += effect.kind == "run"
    return MethodCost(
        **named, calls=round(spent.calls / runs, 2), tokens=round(spent.tokens / runs, 1), seconds=round(seconds / runs, 4),
        fits=fits, code=round(code / runs, 2), cut=short(recipe) if card.shape in ("improver", "learner") else {},
    )  # fmt: skip


def write_costs(results: Path | str, costs: list[MethodCost]) -> Path:
    """Those that are there already and were not measured now stay, unless their method is gone."""
    path = Path(results) / FOLDER / FILE
    known = {c.slug: c for c in (*read_costs(results).values(), *costs) if c.slug in all_recipes()}
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [known[slug].model_dump(mode="json", exclude_defaults=True) for slug in sorted(known)]
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")
    return path


def read_costs(results: Path | str) -> dict[str, MethodCost]:
    """By slug; empty where nothing was measured."""
    path = Path(results) / FOLDER / FILE
    if not path.is_file():
        return {}
    return {row["slug"]: MethodCost.model_validate(row) for row in json.loads(path.read_text(encoding="utf-8"))}


def sentence(cost: MethodCost) -> str:
    """For a method's page."""
    if cost.failed:
        return f"Not measured here: {cost.failed}"
    said = [f"{cost.calls:g} calls of the model and {cost.tokens:g} tokens"] if cost.calls else ["no call of the model"]
    said += [f"{cost.fits} trainings"] if cost.fits else []
    said += [f"{cost.code:g} programs run"] if cost.code else []
    less = ", ".join(f"`{name}={value}`" for name, value in cost.cut.items())
    return (
        f"Measured at its defaults{' but for ' + less if less else ''}, per {cost.per} on the toy world of `loopwright check`: "
        f"{', '.join(said)}, {cost.seconds:.3g} s of this library's own work on one core."
    )


def overview(costs: Mapping[str, MethodCost]) -> str:
    """The page of all methods by family."""
    blocks = ["# What each method takes", " ".join((__doc__ or "").split("\n\n", 1)[1].replace("``", "`").split())]
    for shape, per in PER.items():
        rows = sorted((c for c in costs.values() if c.shape == shape and not c.failed), key=lambda c: (c.family, c.slug))
        if not rows:
            continue
        heads = (shape, "family", "calls", "tokens", "seconds", "trainings", "options cut to the toy's size")
        lines = [f"| {' | '.join(heads)} |", "|---|---|--:|--:|--:|--:|---|"]
        lines += [
            f"| [{c.slug}]({c.slug}.md) | {c.family} | {c.calls:,g} | {c.tokens:,.0f} | {c.seconds:.3g} | {c.fits or ''} | "
            f"{', '.join(f'`{n}={v}`' for n, v in c.cut.items())} |"
            for c in rows
        ]
        blocks += [f"## Per {per}", "\n".join(lines)]
    blocks += [f"Not measured: {c.slug} ({c.failed})." for c in costs.values() if c.failed]
    return "\n\n".join(blocks) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="?", default="docs/results", help="where the results are")
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="only these recipes")
    given = parser.parse_args()
    found = []
    for slug, recipe in all_recipes().items():
        if not given.slugs or slug in given.slugs:
            found.append(method_cost(recipe))
            print(f"{slug}: {sentence(found[-1])}", flush=True)
    print(write_costs(given.results, found))


if __name__ == "__main__":
    main()
