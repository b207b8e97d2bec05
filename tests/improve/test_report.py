"""The report: what is counted, what is said loudly, and that nothing a model wrote becomes markup."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest
from run_rows import write_run

from loopwright.core.errors import UnknownName
from loopwright.core.feedback import Missing, Score
from loopwright.core.store import EventRow, RunRow
from loopwright.core.types import Example, Rollout
from loopwright.improve.html import render_html, verdict
from loopwright.improve.report import build_report, compare_answers, difference_between, final_answers, shown_better
from loopwright.improve.report_data import Report
from loopwright.store import MemoryStore

Learned = tuple[MemoryStore, RunRow]


def test_counts_and_scores(learned: Learned) -> None:
    report = build_report(*_named(learned))
    assert report.learned
    assert [(k.look, k.accepted) for k in report.looks] == [(1, True), (2, False)]
    assert report.final is not None and report.final.score == 0.75
    assert report.gain is not None
    assert (report.gain.n, report.gain.missing) == (4, 1)
    assert report.gain.effect == pytest.approx(2 / 4), "what the baseline was not judged on is no gain, and not left out"
    assert report.outcomes == {"fixed": 2, "right": 1, "missing": 1}
    assert report.missing == {"test": 1, "train": 1}
    assert report.missing_reasons == {"the checker hung": 2}
    assert (report.presumed, report.repeated) == (1, 1)


def test_costs_belong_to_parts_of_the_run(learned: Learned) -> None:
    report = build_report(*_named(learned))
    assert {s.part: s.calls for s in report.spending} == {"baseline": 1, "few-shot": 2, "gate": 1, "final test": 1}
    assert report.spent.tokens == 75


def test_lineage_names_the_source_of_every_worked_example(learned: Learned) -> None:
    base, better, worse = build_report(*_named(learned)).versions
    assert base.look is None and better.parents == (base.hash,) and worse.parents == (better.hash,)
    assert [(s.example, s.new) for s in better.shots] == [("t1", True)]
    assert [s.new for s in worse.shots] == [False]
    assert better.changed == ("prompt",) and worse.changed == ("adapter",)
    assert better.instruction_from == "task"


def test_is_plain_json(learned: Learned) -> None:
    report = build_report(*_named(learned))
    assert Report.model_validate(json.loads(json.dumps(report.model_dump(mode="json"), allow_nan=False))) == report


def test_page_escapes_everything_and_asks_for_nothing(learned: Learned) -> None:
    page = render_html(build_report(*_named(learned)))
    assert "<script" not in page and "&lt;script&gt;" in page
    # Names of XML vocabularies are addresses by form only; nothing is fetched from them.
    addresses = [a for a in re.findall(r"https?://[^\s\"'<>]+", page) if not a.startswith(("http://www.w3.org/", "http://purl.org"))]
    assert not [a for a in addresses if f'href="{a}' in page or f'src="{a}' in page]
    assert "src=" not in page and "@import" not in page and "url(http" not in page


def test_page_is_well_formed_and_has_its_figures(learned: Learned) -> None:
    page = render_html(build_report(*_named(learned)))
    assert page.count("<svg") == 3  # looks, training, cost
    ids = re.findall(r'\bid="([^"]+)"', page)
    references = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert set(references) <= set(ids)
    open_tags = _Balance()
    open_tags.feed(page)
    assert open_tags.stack == []
    assert render_html(build_report(*_named(learned))) == page


def test_learned_nothing_is_said_loudly() -> None:
    store = MemoryStore()
    start = {"task": "sums", "model": "m", "splits": {}, "gate": {"alpha": 0.05, "min_effect": 0.01}}
    run = write_run(store, [EventRow(run="", type="run", key="run", payload=start)], reason="learned nothing: no usable proposal")
    report = build_report(store, run.id)
    assert verdict(report)[0] == "nothing"
    page = render_html(report)
    assert "Learned nothing" in page and "no usable proposal" in page


def test_run_that_only_began() -> None:
    store = MemoryStore()
    run = write_run(store, [])
    store.set_run(run.id, status="paused", reason="interrupted")
    report = build_report(store, run.id)
    assert report.task == "sums" and verdict(report)[0] == "open"
    assert "interrupted" in render_html(report)


def test_unknown_run(learned: Learned) -> None:
    with pytest.raises(UnknownName):
        build_report(learned[0], "zzz")


def answers(scores: Sequence[float | None], name: str = "e") -> dict[str, Rollout]:
    def one(i: int, score: float | None) -> Rollout:
        said = Missing(expected="score", message="hung") if score is None else Score(value=score)
        return Rollout(id=f"{name}{i}", example=Example(id=f"{name}{i}", input=f"{i}"), turns=(), feedback=(said,))

    return {f"{name}{i}": one(i, score) for i, score in enumerate(scores)}


def test_final_answers_and_paired_difference(learned: Learned) -> None:
    final = final_answers(*_named(learned))
    assert {key: rollout.score for key, rollout in final.items()} == dict.fromkeys(("e0", "e1", "e2", "e3"), 1.0)
    assert compare_answers(final, answers([1.0], "other")) is None
    difference = compare_answers(answers([0.0, None]), final)
    assert difference is not None and (difference.effect, difference.n, difference.missing) == (0.5, 2, 1)
    backwards = compare_answers(final, answers([0.0, None]))
    assert backwards is not None and (backwards.effect, backwards.n) == (-1.0, 2)


def test_one_of_two_runs_is_wrongly_called_better_one_time_in_twenty() -> None:
    """Each side has 1/40: five wins and no loss of forty are enough, four are not, whoever won."""
    for wins, enough in ((4, False), (5, True)):
        one, other = answers([0.0] * 40), answers([1.0] * wins + [0.0] * (40 - wins))
        assert shown_better(one, other, graded=False).accepted is enough
        assert not shown_better(other, one, graded=False).accepted
    assert shown_better(answers([0.2] * 40), answers([0.6] * 40)).test == "betting"
    unjudged = answers([None] * 40)
    assert not shown_better(unjudged, answers([1.0] * 40)).accepted and not shown_better(answers([0.0] * 40), unjudged).accepted


def test_of_two_runs_neither_is_held_to_be_better_for_what_nobody_could_judge() -> None:
    """The same ten of forty are missing on both sides: no difference is shown, and the interval allows for either."""
    one = answers([1.0] * 30 + [None] * 10)
    found = difference_between(one, one)
    assert found is not None and found.effect == 0.0 and found.missing == 10
    assert found.low < -0.25 and found.high > 0.25 and found.low == pytest.approx(-found.high)
    half = difference_between(answers([1.0] * 30 + [None] * 10), answers([1.0] * 40))
    assert half is not None and half.effect == pytest.approx(0.25) and half.low < 0.0 < half.high
    back = difference_between(answers([1.0] * 40), answers([1.0] * 30 + [None] * 10))
    assert back is not None and (back.effect, back.low, back.high) == pytest.approx((-half.effect, -half.high, -half.low))
    whole = answers([0.0] * 10), answers([1.0] * 10)
    assert difference_between(*whole) == compare_answers(*whole)
    assert difference_between(one, answers([1.0], "other")) is None


def test_a_grade_where_verdicts_were_announced_speaks_against_both() -> None:
    one, other = answers([0.0] * 30 + [0.5] * 10), answers([1.0] * 25 + [0.5] * 15)
    asked = shown_better(one, other, graded=False), shown_better(other, one, graded=False)
    assert [d.accepted for d in asked] == [True, False] and (asked[0].wins, asked[0].losses) == (25, 10)


def _named(learned: Learned) -> tuple[MemoryStore, str]:
    return learned[0], learned[1].id


class _Balance(HTMLParser):
    VOID = frozenset({"meta", "br", "img", "path", "use", "rect", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack and self.stack.pop() == tag


def test_not_worse_is_not_told_as_better(learned: Learned) -> None:
    report = build_report(*_named(learned))
    assert report.gain is not None
    looks = tuple(k.model_copy(update={"margin": 0.05}) for k in report.looks)
    close = report.model_copy(update={
        "looks": looks, "gain": report.gain.model_copy(update={"effect": -0.01, "low": -0.04, "high": 0.02}),
    })  # fmt: skip
    assert verdict(close)[0] == "good" and verdict(close)[1].startswith("Not worse by 5 points or more: ")
    far = close.model_copy(update={"gain": report.gain.model_copy(update={"effect": -0.03, "low": -0.09, "high": 0.02})})
    assert verdict(far)[0] == "open"
    better = close.model_copy(update={"gain": report.gain.model_copy(update={"effect": 0.1, "low": 0.02, "high": 0.2})})
    assert verdict(better)[1].startswith("Better: ")
    assert verdict(close.model_copy(update={"looks": report.looks}))[0] == "open", "no margin was asked for"
