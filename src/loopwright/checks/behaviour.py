"""Checks that run a recipe on the toy."""

from __future__ import annotations

import logging
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from loopwright.checks.bench import Bench, Killed, Run, fingerprint, mixed_up
from loopwright.checks.form import python
from loopwright.checks.suite import RUNNING, Failed, check
from loopwright.core.errors import Diverged, LoopwrightError, NoConversion
from loopwright.core.registry import Recipe
from loopwright.core.types import Budget

KILLS = 16  # places at which a run is killed, spread over the whole of it
SEEDS = 12  # on which the gain is compared with and without the right feedback


@check(*RUNNING)
def same_seed_same_result(recipe: Recipe) -> None:
    """Two runs with one seed give the same result, to the last bit, whatever ran in between."""
    first = fingerprint(_run(Bench(recipe, seed=3)))
    _run(Bench(recipe, seed=4))
    if fingerprint(_run(Bench(recipe, seed=3))) != first:
        raise Failed("a second run with the same seed gave another result; randomness comes from ctx.rng alone")


_FINGERPRINT = """
import sys
from loopwright.checks.bench import Bench, fingerprint
from loopwright.core.registry import get_recipe
print(fingerprint(Bench(get_recipe(sys.argv[1]), seed=3).run()))
"""


@check(*RUNNING)
def same_result_in_a_new_process(recipe: Recipe) -> str | None:
    """A new process with other string hashes gives the same result: no order of sets, no hash(), no addresses."""
    name = importable(recipe)
    if name is None:
        return "does not apply: the recipe is not an attribute of its module"
    here = fingerprint(_run(Bench(recipe, seed=3)))
    for hash_seed in ("1", "2"):
        done = python(_FINGERPRINT, name, hash_seed=hash_seed)
        if done.returncode:
            raise Failed(f"a new process failed: {done.stderr.strip().splitlines()[-1] if done.stderr else 'no message'}")
        if done.stdout.strip() != here:
            raise Failed("a new process gave another result; sort sets before you go through them, and do not use hash()")
    return None


def importable(recipe: Recipe) -> str | None:
    """``module:name`` of a recipe, where it has one."""
    module = sys.modules.get(recipe.module)
    name = next((k for k, v in vars(module).items() if v is recipe), None) if module is not None else None
    return f"{recipe.module}:{name}" if name is not None else None


