"""Measures: good ones, which pass, and bad ones with the check that must say so."""

from collections import defaultdict
from typing import Any

from loopwright.core.errors import InputError
from loopwright.core.feedback import Verdict
from loopwright.core.gate import summarise
from loopwright.core.measure import Table
from loopwright.core.registry import measure

COLUMNS = ("round", "score", "low", "high", "n")


def good(**more: Any) -> Any:
    return measure(**{"learns_from": ("verdict",), "baseline": True, **more})


def by_round(records: Any, score: Any = lambda record: record.rollout.score) -> Table:
    """What the measures below do when they behave."""
    groups = defaultdict(list)
    for record in records:
        groups[record.round].append(score(record))
    rows = [(number, summarise(scores)) for number, scores in sorted(groups.items())]
    return Table(columns=COLUMNS, rows=tuple((k, f.score, f.low, f.high, f.n) for k, f in rows if f.n))


@good()
def mean_score(records):
    return by_round(records)


@good()
def agreement_of_raters(records):
    """Two figures in a row, and a refusal of an empty run."""
    rows = []
    if not records:
        raise InputError("no record holds two verdicts")
    for name in ("judge", "person"):
        agree: list[float | None] = []
        for record in records:
            said = {f.by.name: f.passed for f in record.rollout.feedback if isinstance(f, Verdict)}
            agree.append(float(said[name] == said["checker"]) if {name, "checker"} <= set(said) else None)
        found, right = summarise(agree), summarise([r.rollout.score for r in records])
        if found.n and right.n:
            rows.append((name, found.score, found.low, found.high, right.score, right.low, right.high))
    names = ("agreement", "agreement low", "agreement high", "score", "score low", "score high")
    return Table(columns=("rater", *names), rows=tuple(rows))


@good(learns_from=())
def length_of_answers(records):
    """No feedback at all."""
    return by_round(records, lambda record: min(len(record.rollout.output) / 20, 1.0))


# ---- bad -------------------------------------------------------------------------------------------------------------


@good()  # no-figure-from-nothing: None is not 0
def missing_is_zero(records):
    return by_round(records, lambda record: record.rollout.score or 0.0)


@good()  # no-figure-from-nothing: it says 0 where nothing was judged
def zero_of_nothing(records):
    found = summarise([r.rollout.score for r in records])
    return Table(columns=("score", "low", "high"), rows=((found.score, found.low, found.high),))


@good()  # no-figure-from-nothing: nothing is divided by
def divides_by_nothing(records):
    scores = [r.rollout.score for r in records if r.rollout.score is not None]
    mean, found = sum(scores) / len(scores), summarise(scores)
    return Table(columns=("score", "low", "high"), rows=((mean, found.low, found.high),))


@good()  # order-does-not-matter: the first in the list is not the first attempt
def first_in_the_list(records):
    first = {r.rollout.example.id: r for r in reversed(records)}
    return by_round(first.values())


@good()  # order-does-not-matter: it sorts what it was given
def sorts_in_place(records):
    records.sort(key=lambda r: (r.round, r.rollout.id))
    return by_round(records)


@good()  # interval-holds-the-figure: there is none
def no_interval(records):
    made = by_round(records)
    return Table(columns=("round", "score"), rows=tuple(row[:2] for row in made.rows))


@good()  # interval-holds-the-figure: as wide for many as for few
def same_width(records):
    rows = ((k, s, max(s - 0.1, 0.0), min(s + 0.1, 1.0), n) for k, s, _, _, n in by_round(records).rows)
    return Table(columns=COLUMNS, rows=tuple(rows))


@good()  # interval-holds-the-figure: it lies beside the figure
def beside_itself(records):
    rows = ((k, 1 - s, low, high, n) for k, s, low, high, n in by_round(records).rows)
    return Table(columns=COLUMNS, rows=tuple(rows))


@good()  # loop-is-closed: the number of records, and nothing in them
def counts_records(records):
    return by_round(records, lambda record: record.replicate / 10)


@good()  # loop-is-closed: what is said is not read
def reads_no_feedback(records):
    return by_round(records, lambda record: float(record.rollout.id < "8"))


@good(needs=("model",))  # touches-what-it-declares
def wants_a_model(records):
    return by_round(records)


@good()  # same-seed-same-result, same-result-in-a-new-process and order-does-not-matter: it counts its calls
def counts_its_calls(records):
    by_round.calls = getattr(by_round, "calls", 0) + 1  # type: ignore[attr-defined]
    made = by_round(records)
    return made.model_copy(update={"columns": (f"round {by_round.calls}", *COLUMNS[1:])})  # type: ignore[attr-defined]
