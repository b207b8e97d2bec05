"""Word problems of optimisation whose models HiGHS solves: an answer is a program as text, right where its optimum is.

Six kinds: a knapsack, production in whole pieces, an assignment, transport, a diet, opening depots at a fixed price. Each is
told with what modellers get wrong: capacities in hours and needs in minutes, things that come whole or once, shares of a total,
fixed prices that want a yes or no, needs that must be met at least. The true model of each problem is its target, as text; no
Solver sees it.

Needs highspy (``pip install 'loopwright[milp]'``) where answers are judged. Programs are data (``blocks.linear_program``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from loopwright.core.context import Context
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.extras import require
from loopwright.core.feedback import CODE, Feedback, Verdict
from loopwright.core.fences import code_in
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, Rollout, digest
from loopwright.critics.milp import same, solved, solved_apart
from loopwright.worlds.small import Small

FORM = (
    "Write a linear program of this problem. Answer with the program alone, in one ``` block, in this form:\n```\n"
    "maximize 3 x + 2 y\nsubject to\n  2 x + y <= 40\n  x - 2 y >= 0\nbounds\n  y <= 12\ninteger\n  x y\n```\n"
    "It begins with maximize or minimize. Variables are at least 0. 'bounds', 'integer' and 'binary' may be left out. Write "
    "every sum out, in numbers and names of your own."
)
_ITEMS = ("tent", "stove", "lamp", "rope", "camera", "drill", "map case", "blanket", "kettle", "axe", "radio", "net")
_GOODS = ("chairs", "tables", "shelves", "stools", "benches", "cabinets", "desks", "frames")
_PEOPLE = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana")
_JOBS = ("painting", "wiring", "tiling", "plumbing", "paving", "glazing")
_TOWNS = ("Arden", "Bray", "Corby", "Delph", "Elton", "Frome", "Goole", "Hythe")
_FOODS = ("oats", "beans", "rice", "lentils", "nuts", "milk powder", "dried fruit", "cheese")

Drawn = tuple[str, str]  # question, true program


def knapsack(rng: random.Random) -> Drawn:
    names = rng.sample(_ITEMS, rng.randint(4, 6))
    weights = [rng.randint(2, 14) for _ in names]
    worths = [w * rng.randint(2, 6) + rng.randint(0, 9) for w in weights]
    room = round(sum(weights) * rng.uniform(0.4, 0.65))
    told = "; ".join(f"{n}: {w} kg, worth {v}" for n, w, v in zip(names, weights, worths, strict=True))
    question = (
        f"A traveller may carry at most {room} kg and has one of each of these things: {told}. A thing is taken or left behind. "
        "Which things together are worth the most?"
    )
    x = _variables(names)
    return question, _program("maximize", _total(worths, x), [f"{_total(weights, x)} <= {room}"], binary=x)


def production(rng: random.Random) -> Drawn:
    names = rng.sample(_GOODS, rng.randint(2, 3))
    profits = [rng.randint(11, 60) for _ in names]
    minutes = [[rng.randint(7, 50) for _ in names] for _ in ("sawing", "painting")]
    hours = [rng.randint(8, 30) for _ in minutes]
    told = "; ".join(
        f"one of the {n} takes {a} minutes of sawing and {b} minutes of painting and earns {p} euros"
        for n, a, b, p in zip(names, *minutes, profits, strict=True)
    )
    times = rng.randint(2, 3)
    question = (
        f"A workshop makes {', '.join(names[:-1])} and {names[-1]}, in whole pieces: {told}. This week there are {hours[0]} "
        f"hours for sawing and {hours[1]} hours for painting. At least {times} times as many {names[0]} as {names[1]} must be "
        "made. How many of each earn the most?"
    )
    x = _variables(names)
    rows = [f"{_total(m, x)} <= {60 * h}" for m, h in zip(minutes, hours, strict=True)]
    return question, _program("maximize", _total(profits, x), [*rows, f"{x[0]} - {times} {x[1]} >= 0"], integer=x)


def assignment(rng: random.Random) -> Drawn:
    size = rng.randint(2, 3)
    people, jobs = rng.sample(_PEOPLE, size + 1), rng.sample(_JOBS, size)
    hours = [[rng.randint(3, 20) for _ in jobs] for _ in people]
    told = "; ".join(
        f"{who}: " + ", ".join(f"{h} hours for {job}" for h, job in zip(row, jobs, strict=True))
        for who, row in zip(people, hours, strict=True)
    )
    question = (
        f"Each of the jobs {', '.join(jobs)} is done by one person, and nobody does more than one job. How long they take: "
        f"{told}. Who should do which job, so that the fewest hours are worked in all?"
    )
    x = [[f"{who.lower()}_{job}" for job in jobs] for who in people]
    rows = [f"{' + '.join(row)} <= 1" for row in x] + [f"{' + '.join(column)} = 1" for column in zip(*x, strict=True)]
    flat = [name for row in x for name in row]
    return question, _program("minimize", _total([h for row in hours for h in row], flat), rows, binary=flat)


def transport(rng: random.Random) -> Drawn:
    places = rng.sample(_TOWNS, 4 + rng.randint(0, 1))
    sources, sinks = places[:2], places[2:]
    needs = [rng.randint(10, 40) for _ in sinks]
    first = rng.randint(sum(needs) // 3, sum(needs) // 2)
    stock = [first, sum(needs) - first + rng.randint(5, 25)]
    costs = [[rng.randint(2, 12) for _ in sinks] for _ in sources]
    told = "; ".join(
        f"from {s} " + ", ".join(f"{c} euros to {t}" for c, t in zip(row, sinks, strict=True))
        for s, row in zip(sources, costs, strict=True)
    )
    question = (
        f"Mills in {sources[0]} and {sources[1]} have {stock[0]} and {stock[1]} tons of flour. "
        + " ".join(f"{t} needs at least {n} tons." for t, n in zip(sinks, needs, strict=True))
        + f" A ton costs {told}. What is the cheapest way to meet every need?"
    )
    x = [[f"{s}_{t}".lower() for t in sinks] for s in sources]
    rows = [f"{' + '.join(row)} <= {n}" for row, n in zip(x, stock, strict=True)]
    rows += [f"{' + '.join(column)} >= {n}" for column, n in zip(zip(*x, strict=True), needs, strict=True)]
    return question, _program("minimize", _total([c for row in costs for c in row], [n for row in x for n in row]), rows)


def diet(rng: random.Random) -> Drawn:
    names = rng.sample(_FOODS, 3)
    prices = sorted(rng.sample(range(2, 15), 3))
    protein = [rng.randint(8, 14), *(rng.randint(10, 30) for _ in names[1:])]
    energy = [rng.randint(35, 60), *(rng.randint(20, 60) for _ in names[1:])]
    need, fuel, share = rng.randint(120, 240), rng.randint(400, 800), rng.choice((30, 40, 50))
    told = "; ".join(
        f"{n} cost {p} euros a kilo and hold {a} units of protein and {e} of energy"
        for n, p, a, e in zip(names, prices, protein, energy, strict=True)
    )
    question = (
        f"A camp mixes food from {', '.join(names)}. {told}. The mixture must hold at least {need} units of protein and {fuel} "
        f"of energy, and at most {share}% of its weight may be {names[0]}. What does the cheapest mixture cost?"
    )
    x = _variables(names)
    rows = [f"{_total(protein, x)} >= {need}", f"{_total(energy, x)} >= {fuel}"]
    rows.append(f"{100 - share} {x[0]} - {share} {x[1]} - {share} {x[2]} <= 0")
    return question, _program("minimize", _total(prices, x), rows)


def depots(rng: random.Random) -> Drawn:
    places = rng.sample(_TOWNS, 5)
    sites, towns = places[:3], places[3:]
    rents = [rng.randint(60, 160) for _ in sites]
    needs = [rng.randint(10, 30) for _ in towns]
    room = sum(needs)
    costs = [[rng.randint(2, 9) for _ in towns] for _ in sites]
    told = "; ".join(
        f"{s} costs {r} euros to open and then " + " and ".join(f"{c} a load to {t}" for c, t in zip(row, towns, strict=True))
        for s, r, row in zip(sites, rents, costs, strict=True)
    )
    question = (
        f"Depots may be opened in {', '.join(sites)}; an open one can send out up to {room} loads, one that is not opened none. "
        f"{told}. "
        + " ".join(f"{t} must get {n} loads." for t, n in zip(towns, needs, strict=True))
        + " What is the least it can cost in all?"
    )
    x = [[f"{s}_{t}".lower() for t in towns] for s in sites]
    opened = [f"open_{s.lower()}" for s in sites]
    rows = [f"{' + '.join(row)} - {room} {o} <= 0" for row, o in zip(x, opened, strict=True)]
    rows += [f"{' + '.join(column)} >= {n}" for column, n in zip(zip(*x, strict=True), needs, strict=True)]
    flat = [n for row in x for n in row]
    objective = _total([*rents, *(c for row in costs for c in row)], [*opened, *flat])
    return question, _program("minimize", objective, rows, binary=opened)


KINDS: Mapping[str, Callable[[random.Random], Drawn]] = {
    f.__name__: f for f in (knapsack, production, assignment, transport, diet, depots)
}


def _variables(names: Sequence[str]) -> list[str]:
    return [name.replace(" ", "_") for name in names]


def _total(factors: Sequence[int], names: Sequence[str]) -> str:
    return " + ".join(f"{f} {n}" for f, n in zip(factors, names, strict=True))


def _program(
    aim: str, objective: str, rows: Sequence[str], *, integer: Sequence[str] = (), binary: Sequence[str] = ()
) -> str:
    lines = [f"{aim} {objective}", "subject to", *(f"  {row}" for row in rows)]
    lines += ["integer", f"  {' '.join(integer)}"] if integer else []
    lines += ["binary", f"  {' '.join(binary)}"] if binary else []
    return "\n".join([*lines, "end"])


def program_in(answer: str) -> str:
    """The program of an answer: its last fenced block, else all of it, without thinking."""
    return code_in(answer, ("lp",)).strip()


async def check(rollout: Rollout, ctx: Context) -> Feedback:
    """Passed where the program's optimum is that of the true model; else what the solver says, and what the optimum is."""
    got, true = await solved_apart(program_in(rollout.output)), solved(str(rollout.example.target))
    if true.objective is None:
        raise InputError(f"the true model of {rollout.example.id} has no optimum: {true.text}")
    if same(got.objective, true.objective):
        return Verdict(passed=True, by=CODE)
    known = f" The right optimum is {true.objective:g}."
    return Verdict(passed=False, message=got.text + (known if got.status == "optimal" else ""), by=CODE)


