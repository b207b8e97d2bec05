"""The same test questions in one run after another: counted and shown, wherever the task lies, whatever becomes of the runs."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sums_kit import Sums, answer, make_task

from loopwright.cli.summary import print_summary
from loopwright.core.types import Example
from loopwright.improve.uses import RECORD, alike, earlier_uses, note_use, sketch_of
from loopwright.store import MemoryStore, open_store
from loopwright.store.pruning import prune

from openai_server import serving  # isort: skip


@pytest.fixture
def sums(tmp_path: Path) -> Iterator[Sums]:
    with serving() as server:
        server.will(answer)
        yield Sums(server, make_task(tmp_path / "task", checker="exact"), tmp_path)


def elsewhere(sums: Sums, folder: Path, change: Callable[[list[str]], list[str]] = lambda lines: lines) -> None:
    """The same task in another folder, with its examples changed."""
    shutil.copytree(sums.folder, folder)
    lines = (folder / "examples.jsonl").read_text().splitlines()
    (folder / "examples.jsonl").write_text("\n".join(change(lines)) + "\n")
    sums.folder = folder


@pytest.mark.fault(78)
def test_each_use_is_counted_shown_and_stays(
    sums: Sums, seen: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    first = sums.begin(out="1")
    assert first["test_used_before"] == 0 and "used by" not in Path(first["report"]).read_text()
    sums.folder.rename(sums.place / "renamed")
    sums.folder = sums.place / "renamed"
    assert sums.begin(out="2")["test_used_before"] == 1
    elsewhere(sums, sums.place / "copy", lambda lines: random.Random(1).sample(lines, len(lines)))
    assert sums.begin(out="3")["test_used_before"] == 2
    more = [json.dumps({"id": f"new{i}", "input": f"{900 + i} + 1", "target": str(901 + i)}) for i in range(12)]
    elsewhere(sums, sums.place / "grown", lambda lines: lines[3:] + more)
    result = sums.begin(out="4")
    assert result["test_used_before"] == 3
    notice = [p["message"] for p in sums.told("notice") if "test examples were used" in p["message"]]
    assert len(notice) == 3 and "3 earlier runs" in notice[-1]
    assert "used by 3 earlier runs" in Path(result["report"]).read_text()
    print_summary(result)
    assert "used by 3 earlier runs" in " ".join(capsys.readouterr().out.split())
    with open_store(f"{sums.store}/") as opened:
        prune(opened, [run.id for run in opened.runs()], forget=True)
        assert opened.runs() == []
    again = sums.begin(out="5")
    assert again["test_used_before"] == 4, "the runs are gone, the count is not"
    other = sums.place / "other"
    elsewhere(sums, other, lambda lines: [line.replace(" + ", " + 10") for line in lines])
    assert sums.begin(out="6")["test_used_before"] == 0, "other questions were not used"
    seen("4 uses under 4 folder names, shuffled, with 12 new examples: counted 4; all runs deleted: still 4; other questions: 0")


def test_a_run_that_is_gone_on_with_uses_them_once() -> None:
    store = MemoryStore()
    sketch = sketch_of([Example(id="a", input="one"), Example(id="b", input="two")])
    for run in ("r1", "r1", "r2"):
        note_use(store, run, sketch)
    assert earlier_uses(store, "r2", sketch) == ["r1"] and earlier_uses(store, "r3", sketch) == ["r1", "r2"]


def test_uses_that_two_processes_count_at_once_are_both_counted(tmp_path: Path) -> None:
    one, two = open_store(f"{tmp_path}/s/"), open_store(f"{tmp_path}/s/")
    sketch = sketch_of([Example(id="a", input="one")])
    swap = one.learners.swap

    def late(name: str, **how: object) -> bool:
        one.learners.swap = swap  # type: ignore[method-assign]
        note_use(two, "between", sketch)
        return swap(name, **how)  # type: ignore[arg-type]

    one.learners.swap = late  # type: ignore[method-assign, assignment]
    note_use(one, "first", sketch)
    assert earlier_uses(two, "", sketch) == ["between", "first"] and two.learners.version(RECORD) == 2
    one.close()
    two.close()


def test_splits_are_alike_by_their_questions() -> None:
    def questions(first: int, last: int, form: str = "q {}") -> list[Example]:
        return [Example(id=f"{i}", input=form.format(i)) for i in range(first, last)]

    for size in (6, 40, 64, 200, 5_000):
        whole = sketch_of(questions(0, size))
        assert alike(whole, sketch_of(questions(0, size, "  Q {} ")[::-1])), "case, space and order aside"
        assert alike(whole, sketch_of(questions(size // 10, size + size // 10)))
        assert not alike(whole, sketch_of(questions(size, 2 * size)))
        assert not alike(whole, sketch_of(questions(size - size // 6, 2 * size)))
    assert not alike(sketch_of([]), sketch_of([])) and alike(sketch_of(questions(0, 30)), sketch_of(questions(0, 900)))
