"""The panellist: a program that plays a model in ``diagnosis``, alone or in any role of a panel (``worlds.lab.actor``).

In every call it reads the case and the findings anew, and overlooks some. What it thinks of by itself is which causes fit and
what tells them apart; of prices, of what speaks against its idea, and of what was asked before it thinks where its prompt tells
it to. When it decides it goes by what the panel said, where it is shown that.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopwright.worlds.lab.actor import Sent, cast

OVERLOOKED = 0.2  # of the findings, in each call
HASTE = 0.05  # of the decisions: commits though more than one cause is left
SURE = 0.8
MOST = 3  # names in an order

_FAULT = re.compile(r"^- ([a-z][a-z -]*): ?(.*)$", re.MULTILINE)
_QUESTIONS = re.compile(r"^Questions that can be asked on a visit \(\$(\d+)\): (.+)\.$", re.MULTILINE)
_TESTS = re.compile(r"^Tests that can be ordered: (.+)\.$", re.MULTILINE)
_PRICED = re.compile(r"([a-z][a-z -]*) \(\$(\d+)\)")
_FINDING = re.compile(r"^(?:Known: )?([a-z][a-z -]*): (yes|no)\.$", re.MULTILINE)
_LIKELY = re.compile(r"([a-z][a-z -]*) (\d+)%")
_AGAINST = re.compile(r"speaks against ([a-z][a-z -]*)\.")
_LINE = re.compile(r"^(ASK|TEST): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Known:
    """What one call makes of what it was shown. findings: those that were not overlooked. prices: of tests; a visit's is told."""

    handbook: Mapping[str, frozenset[str]]
    questions: Sequence[str]
    visit: int
    prices: Mapping[str, int]
    findings: Mapping[str, bool]

    def against(self, fault: str) -> list[str]:
        return [sign for sign, there in self.findings.items() if there != (sign in self.handbook[fault])]

    def ranked(self, rng: random.Random) -> list[tuple[str, float]]:
        """Causes that no finding, or the fewest, speak against, with their probabilities."""
        wrong = {fault: len(self.against(fault)) for fault in self.handbook}
        fitting = [fault for fault, count in wrong.items() if count == min(wrong.values())]
        rng.shuffle(fitting)
        return [(fault, 1 / len(fitting)) for fault in fitting]

    def telling(self, leading: Sequence[str], rng: random.Random) -> list[str]:
        """Signs that are not known and that some of the leading causes show, those first that split them most evenly."""
        new = [sign for sign in (*self.questions, *self.prices) if sign not in self.findings]
        shown = {sign: sum(sign in self.handbook[f] for f in leading) for sign in new}
        parting = [sign for sign, count in shown.items() if 0 < count < len(leading)]
        rng.shuffle(parting)
        return sorted(parting, key=lambda s: abs(2 * shown[s] - len(leading)))

    def cost(self, names: Sequence[str]) -> int:
        asked = any(name in self.questions for name in names)
        return sum(self.prices.get(name, 0) for name in names) + self.visit * asked

    def cheap(self, leading: Sequence[str], rng: random.Random) -> list[str]:
        """The two cheapest tests that tell the leading causes apart."""
        return sorted((s for s in self.telling(leading, rng) if s in self.prices), key=lambda s: self.prices[s])[:2]


def known(sent: Sent) -> Known | None:
    """None where it is shown no case."""
    shown = "\n".join(sent.told)
    handbook = {fault: frozenset(filter(None, signs.split(", "))) for fault, signs in _FAULT.findall(shown)}
    questions, tests = _QUESTIONS.search(shown), _TESTS.search(shown)
    if not handbook or questions is None or tests is None:
        return None
    prices = {name: int(price) for name, price in _PRICED.findall(tests[1])}
    names = questions[2].split(", ")
    findings = sent.noticed(list(dict.fromkeys(_FINDING.findall(shown))), OVERLOOKED)
    found = {sign: there == "yes" for sign, there in findings if sign in prices or sign in names}
    return Known(handbook, names, int(questions[1]), prices, found)


def _leading(sent: Sent, case: Known) -> list[tuple[str, float]]:
    """By what a panel said in this message, else by its own reading."""
    said = [(fault.strip(), int(share) / 100) for fault, share in _LIKELY.findall(sent.last)]
    return [(f, p) for f, p in said if f in case.handbook] or case.ranked(sent.rng)


