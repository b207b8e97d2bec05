"""The modeller: a program that plays a model in ``modelling``: formulates, corrects, and writes down what it learned (``actor``).

It reads problems of all kinds, and makes the mistakes that go with each kind (hours beside minutes, things that come whole, a row
left out), unless its system message names the remedy. Told a remedy that does not belong to a problem, it follows it all the
same, so that a library does harm where it is told at the wrong time. What went wrong it sees by comparing a wrong program with
a right one; when a note applies it says by a phrase of the problem, often one that is too broad or too narrow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loopwright.worlds.lab.actor import Sent, cast
from loopwright.worlds.modelling import program_in

MISTAKEN = 0.7  # of the chances to make a mistake, where no remedy was told
AGAIN = 0.4  # the same when it corrects itself
IGNORED = 0.05  # of the remedies that it was told
OVERLOOKED = 0.2  # of the comparisons: names some other remedy
MISJUDGED = 0.05  # of the conditions and headings

# By remedy: what it says, and phrases of problems that it may go with, the good ones and others.
REMEDIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "binary": (
        "What is there once, or is a yes or no, is a binary variable.",
        ("one of each", "left behind", "to open", "be opened", "at most", "most", "What is the"),
    ),
    "integer": (
        "What comes in whole pieces is an integer variable.",
        ("in whole pieces", "How many of each", "earns", "euros", "At least", "at least"),
    ),
    "minutes": ("An hour is 60 minutes: bring both to one unit.", ("minutes of", "hours for", "This week", "hours")),
    "supply": ("No place sends out more than it has: a row for each.", ("tons of flour", "Mills in", "needs at least", "euros")),
    "share": ("A share is one of the sum of all variables.", ("% of its weight", "mixture", "at most", "energy")),
    "link": ("What is not opened sends out nothing: a row for each.", ("an open one", "Depots", "loads", "costs")),
    "one job": ("Nobody does more than one job: a row for each.", ("more than one job", "Who should", "hours for", "jobs")),
}  # fmt: skip

Pairs = list[tuple[str, ...]]


@dataclass
class Program:
    """A program as it is being written: sums of (factor, name), rows as text."""

    aim: str
    objective: Sequence[tuple[int, str]]
    rows: list[str] = field(default_factory=list)
    integer: Sequence[str] = ()
    binary: Sequence[str] = ()

    @property
    def text(self) -> str:
        lines = [f"{self.aim} {_sum(self.objective)}", "subject to", *(f"  {row}" for row in self.rows)]
        lines += ["integer", f"  {' '.join(self.integer)}"] if self.integer else []
        lines += ["binary", f"  {' '.join(self.binary)}"] if self.binary else []
        return "\n".join([*lines, "end"])


def _sum(terms: Sequence[tuple[int, str]]) -> str:
    return " + ".join(f"{factor} {name}" for factor, name in terms)


def _name(*words: str) -> str:
    return "_".join(words).strip().lower().replace(" ", "_")


def _found(pattern: str, text: str) -> Pairs:
    return [found if isinstance(found, tuple) else (found,) for found in re.findall(pattern, text)]


def knapsack(said: str, wrong: set[str]) -> Program:
    room = _found(r"at most (\d+) kg", said)[0][0]
    things = _found(r"([a-z][a-z ]*): (\d+) kg, worth (\d+)", said)
    names = [_name(n) for n, _, _ in things]
    program = Program("maximize", [(int(v), x) for x, (_, _, v) in zip(names, things, strict=True)])
    weight = _sum([(int(w), x) for x, (_, w, _) in zip(names, things, strict=True)])
    program.rows = [f"{weight} <= {room}"]
    program.integer, program.binary = (names, ()) if "binary" in wrong else ((), names)
    return program


def production(said: str, wrong: set[str]) -> Program:
    goods = _found(r"one of the (\w+) takes (\d+) minutes of sawing and (\d+) minutes of painting and earns (\d+)", said)
    hours = _found(r"there are (\d+) hours for sawing and (\d+) hours for painting", said)[0]
    times, more, less = _found(r"At least (\d+) times as many (\w+) as (\w+)", said)[0]
    program = Program("maximize", [(int(p), n) for n, _, _, p in goods])
    for i, hour in enumerate(hours, 1):
        room = int(hour) * (1 if "minutes" in wrong else 60)
        program.rows.append(f"{_sum([(int(good[i]), good[0]) for good in goods])} <= {room}")
    program.rows.append(f"{more} - {times} {less} >= 0")
    program.integer = () if "integer" in wrong else [good[0] for good in goods]
    return program


def assignment(said: str, wrong: set[str]) -> Program:
    told = said.partition("How long they take: ")[2].partition(". Who")[0]
    hours = {who: _found(r"(\d+) hours for (\w+)", rest) for who, rest in _found(r"(\w+): ([^;]+)", told)}
    jobs = list(dict.fromkeys(job for row in hours.values() for _, job in row))
    program = Program("minimize", [(int(h), _name(who, job)) for who, row in hours.items() for h, job in row])
    if "one job" not in wrong:
        program.rows += [f"{' + '.join(_name(who, job) for job in jobs)} <= 1" for who in hours]
    program.rows += [f"{' + '.join(_name(who, job) for who in hours)} = 1" for job in jobs]
    program.binary = [name for _, name in program.objective]
    return program


def transport(said: str, wrong: set[str]) -> Program:
    first, second, one, two = _found(r"Mills in (\w+) and (\w+) have (\d+) and (\d+) tons", said)[0]
    needs = _found(r"(\w+) needs at least (\d+) tons", said)
    costs = {s: _found(r"(\d+) euros to (\w+)", rest) for s, rest in _found(r"from (\w+) ([^;.]+)", said)}
    program = Program("minimize", [(int(c), _name(s, t)) for s, row in costs.items() for c, t in row])
    if "supply" not in wrong:
        for place, stock in ((first, one), (second, two)):
            program.rows.append(f"{' + '.join(_name(place, t) for t, _ in needs)} <= {stock}")
    program.rows += [f"{' + '.join(_name(s, t) for s in costs)} >= {n}" for t, n in needs]
    return program


def diet(said: str, wrong: set[str]) -> Program:
    foods = _found(r"([a-z][a-z ]*) cost (\d+) euros a kilo and hold (\d+) units of protein and (\d+) of energy", said)
    need, fuel, share = _found(r"at least (\d+) units of protein and (\d+) of energy, and at most (\d+)%", said)[0]
    x = [_name(food[0]) for food in foods]
    program = Program("minimize", [(int(food[1]), n) for n, food in zip(x, foods, strict=True)])
    for place, least in ((2, need), (3, fuel)):
        program.rows.append(f"{_sum([(int(food[place]), n) for n, food in zip(x, foods, strict=True)])} >= {least}")
    whole = f"{100 - int(share)} {x[0]} - {share} {x[1]} - {share} {x[2]} <= 0"
    program.rows.append(f"100 {x[0]} <= {share}" if "share" in wrong else whole)
    return program


def depots(said: str, wrong: set[str]) -> Program:
    room = _found(r"send out up to (\d+) loads", said)[0][0]
    told = _found(r"(\w+) costs (\d+) euros to open([^;.]+)", said)
    sites = {site: (rent, _found(r"(\d+) a load to (\w+)", rest)) for site, rent, rest in told}
    needs = _found(r"(\w+) must get (\d+) loads", said)
    opened = {site: _name("open", site) for site in sites}
    sent = [(int(c), _name(s, t)) for s, (_, row) in sites.items() for c, t in row]
    program = Program("minimize", [*((int(rent), opened[s]) for s, (rent, _) in sites.items()), *sent])
    if "link" not in wrong:
        program.rows += [f"{' + '.join(_name(s, t) for t, _ in needs)} - {room} {o} <= 0" for s, o in opened.items()]
    program.rows += [f"{' + '.join(_name(s, t) for s in sites)} >= {n}" for t, n in needs]
    program.binary = () if "binary" in wrong else list(opened.values())
    return program


# By how a problem begins: who writes its program, and what goes wrong there.
KINDS: Mapping[str, tuple[Callable[[str, set[str]], Program], tuple[str, ...]]] = {
    "A traveller": (knapsack, ("binary",)), "A workshop": (production, ("minutes", "integer")),
    "Each of the jobs": (assignment, ("one job",)), "Mills in": (transport, ("supply",)), "A camp": (diet, ("share",)),
    "Depots may": (depots, ("link", "binary")),
}  # fmt: skip


def formulate(sent: Sent) -> str:
    """A program of the problem; corrected when it is told that the last one was not right."""
    question = sent.question
    kind = next((k for k in KINDS if question.startswith(k)), None)
    if kind is None:
        return "I cannot tell."
    write, mistakes = KINDS[kind]
    told = {remedy for remedy, (text, _) in REMEDIES.items() if text in sent.system and not sent.slips(IGNORED)}
    rate = AGAIN if sent.own else MISTAKEN
    program = write(question, {m for m in mistakes if sent.slips(rate) and m not in told})
    names = [name for _, name in program.objective]
    if "binary" in told and not program.binary and "binary" not in mistakes:
        program.binary, program.integer = names, ()
    elif "integer" in told and not program.integer and not program.binary:
        program.integer = names
    return f"```\n{program.text}\n```"


def extract(sent: Sent) -> str:
    """What sets the right program apart from the wrong one, as a note."""
    question = sent.last.partition("Problem:\n")[2].partition("\n\nWrong answer:")[0]
    wrong = sent.last.partition("Wrong answer:\n")[2].partition("\n\nWhat was said")[0]
    right = sent.last.partition("Right answer:\n")[2].partition("\n\nWrite an")[0]
    if not right or not wrong:
        return "[]"
    remedies = compared(program_in(wrong), program_in(right))
    if not remedies or sent.slips(OVERLOOKED):
        remedies = [sent.rng.choice(sorted(REMEDIES))]
    return json.dumps([_note(sent, remedy, question) for remedy in remedies])


def compared(wrong: str, right: str) -> list[str]:
    """The remedies that lead from the one to the other."""
    found = [kind for kind in ("binary", "integer") if f"\n{kind}\n" in right and f"\n{kind}\n" not in wrong]
    had, has = ({line.strip() for line in text.splitlines() if "<=" in line} for text in (wrong, right))
    for row in sorted(has - had):
        left, _, bound = row.partition(" <= ")
        old = next((line.partition(" <= ")[2] for line in had if line.startswith(f"{left} <= ")), "")
        if old:
            found += ["minutes"] if int(bound) == 60 * int(old) else []
        elif bound == "1":
            found.append("one job")
        elif bound == "0":
            found.append("link" if " open_" in left else "share")
        else:
            found.append("supply")
    return list(dict.fromkeys(found))


def _note(sent: Sent, remedy: str, question: str) -> dict[str, str]:
    text, phrases = REMEDIES[remedy]
    there = [phrase for phrase in phrases if phrase in question] or list(phrases)
    condition = f'the problem says "{sent.rng.choice(there)}"'
    return {"taxonomy": f"modelling/{remedy}", "condition": condition, "explanation": text, "example": ""}


def merge(sent: Sent) -> str:
    one, other = (sent.last.partition(f"\n{n}. ")[2].partition("\n")[0] for n in (1, 2))
    remedy = next((r for r, (text, _) in REMEDIES.items() if text == one == other), None)
    return json.dumps(_note(sent, remedy, "")) if remedy else "no"


def refine(sent: Sent) -> str:
    """Phrases that the problems where it was missed say, and those where it misled do not."""
    note = sent.last.partition("\nNote: ")[2].partition("\n")[0]
    misled, _, missed = sent.last.partition("leave them out:\n")[2].partition("It was missed in these")
    left_out, wanted = ([line for line in text.splitlines() if line.startswith("- ")] for text in (misled, missed))
    phrases = next((phrases for text, phrases in REMEDIES.values() if text == note), ())
    good = [p for p in phrases if not any(p in line for line in left_out) and all(p in line for line in wanted)]
    some = [p for p in phrases if p not in good]
    sent.rng.shuffle(good)
    sent.rng.shuffle(some)
    return json.dumps([f'the problem says "{phrase}"' for phrase in [*good, *some][:5]])


def head(sent: Sent) -> str:
    """Headings of remedies that something in the problem may have to do with."""
    question, _, listed = sent.last.partition("\n\nNotes from earlier problems")
    named = re.findall(r"^- (modelling/([\w ]+))$", listed, re.MULTILINE)
    near = [h for h, remedy in named if any(p in question for p in REMEDIES.get(remedy, ("", ()))[1]) != sent.slips(MISJUDGED)]
    return "\n".join(near) or "none"


def check(sent: Sent) -> str:
    """Which conditions hold: those whose phrase the problem says."""
    question, _, listed = sent.last.partition("\n\nEach of these notes")
    conditions = re.findall(r'^(\d+)\. the problem says "(.+)"$', listed, re.MULTILINE)
    return ", ".join(number for number, phrase in conditions if (phrase in question) != sent.slips(MISJUDGED)) or "none"


modeller = cast("modeller", 1, {
    "are filed under these headings": head, "holds on a condition": check, "was answered wrongly first": extract,
    "are filed under one heading": merge, "A note applies on a condition": refine, "": formulate,
})  # fmt: skip
