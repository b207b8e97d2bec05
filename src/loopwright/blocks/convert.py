"""The lawful ways from one kind of feedback to another.

A conversion is lawful when what it says follows from what was said: a weighted share of a checklist's answers is a score,
an edit prefers its outcome to what it changed. The laws, which the tests hold for random feedback:

* an accepted kind is handed on as it is, and so is ``Missing``: a judgement that did not come stays one;
* who said it, about what, how sure, at what cost and with which status are carried over;
* what satisfied still satisfies, and no number comes out where none could be told: a checklist without an answered
  question becomes a ``Missing``, not a zero.

``convert`` goes the shortest lawful way; ``Rules`` says what a conversion cannot know by itself. What needs two judgements
or gives several is a function of its own: ``pairs``, ``prefer``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

from loopwright.core.arrays import Numbers
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import (
    Checklist,
    Critique,
    Demonstration,
    Edit,
    Feedback,
    Measures,
    Missing,
    Preference,
    Ranking,
    Score,
    Spans,
    Steps,
    Verdict,
)
from loopwright.core.types import digest

_BELOW_ONE = math.nextafter(1.0, 0.0)


class Rules(NamedTuple):
    """What a conversion cannot know by itself."""

    threshold: float | None = None  # least ``Score.unit`` that passes; None: only the top of the range does
    steps: Literal["min", "mean"] = "min"  # how one number is made of many steps
    aspect: str = ""  # which of several measures is the score
    low: float = 0.0  # range of that measure
    high: float = 1.0
    output: str | None = None  # the judged text, so that marked places can be given to its lines


PLAIN = Rules()
Rule = Callable[[Any, Rules], Feedback | None]


def _carried(feedback: Any) -> dict[str, Any]:
    return {name: getattr(feedback, name) for name in ("by", "about", "confidence", "cost", "status", "readings")}


def _missing(feedback: Any, expected: str, message: str) -> Missing:
    return Missing(expected=expected, message=message, by=feedback.by, about=feedback.about, cost=feedback.cost)


def _not_full(share: float, full: bool) -> float:
    """A share that rounding must not lift to the top of its range."""
    return 1.0 if full else min(share, _BELOW_ONE)


# ---- to a score -------------------------------------------------------------------------------------------------------


def verdict_score(feedback: Verdict, rules: Rules = PLAIN) -> Feedback:
    """1 for passed, 0 for failed."""
    return Score(value=float(feedback.passed), message=feedback.message, **_carried(feedback))


def checklist_score(feedback: Checklist, rules: Rules = PLAIN) -> Feedback:
    """The weighted share of "yes" among the answered questions."""
    answered = [item for item in feedback.items if item.answer is not None]
    if not answered:
        return _missing(feedback, "score", "no question of the checklist was answered")
    most = max(item.weight for item in answered)  # divided by, so that large weights do not overflow
    whole = math.fsum(item.weight / most for item in answered)
    share = math.fsum(item.weight / most for item in answered if item.answer) / whole
    full = all(item.answer for item in answered)
    return Score(value=_not_full(share, full), message=_objections(feedback), **_carried(feedback))


def steps_score(feedback: Steps, rules: Rules = PLAIN) -> Feedback:
    """The weakest step, or the mean of all."""
    values = feedback.values
    value = min(values) if rules.steps == "min" else math.fsum(values) / len(values)
    return Score(value=_not_full(value, feedback.satisfied), message=feedback.text, **_carried(feedback))


def spans_score(feedback: Spans, rules: Rules = PLAIN) -> Feedback:
    """1 less the worst severity: what is ruined in one place is ruined. Remarks of severity 0 cost nothing."""
    worst = max((span.severity for span in feedback.spans), default=0.0)
    return Score(value=_not_full(1.0 - worst, worst == 0.0), message=feedback.text, **_carried(feedback))


def measures_score(feedback: Measures, rules: Rules = PLAIN) -> Feedback | None:
    """The one measure that ``rules.aspect`` names, within its range. Raises InputError for one that is not there."""
    if not rules.aspect:
        return None
    if rules.aspect not in feedback.values:
        raise InputError(f"no measure {rules.aspect!r}; there are {', '.join(sorted(feedback.values))}")
    value = feedback.values[rules.aspect]
    if isinstance(value, Numbers):
        raise InputError(f"measure {rules.aspect} is of a batch of {len(value)}; a score is of one")
    if not rules.low <= value <= rules.high:
        raise InputError(f"measure {rules.aspect} must be within [{rules.low:g}, {rules.high:g}], got {value:g}")
    return Score(value=value, low=rules.low, high=rules.high, aspect=rules.aspect, **_carried(feedback))


# ---- to a verdict, a critique, steps ----------------------------------------------------------------------------------


def score_verdict(feedback: Score, rules: Rules = PLAIN) -> Feedback:
    """Passed at the top of the range, or from ``rules.threshold`` on."""
    passed = feedback.satisfied if rules.threshold is None else feedback.unit >= rules.threshold
    return Verdict(passed=passed, message=feedback.message, **_carried(feedback))


def critique_verdict(feedback: Critique, rules: Rules = PLAIN) -> Feedback:
    """Passed where there is no objection."""
    return Verdict(passed=feedback.satisfied, message=feedback.text, **_carried(feedback))


def to_critique(feedback: Score | Verdict | Spans | Steps, rules: Rules = PLAIN) -> Feedback:
    """Its own words, or no objection where it is satisfied."""
    return Critique(comment="" if feedback.satisfied else feedback.text, **_carried(feedback))


def checklist_critique(feedback: Checklist, rules: Rules = PLAIN) -> Feedback:
    """The questions that were answered with "no"."""
    if all(item.answer is None for item in feedback.items):
        return _missing(feedback, "critique", "no question of the checklist was answered")
    return Critique(comment=_objections(feedback), **_carried(feedback))


def _objections(feedback: Checklist) -> str:
    return "\n".join(f"{item.question} NO" for item in feedback.items if item.answer is False)


def spans_steps(feedback: Spans, rules: Rules = PLAIN) -> Feedback | None:
    """A value for each line of ``rules.output``: 1 less the worst severity that touches it."""
    text = rules.output
    if text is None:
        return None
    if len(text) != feedback.length:
        raise InputError(f"these spans mark a text of {feedback.length} characters, got one of {len(text)}")
    values, start = [], 0
    for line in text.split("\n"):
        end = start + len(line) + 1  # the line break belongs to its line
        touching = (s.severity for s in feedback.spans if s.start < end and s.end > start)
        values.append(1.0 - max(touching, default=0.0))
        start = end
    return Steps(values=tuple(values), unit="line", **_carried(feedback))


# ---- comparisons and examples -----------------------------------------------------------------------------------------


def edit_demonstration(feedback: Edit, rules: Rules = PLAIN) -> Feedback:
    """What somebody made of it is worth imitating."""
    return Demonstration(output=feedback.after, **_carried(feedback))


def edit_preference(feedback: Edit, rules: Rules = PLAIN) -> Feedback:
    """The outcome over what was changed. Texts have no ids of their own, so each is known by ``text_id``."""
    if feedback.satisfied:
        return _missing(feedback, "preference", "the edit changed nothing")
    chosen, rejected = text_id(feedback.after), text_id(feedback.before)
    return Preference(chosen=chosen, rejected=rejected, **_carried(feedback))


def text_id(text: str) -> str:
    """The id under which a conversion speaks of a text."""
    return digest(["text", text])[:16]


def ranking_preference(feedback: Ranking, rules: Rules = PLAIN) -> Feedback | None:
    """Of two; a ranking of more gives several preferences, see ``pairs``."""
    found = pairs(feedback)
    return found[0] if len(found) == 1 else None


def preference_ranking(feedback: Preference, rules: Rules = PLAIN) -> Feedback:
    """A ranking of two; a tie is one group."""
    two = (feedback.chosen, feedback.rejected)
    return Ranking(groups=(two,) if feedback.tie else ((two[0],), (two[1],)), **_carried(feedback))


def pairs(ranking: Ranking) -> tuple[Preference, ...]:
    """Every pair of ids once, best first, ties included; n ids give n (n - 1) / 2. The judgement's cost is on the first."""
    placed = [(place, i) for place, group in enumerate(ranking.groups) for i in group]
    said = _carried(ranking)
    out = []
    for (first, a), (second, b) in combinations(placed, 2):
        out.append(Preference(chosen=a, rejected=b, tie=first == second, **said))
        said["cost"] = type(ranking.cost)()
    return tuple(out)


