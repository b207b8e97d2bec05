"""A run is stopped, something that it depends on changes, and it is gone on with: told before anything is paid, or forked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sums_kit import CHECK, METHOD, Sums, answer, make_task

import loopwright.improve.job as job
from loopwright.core.errors import Diverged, InputError, LoopwrightError, ModelUnavailable
from loopwright.core.types import Budget

from openai_server import fails, serving  # isort: skip

HELPER = "def equal(a, b):\n    return same(a) == same(b)\n\ndef same(text):\n    return text.strip()\n"
CHECKER = "import helper\n\ndef check(output, example):\n    return helper.equal(output, example['target'])\n"
LONGER = METHOD.replace('    yield', '    await ctx.rollout(base, ctx.world.examples("train")[12:24])\n    yield')
DOWN = fails(401, "this key is not valid any more")


@pytest.fixture
def sums(tmp_path: Path) -> Iterator[Sums]:
    with serving() as server:
        server.will(answer)
        yield Sums(server, make_task(tmp_path / "task", check=CHECKER, helper=HELPER, method=LONGER), tmp_path)


def stopped(sums: Sums, after: int) -> int:
    """Begin a run whose server fails for good after so many requests. Returns how many it answered."""
    answered = 0

    def step(body: dict[str, Any]) -> Any:
        nonlocal answered
        if answered >= after:
            return DOWN(body)
        answered += 1
        return answer(body)

    sums.server.will(step)
    with pytest.raises(LoopwrightError):
        sums.begin()
    sums.server.will(answer)
    return answered


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "the recipe": (lambda f: edit(f / "method.py", ('"carefully"', '"carefully!"')), r"method\.py: careful\(\)"),
    "the checker": (lambda f: edit(f / "check.py", ("output, example[", "output + ' ', example[")), r"check\.py: check\(\)"),
    "what the checker imports": (lambda f: edit(f / "helper.py", (".strip()", ".strip().lower()")), r"helper\.py: same\(\)"),
    "what stands outside of functions": (
        lambda f: edit(f / "helper.py", ("def equal", "LIMIT = 3\ndef equal")), r"helper\.py: outside of functions"
    ),
    "functions that went": (
        lambda f: f.joinpath("helper.py").write_text("equal = lambda a, b: a == b"), r"helper\.py: equal\(\), same\(\), outside"
    ),
    "the answers": (lambda f: edit(f / "task.toml", ("max_tokens = 16", "max_tokens = 20")), r"sampling\.max_tokens of the task"),
    "an example": (lambda f: edit(f / "examples.jsonl", ('"input": "17 + 21"', '"input": "17 + 21 ="')), r"examples\.\w+"),
}  # fmt: skip


@pytest.mark.fault(11)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_before_anything_is_paid(sums: Sums, name: str, seen: Callable[[str], None]) -> None:
    paid = stopped(sums, after=60)
    change, named = CHANGES[name]
    change(sums.folder)
    before = sums.asked
    with pytest.raises(Diverged) as told:
        sums.resume()
    assert re.search(named, str(told.value)), told.value
    assert "--fork" in str(told.value) and sums.asked == before, "nothing was asked of the server"
    seen(f"{name} changed after {paid} calls: refused by name, {sums.asked - before} calls paid")


@pytest.mark.fault(11)
def test_comments_and_layout_are_told_and_do_not_stop_it(sums: Sums, seen: Callable[[str], None]) -> None:
    paid = stopped(sums, after=60)
    for name in ("method", "check", "helper"):
        path = sums.folder / f"{name}.py"
        path.write_text("# a comment\n\n" + path.read_text().replace("(a, b)", "( a,  b )"))
    edit(sums.folder / "task.toml", ('name = "sums"', 'name = "sums"\ndescription = "sums"\n[budget]\ncalls = 9000\n'))
    before = sums.asked
    result = sums.resume()
    notes = " ".join(p["message"] for p in sums.told("notice"))
    assert all(f"{name}.py (comments or layout)" in notes for name in ("method", "check", "helper")) and "description" in notes
    assert result["status"] == "done" and sums.asked - before == result["calls"] - paid
    seen(f"comments in 3 files: told, gone on with, {result['calls']} calls in all, none twice")


@pytest.mark.fault(79)
def test_a_fork_goes_on_knowingly_and_pays_only_for_what_is_new(sums: Sums, seen: Callable[[str], None]) -> None:
    paid = stopped(sums, after=90)
    with sums.opened() as store:
        parent = store.run("last").id
    edit(sums.folder / "helper.py", (".strip()", ".strip().lower()"))
    edit(sums.folder / "method.py", ("[12:24]", "[12:30]"))
    before = sums.asked
    result = sums.resume(fork=True)
    fresh = sums.asked - before
    assert result["run"] != parent and result["parent"]["run"] == parent and result["status"] == "done"
    assert result["parent"]["changed"] == ["helper.py: same()", "method.py: careful()"]
    assert result["calls"] == fresh, "what was taken over cost nothing"
    assert result["parent"]["taken"] >= paid - 4, "all that the parent had finished, but for what was cut off"
    assert Path(result["report"]).parent.name == "out-fork" and len(result["accepted"]) == 1
    sums.folder.rename(sums.place / "elsewhere")
    (sums.place / "elsewhere").rename(sums.folder)
    whole = sums.begin(out="whole", seed=0)
    assert {k: whole[k] for k in ("baseline", "final", "gain")} == {k: result[k] for k in ("baseline", "final", "gain")}
    assert whole["calls"] == result["calls"] + result["parent"]["taken"]
    report = sums.report(result["run"])
    assert parent in report.fork and "helper.py: same()" in report.fork
    page = Path(result["report"]).read_text()
    assert f"fork of run {parent}" in page and f"were recorded by run {parent}" in page
    notice = [p["message"] for p in sums.told("notice") if "fork of run" in p["message"]]
    assert len(notice) == 1 and parent in notice[0]
    with sums.opened() as store:
        assert store.run(parent).status != "done", "the parent stays as it was"
    seen(f"parent paid {paid}; fork took over {result['parent']['taken']}, paid {fresh}; parent recorded and shown")


def test_a_fork_that_is_stopped_is_gone_on_with_and_can_be_forked_again(sums: Sums) -> None:
    stopped(sums, after=60)
    edit(sums.folder / "helper.py", (".strip()", ".strip().lower()"))
    answered = 0

    def step(body: dict[str, Any]) -> Any:
        nonlocal answered
        answered += 1
        return DOWN(body) if answered > 20 else answer(body)

    sums.server.will(step)
    with pytest.raises(LoopwrightError):
        sums.resume(fork=True)
    sums.server.will(answer)
    edit(sums.folder / "helper.py", (".lower()", ".upper()"))
    with pytest.raises(Diverged, match=r"helper\.py: same\(\)"):
        sums.resume()
    again = sums.resume(fork=True)
    assert again["status"] == "done" and again["parent"]["taken"] >= 75, "of parent and grandparent"
    edit(sums.folder / "helper.py", (".upper()", ".lower()"))
    with sums.opened() as store:
        first_fork = store.runs()[1] if store.runs()[0].spec.get("parent") is None else store.runs()[-2]
    gone_on = sums.resume(first_fork.id)
    assert gone_on["run"] == first_fork.id and gone_on["status"] == "done" and gone_on["final"] == again["final"]


def test_a_method_that_was_broken_is_mended_in_a_fork(sums: Sums) -> None:
    edit(sums.folder / "method.py", ("    yield", "    raise ValueError('a mistake')\n    yield"))
    broken = sums.begin()
    assert broken["failures"] and not broken["accepted"]
    edit(sums.folder / "method.py", ("    raise ValueError('a mistake')\n", ""))
    before = sums.asked
    mended = sums.resume(broken["run"], fork=True)
    assert not mended["failures"] and len(mended["accepted"]) == 1
    assert mended["calls"] == sums.asked - before < broken["calls"]


@pytest.mark.fault(11)
def test_another_version_of_loopwright_and_of_a_package_is_told(sums: Sums, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(sums.folder / "helper.py", ("def equal", "import pydantic\n\ndef equal"))
    stopped(sums, after=60)
    before = sums.asked
    with monkeypatch.context() as patch:
        patch.setattr(job, "__version__", "99.0")
        with pytest.raises(Diverged, match=r"Loopwright \(.*, now 99\.0\)"):
            sums.resume()
    from loopwright.improve import fingerprints

    with monkeypatch.context() as patch:
        patch.setattr(fingerprints.metadata, "version", lambda name: "77.1")
        fingerprints._version_of.cache_clear()
        with pytest.raises(Diverged, match=r"package pydantic \(.*, now 77\.1\)"):
            sums.resume()
    fingerprints._version_of.cache_clear()
    assert sums.asked == before and sums.resume()["status"] == "done"


def test_a_larger_cap_goes_on_a_smaller_one_is_refused_and_the_others_stay(sums: Sums) -> None:
    whole = sums.begin(out="whole", budget=Budget(calls=9000))["calls"]
    stopped(sums, after=60)
    with pytest.raises(InputError, match=r"--budget calls=5 is less than the 6\d"):
        sums.resume(budget=Budget(calls=5))
    with pytest.raises(InputError, match="out goes with fork"):
        sums.resume(out="elsewhere")
    result = sums.resume(budget=Budget(calls=8000))
    assert result["status"] == "done" and result["calls"] >= whole
    assert sums.report(result["run"]).budget["calls"] == 8000


def test_caps_that_are_given_at_a_resume_stay_in_force(sums: Sums) -> None:
    from loopwright.improve.caps import new_caps

    stopped(sums, after=60)
    down = 0

    def step(body: dict[str, Any]) -> Any:
        nonlocal down
        down += 1
        return DOWN(body) if down > 5 else answer(body)

    for caps in (Budget(calls=500), Budget(tokens=10**6), Budget(calls=600)):
        down = 0
        sums.server.will(step)
        with pytest.raises(LoopwrightError):
            sums.resume(budget=caps)
    with sums.opened() as store:
        row = store.run("last")
        assert new_caps(store, row, None) == Budget(calls=600, tokens=10**6)
        assert new_caps(store, row, Budget(seconds=900.0)) == Budget(calls=600, tokens=10**6, seconds=900.0)
        assert new_caps(store, row, Budget(calls=1), fork=True).calls == 1, "a fork has spent nothing yet"
    assert ModelUnavailable is not None and CHECK


@pytest.mark.fault(11, 79)
def test_on_the_command_line(sums: Sums, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from loopwright.cli.main import app

    stopped(sums, after=60)
    edit(sums.folder / "method.py", ("[12:24]", "[12:30]"))
    monkeypatch.chdir(tmp_path)
    before = sums.asked
    refused = CliRunner().invoke(app, ["resume", "last", "--store", f"{sums.store}/"])
    assert isinstance(refused.exception, Diverged) and sums.asked == before
    wrong = CliRunner().invoke(app, ["resume", "last", "--store", f"{sums.store}/", "--out", "there"])
    assert isinstance(wrong.exception, InputError)
    done = CliRunner().invoke(app, ["resume", "last", "--store", f"{sums.store}/", "--fork", "--out", "there"])
    assert done.exit_code == 0, done.output
    assert "fork of run" in done.output and (tmp_path / "there" / "result.json").is_file()


@pytest.mark.fault(11)
def test_a_learner_whose_code_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    from dataclasses import replace

    from loopwright.improve.stream import resume_stream, run_stream
    from loopwright.store import open_store

    made = asyncio.run(run_stream("ucb1", "bandit", steps=50, out=tmp_path / "out", store_path=f"{tmp_path}/s/"))
    store = open_store(f"{tmp_path}/s/")
    row = store.run(made["run"])
    known = row.spec["code"]["files"].items()
    files = {name: {**facts, "bytes": "0", "parts": {**facts["parts"], "ucb1": "0"}} for name, facts in known}
    with pytest.raises(Diverged, match=r"ucb1\.py: ucb1\(\)"):
        asyncio.run(resume_stream(store, replace(row, spec={**row.spec, "code": {**row.spec["code"], "files": files}})))
    with pytest.raises(InputError, match="learner's run is not forked"):
        asyncio.run(job.resume_improve(made["run"], store_path=f"{tmp_path}/s/", fork=True))
    store.close()
