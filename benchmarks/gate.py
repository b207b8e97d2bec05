"""The gate against the one before it: how often a run accepts what is no better, what it can notice, and what whole runs deliver.

The old rule, kept here alone: a betting e-value averaged over constant bets (Waudby-Smith and Ramdas, 2024) against a bar
that gives every history of answers its share, alpha / (k (k + 1) k C(k - 1, j)) before look k with j acceptances. The new one
is loopwright.core.gate's. Power of verdicts is exact, by enumeration; the rest is drawn, with fixed seeds.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from loopwright.core.gate import Gate
from loopwright.core.loop import FUTILE_FROM, SCREEN_P
from loopwright.core.paired_tests import betting_log_wealths, sign_cut, sign_p, sign_passes, sign_power

Array = np.ndarray
ALPHA, LOOKS = 0.05, 6
FRACTIONS = (np.arange(64) + 0.5) / 64


# ---- the old rule ------------------------------------------------------------------------------------------------------


def old_level(look: int, accepted: int) -> float:
    return ALPHA / (look * (look + 1) * look * math.comb(look - 1, accepted))


def old_log_e(rows: Array) -> Array:
    """log of the mean over bets f of prod (1 + f d), of each row."""
    logs = np.stack([np.log1p(f * rows).sum(axis=1) for f in FRACTIONS])
    top = logs.max(axis=0)
    return top + np.log(np.exp(logs - top).mean(axis=0))


@cache
def old_log_e_of(wins: int, losses: int) -> float:
    return float(old_log_e(np.array([[1.0] * wins + [-1.0] * losses]))[0])


def old_power(n: int, win: float, loss: float, level: float) -> float:
    """Exactly, over all numbers of wins and losses."""
    found = 0.0
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            if old_log_e_of(wins, losses) >= -math.log(level):
                rest = n - wins - losses
                found += math.comb(n, wins) * math.comb(n - wins, losses) * win**wins * loss**losses * (1 - win - loss) ** rest
    return found


# ---- one look ----------------------------------------------------------------------------------------------------------


def power_at_look_five() -> dict[str, float]:
    """n = 40, 45% turn right and 5% wrong, after four refusals: either part of the new gate alone, and both."""
    old, new = old_level(5, 0), Gate().level()
    return {
        "old": old_power(40, 0.45, 0.05, old), "new test, old shares": sign_power(40, 0.45, 0.05, old),
        "old test, new shares": old_power(40, 0.45, 0.05, new), "new": sign_power(40, 0.45, 0.05, new),
    }  # fmt: skip


def grades(name: str, rng: np.random.Generator, shape: tuple[int, int], gain: float) -> Array:
    """Paired differences of graded scores, with the mean ``gain``."""
    if name == "smooth":
        return np.clip(rng.normal(gain, 0.3, shape), -1, 1)
    if name == "rubric":  # quarters that move up or down
        up = rng.random(shape) < 0.5 + gain
        return np.where(up, 1.0, -1.0) * rng.choice([0.25, 0.5, 0.75], shape)
    if name == "sparse":  # few answers change, those by much
        drawn = rng.random(shape)
        return np.where(drawn < 0.05 + gain / 0.8, 0.8, np.where(drawn > 0.95, -0.8, 0.0))
    drawn = rng.random(shape)  # half credit and whole answers
    whole = np.where(rng.random(shape) < 0.5, 1.0, 0.5)
    return np.where(drawn < 0.2 + gain / 0.75, whole, np.where(drawn > 0.8, -whole, 0.0))


GRADES = ("smooth", "rubric", "sparse", "half credit")


def graded_power(draws: int, gain: float = 0.2, n: int = 40) -> dict[str, dict[str, float]]:
    """At the level of the first look of six."""
    level, found = Gate().level(), {}
    for name in GRADES:
        rows = grades(name, np.random.default_rng(7), (draws, n), gain)
        found[name] = {
            "mean": float(rows.mean()), "old": float((old_log_e(rows) >= -math.log(level)).mean()),
            "new": float((betting_log_wealths(rows, level) >= -math.log(level)).mean()),
        }  # fmt: skip
    return found


def error_all_null(runs: int) -> list[dict[str, Any]]:
    """How often any of six candidates that are no better is accepted, each by luck of its own, which is the worst there is.

    Verdicts change at the share of examples at which the sign test is nearest to its level.
    """
    rows: list[dict[str, Any]] = []
    for n in (20, 40, 100):
        rng = np.random.default_rng(n)
        old, new = np.zeros(runs, bool), np.zeros(runs, bool)
        shares = [i / 100 for i in range(2, 100)]
        worst_share = max(shares, key=lambda q: sign_power(n, q / 2, q / 2, Gate().level()))
        for look in range(1, LOOKS + 1):
            wins, losses, _ = rng.multinomial(n, [worst_share / 2, worst_share / 2, 1 - worst_share], runs).T
            cut = sign_cut(n, Gate().level())
            new |= np.array([sign_passes(sign_p(int(w), int(m)), cut) for w, m in zip(wins, losses, strict=True)])
            bar = -math.log(old_level(look, 0))
            old |= np.array([old_log_e_of(int(w), int(m)) >= bar for w, m in zip(wins, losses, strict=True)])
        rows.append({"scores": "verdicts", "n": n, "old": float(old.mean()), "new": float(new.mean())})
        worst = {"old": 0.0, "new": 0.0}
        for name in GRADES:
            old, new = np.zeros(runs, bool), np.zeros(runs, bool)
            for look in range(1, LOOKS + 1):
                drawn = grades(name, rng, (runs, n), 0.0)
                new |= betting_log_wealths(drawn, Gate().level()) >= -math.log(Gate().level())
                old |= old_log_e(drawn) >= -math.log(old_level(look, 0))
            worst = {"old": max(worst["old"], float(old.mean())), "new": max(worst["new"], float(new.mean()))}
        rows.append({"scores": "grades, worst of four kinds", "n": n, **worst})
    return rows


# ---- whole runs --------------------------------------------------------------------------------------------------------


@dataclass
class Old:
    looks: int = 0
    accepted: int = 0

    def passes(self, n: int, wins: int, losses: int) -> bool:
        self.looks += 1
        enough = old_log_e_of(wins, losses) >= -math.log(old_level(self.looks, self.accepted))
        accepted = enough and wins - losses >= 0.01 * n
        self.accepted += accepted
        return accepted


@dataclass
class New:
    gate: Gate = field(default_factory=Gate)

    def passes(self, n: int, wins: int, losses: int) -> bool:
        share = self.gate.level()
        accepted = sign_passes(sign_p(wins, losses), sign_cut(n, share)) and wins - losses >= self.gate.min_effect * n
        self.gate._spend(share, accepted)
        return accepted


@dataclass(frozen=True)
class Way:
    """How a run divides its examples and asks: ``screened``, offers pass a part of train first, and looks stop early."""

    name: str
    rule: Callable[[], Old | New]
    train: float = 0.5
    gate: float = 0.25
    screened: bool = False


WAYS = (
    Way("old gate", Old),
    Way("new test and shares", New),
    Way("with screen and early stop", New, screened=True),
    Way("and split .40/.35/.25", New, 0.40, 0.35, screened=True),
)


def run(way: Way, examples: int, rng: np.random.Generator) -> tuple[float, int, int, int]:
    """Six offers, 65% of them no better, the others by 10, 20 or 30 points: true gain, gate answers, looks, false steps."""
    n = round(way.gate * examples)
    train = round(way.train * examples)
    screen = round(max(train / 3, min(20, train // 2))) if way.screened else 0  # as worlds.split.screened keeps apart
    rule, truth, answers, looks, wrong = way.rule(), 0.0, 0, 0, 0
    for _ in range(LOOKS):
        gain = 0.0 if rng.random() < 0.65 else float(rng.choice([0.1, 0.2, 0.3]))
        chances = [gain + 0.05, 0.05, 0.9 - gain]  # better, worse, the same

        def drawn(count: int, chances: list[float] = chances) -> tuple[int, int]:
            wins, losses, _ = rng.multinomial(count, chances)
            return int(wins), int(losses)

        if screen:
            wins, losses = drawn(screen)
            if sign_p(wins, losses) > SCREEN_P:
                continue
        looks += 1
        first = math.ceil(n / 3) if way.screened and n >= FUTILE_FROM else 0
        wins, losses = drawn(first) if first else (0, 0)
        answers += first
        if first and wins <= losses:
            rule.passes(n, 0, 0)  # refused, its share is spent
            continue
        more = drawn(n - first)
        answers += n - first
        if rule.passes(n, wins + more[0], losses + more[1]):
            truth += gain
            wrong += gain <= 0
    return truth, answers, looks, wrong


def whole_runs(runs: int) -> list[dict[str, Any]]:
    rows = []
    for way in WAYS:
        row: dict[str, Any] = {"way": way.name}
        for examples in (80, 160, 320):
            rng = np.random.default_rng(examples)
            found = np.array([run(way, examples, rng) for _ in range(runs)])
            gain, answers, looks = found[:, :3].mean(axis=0)
            row[str(examples)] = {
                "gain": 100 * float(gain), "answers": float(answers), "looks": float(looks),
                "false": float((found[:, 3] > 0).mean()),
            }  # fmt: skip
        rows.append(row)
    return rows


# ---- told --------------------------------------------------------------------------------------------------------------


def detectable() -> list[dict[str, Any]]:
    rows = []
    for n in (20, 40, 100, 400):
        for looks in (1, 6):
            found = [Gate(planned=looks).detectable(n, losses=losses) for losses in (0.0, 0.05, 0.1)]
            rows.append({"n": n, "looks": looks, "gains": [None if g is None else 100 * g for g in found]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=10000, help="draws of each kind")
    given = parser.parse_args()
    look, graded, error = power_at_look_five(), graded_power(given.runs), error_all_null(given.runs)
    rows, gains = whole_runs(given.runs), detectable()
    if given.json:
        print(json.dumps({
            "benchmark": "gate", "runs": given.runs, "power at look 5": look, "power of grades": graded, "error, all null": error,
            "whole runs": rows, "detectable": gains,
        }))  # fmt: skip
        return
    print(f"chance that six candidates which are no better have one accepted (promised: {ALPHA:g}; {given.runs} runs)")
    for e in error:
        print(f"  {e['scores']:28} n = {e['n']:<4} old {e['old']:.4f}   new {e['new']:.4f}")
    print("\npower, verdicts, n = 40, 45% turn right, 5% wrong, look 5 (exact)")
    print("  " + "   ".join(f"{name} {value:.0%}" for name, value in look.items()))
    print("power, grades, n = 40, gain 20 points, look 1 of 6")
    for name, g in graded.items():
        print(f"  {name:12} old {g['old']:.0%}   new {g['new']:.0%}   ratio {g['new'] / max(g['old'], 1e-9):.1f}")
    print("\nwhole runs: 6 offers, 35% of them better by 10, 20 or 30 points (42 in all); true gain delivered, in points")
    print(f"  {'':28}" + "".join(f"{f'{n} examples':>16}" for n in (80, 160, 320)) + "   gate answers, looks, false steps at 160")
    for row in rows:
        pairs = [(row[n]["gain"], rows[0][n]["gain"]) for n in ("80", "160", "320")]
        told, c = "".join(f"{f'{gain:.1f} (x{gain / old:.1f})':>16}" for gain, old in pairs), row["160"]
        print(f"  {row['way']:28}{told}   {c['answers']:.0f}, {c['looks']:.1f}, {c['false']:.4f}")
    print("\ndetectable gain 4 times in 5, in points, if none / 5% / 10% get worse")
    for g in gains:
        told = " / ".join("-" if x is None else f"{x:.0f}" for x in g["gains"])
        print(f"  n = {g['n']:<4} {g['looks']} look{'s' if g['looks'] > 1 else ' '}  {told}")


if __name__ == "__main__":
    main()