def _named(pattern: str, text: str, among: Sequence[str]) -> list[str]:
    """Names after the last "pattern: " of a text."""
    found = re.findall(rf"{pattern}: ([^.\n]+)", text)
    return [name for name in (n.strip() for n in found[-1].split(",")) if name in among] if found else []


def rank(sent: Sent) -> str:
    case = known(sent)
    if case is None:
        return ""
    return "Most likely: " + ", ".join(f"{fault} {100 * p:.0f}%" for fault, p in case.ranked(sent.rng)[:3]) + "."


def choose(sent: Sent) -> str:
    case = known(sent)
    if case is None:
        return ""
    names = case.telling([fault for fault, _ in _leading(sent, case)], sent.rng)[:MOST]
    return f"Find out: {', '.join(names)}." if names else "Nothing more is needed."


def challenge(sent: Sent) -> str:
    case = known(sent)
    if case is None:
        return ""
    first = _leading(sent, case)[0][0]
    against = case.against(first)
    return f"{against[0].capitalize()} speaks against {first}." if against else f"I find nothing against {first}."


def guard(sent: Sent) -> str:
    case = known(sent)
    if case is None:
        return ""
    dear = _named("Find out", sent.last, [*case.questions, *case.prices])
    cheap = case.cheap([fault for fault, _ in _leading(sent, case)], sent.rng)
    return f"Rather: {', '.join(cheap)}." if cheap and case.cost(cheap) < case.cost(dear) else "The price is fair."


def check(sent: Sent) -> str:
    case = known(sent)
    if case is None:
        return ""
    again = [n for n in _named("(?:Find out|Rather)", sent.last, [*case.questions, *case.prices]) if n in case.findings]
    return f"Found already: {', '.join(again)}." if again else "All names are listed."


def _order(names: Sequence[str], case: Known, may_test: bool) -> str:
    tests = [name for name in names if name in case.prices]
    asked = [name for name in names if name in case.questions]
    if tests and may_test and len(tests) >= len(asked):
        return f"TEST: {', '.join(tests)}"
    return f"ASK: {', '.join(asked)}" if asked else ""


def decide(sent: Sent) -> str:
    """Commits where one cause is left and nothing was said against it, else orders."""
    case = known(sent)
    if case is None:
        return "DIAGNOSIS: unknown"
    leading = _leading(sent, case)
    refuted = set(_AGAINST.findall(sent.last))
    rest = 1 - sum(p for f, p in leading if f in refuted)  # of all causes, those not named included
    left = [(f, p / rest) for f, p in leading if f not in refuted]
    if left and (left[0][1] > SURE or sent.slips(HASTE)):
        return f"DIAGNOSIS: {left[0][0]}"
    everything = [*case.questions, *case.prices]
    names = _named("Rather", sent.last, everything) or _named("Find out", sent.last, everything)
    again = _named("Found already", sent.last, everything)
    names = [n for n in names if n not in again] or case.telling([f for f, _ in left or case.ranked(sent.rng)], sent.rng)[:MOST]
    return _order(names, case, "TEST:" in sent.last) or f"DIAGNOSIS: {(left or leading)[0][0]}"


def account(sent: Sent) -> str:
    """Keeps to its order, unless the price that it is shown is more than the cheapest way costs."""
    case = known(sent)
    own = _LINE.findall(sent.own[-1]) if sent.own else []
    price = re.search(r"Price: \$(\d+)", sent.last)
    if case is None or not own:
        return "DIAGNOSIS: unknown"
    cheap = case.cheap([fault for fault, _ in case.ranked(sent.rng)], sent.rng)
    if price and cheap and case.cost(cheap) < int(price[1]):
        return f"TEST: {', '.join(cheap)}"
    return ": ".join(own[-1])


def commit(sent: Sent) -> str:
    case = known(sent)
    if case is None:
        return "DIAGNOSIS: unknown"
    refuted = set(_AGAINST.findall(sent.last))
    leading = _leading(sent, case)
    return f"DIAGNOSIS: {next((f for f, _ in leading if f not in refuted), leading[0][0])}"


panellist = cast("panellist", 1, {
    "List the three most likely": rank, "best tell the leading causes apart": choose, "devil's advocate": challenge,
    "Guard the money": guard, "Check the others": check, "Keep to the order": account, "No more can be asked": commit,
    "Decide what is done": decide, "": commit,
})  # fmt: skip