def prefer(first: Score, second: Score) -> Preference:
    """Which of two scored things the same rater put higher. Raises NoConversion where the scores cannot be compared."""
    if not first.about or not second.about or first.about == second.about:
        raise NoConversion(f"a preference compares two different things, got {first.about!r} and {second.about!r}")
    if (first.by, first.aspect, first.low, first.high) != (second.by, second.aspect, second.low, second.high):
        raise NoConversion(
            f"scores by {first.by.name} for {first.aspect or 'everything'} and by {second.by.name} for "
            f"{second.aspect or 'everything'} cannot be compared: the rater, its version, the aspect and the range must agree"
        )
    if "censored" in (first.status, second.status):
        raise NoConversion("a censored score is a bound, and two bounds do not say which is higher")
    better, worse = (first, second) if first.value >= second.value else (second, first)
    known = [c for c in (first.confidence, second.confidence) if c is not None]
    return Preference(
        chosen=better.about, rejected=worse.about, tie=better.value == worse.value,
        strength=max(better.unit - worse.unit, 1e-9), by=first.by, cost=first.cost + second.cost,
        confidence=min(known) if known else None,
    )  # fmt: skip


# ---- the graph --------------------------------------------------------------------------------------------------------

RULES: Mapping[tuple[str, str], Rule] = {
    ("verdict", "score"): verdict_score,
    ("checklist", "score"): checklist_score,
    ("steps", "score"): steps_score,
    ("spans", "steps"): spans_steps,
    ("spans", "score"): spans_score,
    ("measures", "score"): measures_score,
    ("score", "verdict"): score_verdict,
    ("critique", "verdict"): critique_verdict,
    ("score", "critique"): to_critique,
    ("verdict", "critique"): to_critique,
    ("spans", "critique"): to_critique,
    ("steps", "critique"): to_critique,
    ("checklist", "critique"): checklist_critique,
    ("edit", "demonstration"): edit_demonstration,
    ("edit", "preference"): edit_preference,
    ("ranking", "preference"): ranking_preference,
    ("preference", "ranking"): preference_ranking,
}
# A way may lead through these only: what a critique leaves out (an unanswered question) must not come back as a verdict.
_THROUGH = ("score", "verdict", "steps")