@check(*RUNNING)
def resumes_after_a_kill(recipe: Recipe) -> str | None:
    """Killed at any write and resumed, a run ends as if nothing had happened, and repeats only calls that were in flight."""
    whole = Bench(recipe, seed=5)
    expected = _run(whole)
    writes = whole.store.writes
    places = sorted({1 + (writes - 1) * i // (KILLS - 1) for i in range(KILLS)}) if writes else []
    for number, place in enumerate(places):
        bench = Bench(recipe, seed=5, batch_rows=16 if number % 4 == 3 else 0)
        bench.store.at, bench.store.after = place, number % 2 == 1
        where = f"killed {'after' if bench.store.after else 'before'} write {place} of {writes}"
        spent = _killed(bench)
        assert bench.row is not None
        # Waves are recorded whole, so a killed one is repeated whole; single calls leave a mark before they are made.
        lost = bench.store.in_flight(bench.row.id) if not bench.batch_rows else 16
        bench.store.at = 0
        try:
            run = _run(bench)
        except Diverged as error:
            raise Failed(f"{where}, it could not be resumed: {error}") from error
        if fingerprint(run) != fingerprint(expected):
            raise Failed(f"{where} and resumed, it ended otherwise than without the kill; keep no state outside the recipe")
        repeated = spent + run.calls - expected.calls
        if repeated > lost:
            raise Failed(f"{where}, it repeated {repeated} model calls when resumed, and only {lost} had been in flight")
    return f"killed at {len(places)} places of {writes}"


def _killed(bench: Bench) -> int:
    """Run into the kill; returns how many model calls were made."""
    run = Run()
    with _quiet():
        try:
            run = bench.run()
        except Killed:
            return bench.calls
    return run.calls


@contextmanager
def _quiet() -> Iterator[None]:
    """asyncio reports tasks that nobody waited for; after a kill that is as it should be."""
    log = logging.getLogger("asyncio")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


@check("solver", "improver")
def budget_holds(recipe: Recipe) -> None:
    """With any cap on calls it makes no call more, and it ends by itself, whole or for want of budget."""
    free = _run(Bench(recipe, seed=6))
    caps = sorted({1, 2, 3, 5, 8, free.calls // 2, free.calls - 1} & set(range(1, free.calls)))
    for cap in caps:
        bench = Bench(recipe, seed=6, budget=Budget(calls=cap))
        with _quiet():
            try:
                run = bench.run()
            except Killed as error:
                raise Failed(f"with {cap} calls: {error}; do not catch BudgetExhausted to try again") from error
            except LoopwrightError as error:
                raise Failed(f"with {cap} calls it ended with {type(error).__name__}: {error}") from error
        if run.calls > cap:
            raise Failed(f"with {cap} calls it made {run.calls}; models are reached through the context's own methods")


@check(*RUNNING)
def touches_what_it_declares(recipe: Recipe) -> str | None:
    """It uses no capability that its card does not declare; what it declares and never uses is remarked on."""
    used = _run(Bench(recipe, seed=7)).used
    declared = set(recipe.card.needs)
    undeclared = sorted(used - declared)
    if undeclared:
        raise Failed(f"it used {', '.join(undeclared)}, and its card declares {', '.join(sorted(declared)) or 'nothing'}")
    unused = sorted(declared - used)
    return f"warning: declares {', '.join(unused)}, which it did not use on the toy" if unused else None


@check("solver", "improver")
def survives_missing_judgements(recipe: Recipe) -> None:
    """Judgements that fail and answers that say nothing usable neither stop it nor count as a zero it trusts."""
    for bench in (Bench(recipe, seed=8, judgements="missing"), Bench(recipe, seed=8, silent=True)):
        _run(bench)


@check(*RUNNING)
def refuses_feedback_it_cannot_use(recipe: Recipe) -> str | None:
    """Feedback of a kind that cannot become one it learns from is a NoConversion, never a silent nothing."""
    if not recipe.card.learns_from:
        return "does not apply: it learns from no feedback"
    if "gradient" in recipe.card.learns_from:
        return "does not apply: it takes gradients, which is what it would be given"
    if recipe.card.shape == "solver" and "critic" not in recipe.card.needs:
        return "does not apply: its feedback is the words of tools"
    try:
        _run(Bench(recipe, seed=9, judgements="gradient"))
    except NoConversion:
        return None
    raise Failed("it was given gradients and went on without a word; let the context convert, and do not catch NoConversion")


@check(*RUNNING)
def loop_is_closed(recipe: Recipe) -> str | None:
    """With feedback it is better than without itself, and with the same feedback mixed up the gain is gone."""
    if not recipe.card.learns_from:
        return "does not apply: it learns from no feedback"
    examples = 40
    gains, mixed = [], []
    for seed in range(SEEDS):
        run = _run(Bench(recipe, seed=seed, examples=examples))
        if not run.heard:
            raise Failed("its card says that it learns from feedback, and it asked for none")
        scramble = mixed_up(run.heard, seed)
        gains.append(run.gain)
        mixed.append(_run(Bench(recipe, seed=seed, examples=examples, scramble=scramble)).gain)
    gain, without = statistics.fmean(gains), statistics.fmean(mixed)
    error = statistics.stdev(gains) / len(gains) ** 0.5
    shown = f"gain {gain:.2f} with feedback, {without:.2f} with it mixed up ({SEEDS} seeds)"
    if gain <= 3 * error:
        raise Failed(f"{shown}: no clear gain to begin with, so what the feedback is used for cannot be shown")
    if without > gain / 2:
        raise Failed(f"{shown}: most of the gain does not come from the feedback")
    return shown


def _run(bench: Bench) -> Run:
    try:
        return bench.run()
    except Killed as error:
        raise Failed(str(error)) from error