async def critic(rollout: Rollout, ctx: Context) -> Feedback:
    """What can be said without knowing the answer: whether the program is read, and has an optimum."""
    got = await solved_apart(program_in(rollout.output))
    return Verdict(passed=got.status == "optimal", message="" if got.status == "optimal" else got.text, by=CODE)


async def highs(text: str, ctx: Context) -> str:
    return (await solved_apart(program_in(text))).text


def modelling(*, kinds: str = "", count: int = 240, seed: int = 0) -> Small:
    """``count`` problems in turn of each kind; kinds: some of them, joined by "+". Raises UnknownName for another kind."""
    require("highspy")  # for what judges the answers
    wanted = [kind.strip() for kind in kinds.split("+") if kind.strip()] or list(KINDS)
    for kind in wanted:
        if kind not in KINDS:
            raise UnknownName("kind of problem", kind, KINDS)
    if count < 1:
        raise InputError(f"modelling: expected a count of at least 1, got {count}")
    rng = random.Random(digest(["modelling", wanted, seed]))
    items: dict[str, Example] = {}
    while len(items) < count:
        kind = wanted[len(items) % len(wanted)]
        question, program = KINDS[kind](rng)
        items[question] = Example(id=digest(question)[:12], input=question, target=program, meta={"kind": kind})
    sampling = Sampling(temperature=0.0, max_tokens=400)
    return Small(
        "modelling", list(items.values()), check, Prompt(instruction=FORM), sampling, critics=(critic,), tools={"highs": highs}
    )
