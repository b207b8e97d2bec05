"""Figures of versions and rounds: what is chosen, where it descends from, and that other runs are left as they were."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from run_rows import BASE, BETTER, WORSE, learned_rows, look, write_run

from loopwright.core.store import CandidateRow, EventRow, RolloutRow, Row, RunRow
from loopwright.core.types import Example, Rollout, Turn
from loopwright.improve.html import render_html
from loopwright.improve.pictures import ACROSS, ROUNDS, chosen_of, lineages, offered, save_figures, sheets, world_of
from loopwright.improve.plots.lineage import Version
from loopwright.improve.report import build_report
from loopwright.store import MemoryStore
from loopwright.worlds.generators.drawing import drawn_digits, drawn_points

DIGITS = drawn_digits()


def method(slug: str) -> EventRow:
    return EventRow(run="", type="method", key=f"method/{slug}", payload={"slug": slug})


def noted(key: str, by: str = "dgm", **facts: Any) -> EventRow:
    return EventRow(run="", type="version", key=key, payload={"by": by, "round": 1, **facts})


def drawing(id: str, example: str, ink: float | str, *, round: int = 1, split: str = "train", candidate: str = "") -> RolloutRow:
    said = ink if isinstance(ink, str) else json.dumps([ink] * 64)
    asked = Example(id=example, input=DIGITS.questions[int(example.split("-")[1])])
    made = Rollout(id=id, example=asked, turns=(Turn(role="assistant", text=said),), candidate=candidate)
    return RolloutRow(
        run="", id=id, candidate=candidate, example=example, split=split, round=round, replicate=0, score=None,
        data=made.model_dump_json().encode(),
    )  # fmt: skip


def stored(*rows: Row) -> tuple[MemoryStore, RunRow]:
    store = MemoryStore()
    return store, write_run(store, list(rows))


def test_what_was_offered_descends_from_what_it_was_made_of() -> None:
    store, run = stored(*learned_rows())
    versions, best = offered(build_report(store, run.id))
    assert best == 1  # the second was turned down
    assert [(v.index, v.parent, v.score) for v in versions] == [(0, None, 0.4), (1, 0, 0.7), (2, 1, 0.4 - 0.1)]
    assert [bool(v.why) for v in versions] == [False, False, True]


def test_a_version_of_unknown_parents_hangs_on_what_it_was_compared_with() -> None:
    lost = WORSE.model_copy(update={"parents": ("never offered",)})
    rows: list[Row] = [look(1, BETTER, BASE, accepted=True, effect=0.3), look(2, lost, BETTER, accepted=True, effect=0.1)]
    rows += [CandidateRow(run="", hash=c.hash, data=c.model_dump(mode="json"), by=c.by, round=1) for c in (BETTER, lost)]
    store, run = stored(*rows)
    versions, best = offered(build_report(store, run.id))
    assert versions[2].parent == 1 and best == 2


def test_a_method_that_notes_its_versions_has_a_tree_of_its_own() -> None:
    tree = [noted("a", index=0, parent=None, score=0.1, tried=9), noted("b", index=1, parent=0, score=0.3, tried=9)]
    store, run = stored(method("dgm"), *tree, noted("c", index=None, parent=1, why="broken"))
    drawn = lineages(store, build_report(store, run.id))
    assert list(drawn) == ["lineage-dgm"] and drawn["lineage-dgm"](form="png").startswith(b"\x89PNG")
    # Alone, its offers are in that tree already; beside others, those have one too.
    store, run = stored(method("dgm"), *tree, *learned_rows())
    assert list(lineages(store, build_report(store, run.id))) == ["lineage-dgm"]
    store, run = stored(method("dgm"), method("few-shot"), *tree, *learned_rows())
    assert list(lineages(store, build_report(store, run.id))) == ["lineage-dgm", "lineage"]


def test_notes_that_make_no_tree_are_left_out() -> None:
    for notes in ([noted("a", index=0, parent=None)], [noted("a", index=None, parent=0), noted("b", index=None, parent=0)],
                  [noted("a", index=1, parent=0), noted("b", index=2, parent=1)]):  # fmt: skip
        store, run = stored(*notes)
        assert lineages(store, build_report(store, run.id)) == {}


def test_pictures_of_a_line_are_of_the_questions_that_all_lines_have() -> None:
    first = [("a", "1"), ("b", "2"), ("c", "1"), ("d", "3")]
    second = [("e", "3"), ("f", "1"), ("g", "1"), ("h", "4")]
    assert chosen_of([first, second]) == [["a", "d", "c"], ["f", "e", "g"]]
    many = [(str(i), str(i % 3)) for i in range(40)]
    assert [len(ids) for ids in chosen_of([many, many])] == [ACROSS, ACROSS]
    assert chosen_of([first, [("x", "7"), ("y", "8")]]) == [["a", "b"], ["x", "y"]]


def test_rounds_are_shown_as_pictures(tmp_path: Path) -> None:
    rows: list[Row] = [method("ddpo"), look(1, BETTER, BASE, accepted=False, effect=0.1)]
    for number in range(1, 10):
        ink = -1.0 + number / 5
        rows += [drawing(f"{number}/{q}", f"train-{q}-0", ink, round=number) for q in range(3)]
    rows += [drawing(f"gate/{q}", f"gate-{q}-0", 1.0, split="gate", candidate=BETTER.hash) for q in range(3)]
    rows += [drawing("before", "gate-0-1", -1.0, split="gate", candidate=BASE.hash, round=0)]
    store, run = stored(*rows)
    report = build_report(store, run.id)
    (sheet,) = sheets(store, report, DIGITS).values()
    shown = sheet.args[0]  # type: ignore[attr-defined]
    assert len(shown) == ROUNDS + 1 and {"round 1", "round 9"} < set(shown) and list(shown)[-1] == "offered (few-shot)"
    assert all(pictures.shape == (3, 8, 8) for pictures in shown.values())
    assert np.allclose(shown["round 9"], 0.9) and np.allclose(shown["offered (few-shot)"], 1.0)
    figures = save_figures(store, report, DIGITS, tmp_path, "page-")
    assert {path.name for path in tmp_path.iterdir()} == {"page-pictures.png", "page-pictures.svg"}
    grey = np.asarray(Image.open(io.BytesIO((tmp_path / "page-pictures.png").read_bytes())).convert("L"))
    assert (grey < 10).mean() > 0.02
    page = render_html(report, figures)
    assert "What was made in the rounds" in page and 'aria-label="what was made in the rounds"' in page


def test_what_is_no_picture_is_left_blank() -> None:
    rows = [drawing("1/0", "train-0-0", 0.0), drawing("1/1", "train-1-0", "no numbers")]
    rows += [drawing("2/0", "train-0-1", 0.0, round=2), drawing("2/1", "train-1-1", 1.0, round=2)]
    store, run = stored(*rows)
    (sheet,) = sheets(store, build_report(store, run.id), DIGITS).values()
    shown = sheet.args[0]  # type: ignore[attr-defined]
    assert np.isnan(shown["round 1"][1]).all() and np.allclose(shown["round 2"][1], 1.0)


def test_runs_without_such_things_are_left_as_they_were(tmp_path: Path) -> None:
    pictures = [drawing("1/0", "train-0-0", 0.0), drawing("2/0", "train-0-0", 0.0, round=2)]
    for rows, world in (
        ([look(1, BETTER, BASE, accepted=True, effect=0.3)], DIGITS), (pictures, None), (pictures, drawn_points()),
        (pictures[:1], DIGITS), ([method("ddpo"), method("rwr"), *pictures], DIGITS),
    ):  # fmt: skip
        store, run = stored(*rows)
        report = build_report(store, run.id)
        figures = save_figures(store, report, world, tmp_path / "none")
        assert figures == {} and not (tmp_path / "none").exists()
        assert render_html(report, figures) == render_html(report)


def test_worlds_are_made_again_by_name() -> None:
    world: Any = world_of({"world": "drawn-digits:reward=mirror"})
    assert world.picture(json.dumps([1.0] * 64)).shape == (8, 8) and world.picture(json.dumps([1.0] * 64)).max() == 1.0
    points: Any = world_of({"world": "drawn-points"})
    assert points.picture is None
    assert world_of({"folder": "/nowhere"}) is None and world_of({"world": "drawn-digitz"}) is None


def test_the_line_to_what_was_kept_stands_out() -> None:
    from loopwright.improve.plots.lineage import lineage_figure

    versions = [Version(0, None, 0.2, 10), Version(1, 0, 0.9, 10, "not shown to be better"), Version(2, 0, 0.5, 10)]
    svg = lineage_figure(versions, best=2, label="score")
    assert b"1 turned down" in svg and b"2 kept" in svg and svg != lineage_figure(versions, label="score")
