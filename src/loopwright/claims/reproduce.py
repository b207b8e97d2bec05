"""Running a claim: recipe against baseline on the same seeds at the same budget, told as it came out."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from loopwright import __version__
from loopwright.checks.suite import check_recipe
from loopwright.claims.runners import Arm, Runner
from loopwright.claims.table import LEAST_SEEDS, Claim, claim_of
from loopwright.core.errors import BudgetExhausted, UnknownName
from loopwright.core.feedback import Frozen
from loopwright.core.outputs import write_file
from loopwright.core.registry import get_recipe
from loopwright.core.statistics import t_interval, two_way_interval

Verdict = Literal["holds", "does not hold", "not yet"]
Progress = Callable[[str, dict[str, Any]], None]


class Result(Frozen):
    """What was found. ``claim`` is the verdict, ``row`` the claim itself; ``values`` has one entry a seed.

    difference: mean over seeds of what the recipe is better by, in units of the metric, with its 95% interval.
    questions: how many different ones were scored, where seeds may share them; the interval then allows for that.
    conforms: whether every check passes; None where they were not run.
    """

    slug: str
    claim: Verdict
    conforms: bool | None = None
    row: dict[str, Any] | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    questions: int | None = None
    values: tuple[dict[str, Any], ...] = ()
    cost: dict[str, dict[str, float]] = {}
    failed_checks: dict[str, str] = {}
    seconds: float = 0.0
    version: str = __version__
    notes: tuple[str, ...] = ()


def reproduce(
    slug: str,
    *,
    seeds: int | None = None,
    out: Path | str | None = "docs/results",
    on_progress: Progress | None = None,
    conformance: bool = True,
    claim: Claim | None = None,
) -> Result:
    """Run the recipe's claim and write ``<out>/<slug>.json``; a recipe without a claim is only checked.

    seeds: fewer than the claim's, or than LEAST_SEEDS, give a first look, whose verdict is "not yet". out: None writes nothing.
    claim: a row of your own instead of the one in the table. Raises UnknownName for a recipe that does not exist.
    """
    recipe = get_recipe(slug)
    row = claim or claim_of(slug)
    tell = on_progress or (lambda what, data: None)
    started = time.monotonic()
    found: dict[str, Any] = {"claim": "not yet", "notes": ("no claim has been written for this recipe",)}
    if row is not None:
        found = _compare(row, max(row.seeds, LEAST_SEEDS) if seeds is None else seeds, tell)
    if conformance:
        results = check_recipe(recipe, on_result=lambda r: tell("check", asdict(r)))
        found["conforms"] = all(r.passed for r in results)
        found["failed_checks"] = {r.check: r.message for r in results if not r.passed}
    result = Result(slug=recipe.slug, seconds=round(time.monotonic() - started, 1), **found)
    if out is not None and (row is not None or conformance):
        path = Path(out) / f"{recipe.slug}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, [json.dumps(result.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"])
    return result


def is_result(start: bytes) -> bool:
    """Whether a file that begins so is a result of ours, which may be written again."""
    return start.startswith(b'{\n  "claim": ')


def _compare(claim: Claim, seeds: int, tell: Progress) -> dict[str, Any]:
    """Both arms on every seed. A budget that does not hold makes the comparison unequal, so there is no verdict."""
    values: list[dict[str, Any]] = []
    arms: dict[str, list[Arm]] = {"recipe": [], "baseline": []}
    notes: list[str] = []
    runner = Runner(claim)
    try:
        for seed in range(claim.first_seed, claim.first_seed + seeds):
            pair = {
                "recipe": runner.run(claim.recipe, claim.options, seed, arm="recipe"),
                "baseline": runner.run(claim.baseline, claim.baseline_options, seed, arm="baseline"),
            }
            for name, arm in pair.items():
                arms[name].append(arm)
            values.append({"seed": seed, **{name: _rounded(arm.value) for name, arm in pair.items()}})
            tell("seed", values[-1])
    except BudgetExhausted as error:
        notes.append(f"stopped at seed {len(values)}, the options ask for more than the budget of the claim: {error}")
    finally:
        runner.close()
    sign = 1.0 if claim.direction == "higher" else -1.0
    paired = list(zip(arms["recipe"], arms["baseline"], strict=True))
    differences = [sign * (mine.value - theirs.value) for mine, theirs in paired]
    tables = [_by_question(mine, theirs, sign) for mine, theirs in paired]
    questions = None
    if tables and all(tables):
        low, high = two_way_interval(tables, exact=_exact(claim))
        questions = len({question for table in tables for question in table})
    else:
        low, high = t_interval(differences, exact=_exact(claim))
    return {
        **_judged(claim, differences, low, high, notes), "row": claim.model_dump(mode="json"), "values": tuple(values),
        "questions": questions, "cost": {name: _cost(list_) for name, list_ in arms.items()},
    }  # fmt: skip


def _by_question(mine: Arm, theirs: Arm, sign: float) -> dict[str, float]:
    """What the recipe is better by on each question; empty where the value of an arm is no mean over questions."""
    if mine.scores.keys() != theirs.scores.keys():
        return {}
    return {question: sign * (score - theirs.scores[question]) for question, score in mine.scores.items()}


def _exact(claim: Claim) -> bool:
    """Whether nothing in the world or the arms is drawn, so that values may be the same for every seed."""
    return claim.setting.get("exact") is True


def _unless_near(value: float, stored: float | None) -> float:
    return stored if stored is not None and math.isclose(value, stored, rel_tol=1e-4, abs_tol=1e-5) else value


def _judged(claim: Claim, differences: Sequence[float], low: float, high: float, notes: Sequence[str]) -> dict[str, Any]:
    """The verdict, with the interval that it is by and what there is to say about it."""
    told, least = list(notes), max(claim.seeds, LEAST_SEEDS)
    verdict: Verdict = "not yet"
    if len(differences) < least:
        told.append(f"{len(differences)} of {least} seeds were run")
    else:
        verdict = "holds" if low > claim.margin else "does not hold"
        if math.isinf(high):
            same = max(differences) - min(differences) <= 1e-12
            told.append(
                "every seed gave the same difference, so that nothing is known of what varies" if same
                else "the interval is unknown: one question tells nothing of others"
            )
        elif verdict == "does not hold" and high > claim.margin:
            told.append("the interval reaches beyond the margin on both sides: neither shown nor refuted")
    return {
        "claim": verdict, "notes": tuple(told), "low": _rounded(low), "high": _rounded(high),
        "difference": _rounded(sum(differences) / len(differences)) if differences else None,
    }  # fmt: skip


def rejudged(result: Result) -> Result:
    """A stored result by the rules of today, from its values; its interval stays where it needs what was not stored.

    Args:
        result: as ``read_result`` gives it.

    Returns:
        The same with interval, verdict and notes made again.
    """
    if result.row is None or not result.values:
        return result
    claim = Claim.model_validate(result.row)
    sign = 1.0 if claim.direction == "higher" else -1.0
    differences = [sign * (v["recipe"] - v["baseline"]) for v in result.values]
    low, high = t_interval(differences, exact=_exact(claim))
    if result.questions is not None:
        low, high = (end if kept is None else kept for end, kept in ((-math.inf, result.low), (math.inf, result.high)))
    else:  # the stored values are rounded, what was made of them before that is not
        low, high = _unless_near(low, result.low), _unless_near(high, result.high)
    made = ("every seed gave", "the interval reaches", "the interval is unknown")
    notes = [note for note in result.notes if not note.endswith("seeds were run") and not note.startswith(made)]
    made_again = _judged(claim, differences, low, high, notes)
    return result.model_copy(update={**made_again, "difference": result.difference})


def _rounded(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _cost(arms: list[Arm]) -> dict[str, float]:
    """Mean over seeds of what one run took."""
    fields = ("sequences", "tokens", "trained", "steps", "seconds")
    return {name: round(sum(getattr(a, name) for a in arms) / max(len(arms), 1), 2) for name in fields}


def read_result(folder: Path | str, slug: str) -> Result:
    """What an earlier run wrote. Raises UnknownName where there is nothing."""
    path = Path(folder) / f"{slug}.json"
    if not path.is_file():
        raise UnknownName("result", slug, (p.stem for p in Path(folder).glob("*.json")))
    data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Result.model_validate(data)
