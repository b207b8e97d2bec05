"""Checks that run a recipe on the toy."""

from __future__ import annotations

import logging
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopwright.checks import bench_critic, fresh
from loopwright.checks.bench import Bench, Killed, Run, fingerprint, mixed_up
from loopwright.checks.bench_critic import Told, words_only, worth
from loopwright.checks.measuring import heeds_its_records
from loopwright.checks.suite import ALL, RUNNING, Failed, check
from loopwright.core.errors import Diverged, LoopwrightError, NoConversion
from loopwright.core.registry import Recipe
from loopwright.core.types import Budget

KILLS = 16  # places at which a run is killed, spread over the whole of it
_NEEDED = ("loopwright.checks.bench",)  # by every run in a new process
SEEDS = 12  # on which the gain is compared with and without the right feedback


@check(*ALL)
def same_seed_same_result(recipe: Recipe) -> None:
    """Two runs with one seed give the same result, to the last bit, whatever ran in between."""
    first = fingerprint(_run(Bench(recipe, seed=3)))
    _run(Bench(recipe, seed=4))
    if fingerprint(_run(Bench(recipe, seed=3))) != first:
        raise Failed("a second run with the same seed gave another result; randomness comes from ctx.rng alone")


@check(*ALL)
def same_result_in_a_new_process(recipe: Recipe) -> str | None:
    """A new process with other string hashes gives the same result: no order of sets, no hash(), no addresses."""
    name = importable(recipe)
    if name is None:
        return "does not apply: the recipe is not an attribute of its module"
    here = fingerprint(_run(Bench(recipe, seed=3)))
    for hash_seed in ("1", "2"):
        try:
            there = fresh.call("loopwright.checks.fresh:fingerprint_of", name, hash_seed=hash_seed, imports=_NEEDED)
        except fresh.CallFailed as error:
            raise Failed(f"a new process failed: {error}") from error
        if there != here:
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


@check("solver", "critic", "improver")
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


@check(*ALL)
def touches_what_it_declares(recipe: Recipe) -> str | None:
    """It uses no capability that its card does not declare; what it declares and never uses is remarked on."""
    used = _run(Bench(recipe, seed=7)).used
    declared = set(recipe.card.needs)
    if declared and recipe.card.shape == "measure":
        raise Failed(f"it declares {', '.join(sorted(declared))}; a measure is given records, and nothing to call")
    undeclared = sorted(used - declared)
    if undeclared:
        raise Failed(f"it used {', '.join(undeclared)}, and its card declares {', '.join(sorted(declared)) or 'nothing'}")
    unused = sorted(declared - used)
    return f"warning: declares {', '.join(unused)}, which it did not use on the toy" if unused else None


@check("solver", "critic", "improver")
def survives_missing_judgements(recipe: Recipe) -> None:
    """Judgements that fail and answers that say nothing usable neither stop it nor count as a zero it trusts."""
    for bench in (Bench(recipe, seed=8, judgements="missing"), Bench(recipe, seed=8, silent=0.2)):
        _run(bench)
    if recipe.card.shape == "critic":
        _makes_nothing_up(recipe)


_SILENCES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a model that replies with nothing", {"silent": 1.0, "silence": ""}),
    ("a model that says nothing to the purpose", {"silent": 1.0, "silence": "?"}),
    ("a model whose every reply is refused as empty", {"silent": 1.0, "silence": None}),
    ("critics that all fail", {"judgements": "none"}),
)


def _makes_nothing_up(recipe: Recipe) -> None:
    """A critic that hears nothing may still go by what it sees itself, and then its feedback tells right from wrong."""
    for what, how in _SILENCES:
        run = _run(Bench(recipe, seed=8, **how))
        silenced = "critic" if "judgements" in how else "model"
        # An answer that was not given has the lowest score by rule: that is not made up, and tells nothing right from wrong.
        judged = [(r, said) for r, said in run.judged if not r.unanswered]
        numbers = [worth(r, said) for r, said in judged if not words_only(said)]
        if silenced in run.used and any(numbers) and bench_critic.gain(judged) < 0.1:
            raise Failed(f"with {what} it gives feedback that says something: {next(filter(None, numbers))}; give Missing")


@check(*RUNNING)
def refuses_feedback_it_cannot_use(recipe: Recipe) -> str | None:
    """Feedback of a kind that cannot become one it learns from is a NoConversion, never a silent nothing."""
    if not recipe.card.learns_from:
        return "does not apply: it learns from no feedback"
    if "gradient" in recipe.card.learns_from:
        return "does not apply: it takes gradients, which is what it would be given"
    if recipe.card.shape in ("solver", "critic") and "critic" not in recipe.card.needs:
        return "does not apply: its feedback is the words of tools"
    if recipe.card.learns_from == ("demonstration",):
        return "does not apply: it is shown what to imitate, and asks for no judgement"
    try:
        _run(Bench(recipe, seed=9, judgements="gradient"))
    except NoConversion:
        return None
    raise Failed("it was given gradients and went on without a word; let the context convert, and do not catch NoConversion")


@check(*ALL)
def loop_is_closed(recipe: Recipe) -> str | None:
    """With feedback it is better than without itself, and with the same feedback mixed up the gain is gone.

    A Critic's gain is how much oftener than by chance it puts a right answer above a wrong one (AUC - 1/2), and what is
    mixed up is what it is told: the replies of its model, the words of its tools, what its programs gave, what other
    critics said, each now of another answer. A Critic that is told nothing, since its feedback is computed from the answer
    alone, has no loop, and how well it tells is not asked: some look at form and not at truth. A Measure has no gain; its
    figures must change with the run, and with half of all judgements turned round.
    """
    shape = recipe.card.shape
    if shape == "measure":
        return heeds_its_records(recipe)
    if shape == "critic" and not recipe.card.needs:
        return "does not apply: it is told nothing; its feedback is computed from the answer alone"
    if shape != "critic" and not recipe.card.learns_from:
        return "does not apply: it learns from no feedback"
    examples = 16 if shape == "critic" else 40  # a critic judges two answers to each
    gains, mixed = [], []
    for seed in range(SEEDS):
        run = _run(Bench(recipe, seed=seed, examples=examples))
        if not run.heard:
            asked = "needs something to judge by" if shape == "critic" else "learns from feedback"
            raise Failed(f"its card says that it {asked}, and it asked for none")
        if shape == "critic":
            _says_something(run)
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


def _says_something(run: Run) -> None:
    """Feedback without a number has two reasons, and an author who sees neither would look for the fault elsewhere."""
    if any(worth(*pair) for pair in run.judged):
        return
    kinds = sorted({f.kind for _, judgement in run.judged for f in judgement.feedback})
    told = next((repr(t.said)[:200] for t in run.heard if isinstance(t, Told)), "nothing")
    raise Failed(
        f"none of its feedback ({', '.join(kinds)}) says how good an answer is. If its model was not understood: it was told "
        f"{told}; checks.toy_judge says which forms of reply the toy knows"
    )


def _run(bench: Bench) -> Run:
    try:
        return bench.run()
    except Killed as error:
        raise Failed(str(error)) from error
