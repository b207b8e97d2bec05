"""The report: what is counted, what is said loudly, and that nothing a model wrote becomes markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from run_rows import write_run

from loopwright.core.errors import UnknownName
from loopwright.core.store import EventRow, RunRow
from loopwright.improve.html import render_html, verdict
from loopwright.improve.report import build_report, compare_scores, final_scores
from loopwright.improve.report_data import Report
from loopwright.store import MemoryStore

Learned = tuple[MemoryStore, RunRow]


def test_counts_and_scores(learned: Learned) -> None:
    report = build_report(*_named(learned))
    assert report.learned
    assert [(k.look, k.accepted) for k in report.looks] == [(1, True), (2, False)]
    assert report.final is not None and report.final.score == 0.75
    assert report.gain is not None
    assert (report.gain.n, report.gain.missing) == (3, 1)
    assert report.gain.effect == pytest.approx(2 / 3)
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


def test_final_scores_and_paired_difference(learned: Learned) -> None:
    scores = final_scores(*_named(learned))
    assert scores == dict.fromkeys(("e0", "e1", "e2", "e3"), 1.0)
    assert compare_scores(scores, {"other": 1.0}) is None
    difference = compare_scores({"e0": 0.0, "e1": None}, scores)
    assert difference is not None and (difference.effect, difference.n, difference.missing) == (1.0, 1, 1)


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