def converter(kinds: Sequence[str]) -> Callable[[Feedback], Feedback]:
    """``convert`` to the kinds that a recipe learns from; of one that says none, all is left as it is."""
    return lambda feedback: convert(feedback, kinds) if kinds else feedback


def convert(feedback: Feedback, kinds: Sequence[str], rules: Rules = PLAIN) -> Feedback:
    """The feedback in one of ``kinds``, by the shortest lawful way, the first of ``kinds`` where ways are equally long.

    Raises NoConversion, which names both sides and what would be possible; InputError where ``rules`` do not fit.
    """
    if isinstance(feedback, Missing) or feedback.kind in kinds:
        return feedback
    waiting: deque[Feedback] = deque([feedback])
    seen: set[str] = {feedback.kind}
    while waiting:
        here = waiting.popleft()
        order = sorted(_targets(here.kind), key=lambda kind: kinds.index(kind) if kind in kinds else len(kinds))
        for kind in order:
            if kind in seen or (kind not in kinds and kind not in _THROUGH):
                continue
            there = RULES[here.kind, kind](here, rules)
            if there is None:
                continue
            if isinstance(there, Missing):
                if kind in kinds or any(way in kinds for way in reachable(kind)):
                    return there
                continue
            if kind in kinds:
                return there
            seen.add(kind)
            waiting.append(there)
    raise NoConversion(_refusal(feedback, kinds))


def _targets(kind: str) -> list[str]:
    return [target for source, target in RULES if source == kind]


def reachable(kind: str) -> list[str]:
    """Kinds that feedback of this kind can become; some of them only with ``Rules``, or for two things."""
    found: list[str] = []
    waiting = [kind]
    while waiting:
        for target in _targets(waiting.pop(0)):
            if target not in found and target != kind:
                found.append(target)
                if target in _THROUGH:
                    waiting.append(target)
    return found


def _refusal(feedback: Feedback, kinds: Sequence[str]) -> str:
    wanted = " or ".join(kinds) if kinds else "nothing"
    could = reachable(feedback.kind)
    text = f"no lawful way from {feedback.kind} to {wanted}; "
    text += f"{feedback.kind} can become {', '.join(could)}" if could else f"{feedback.kind} cannot become anything else"
    sources = sorted({source for source, _ in RULES if any(kind in kinds for kind in reachable(source))} - {feedback.kind})
    if sources:
        text += f"; {wanted} can be made of {', '.join(sources)}"
    if feedback.kind == "ranking" and "preference" in kinds:
        text += ". A ranking of more than two gives several preferences: use blocks.convert.pairs"
    if feedback.kind == "measures" and any(kind in ("score", *reachable("score")) for kind in kinds):
        text += ". Name the measure that counts: Rules(aspect=..., low=..., high=...)"
    if feedback.kind == "spans" and "steps" in kinds:
        text += ". Give the judged text, so that places can be given to its lines: Rules(output=...)"
    return text
