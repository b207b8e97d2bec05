"""Whole jobs before the gate: what is said beforehand, told meanwhile and left afterwards, and who asked before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loopwright.cli.main import execute
from loopwright.core.errors import InputError, Paused
from loopwright.core.feedback import Verdict
from loopwright.core.gate import Decision, Gate
from loopwright.core.paired_tests import sign_power
from loopwright.core.types import Candidate, Example, Rollout
from loopwright.improve import gating
from loopwright.improve.answering import answer_with
from loopwright.improve.export import export_lines
from loopwright.improve.html import render_html
from loopwright.improve.job import resume_improve, run_improve
from loopwright.improve.portfolio import choose
from loopwright.improve.report import build_report, shown_better
from loopwright.store import open_store
from loopwright.worlds import load_task
from loopwright.worlds.named import named_world

MODEL = "scripted:scripted_sums:answer"


def task(folder: Path, count: int = 160, *, more: str = "", instruction: str = "Answer.", group: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [
        {"input": f"{10 + i // 60} + {i % 60}", "target": str(10 + i // 60 + i % 60), **({"group": i // group} if group else {})}
        for i in range(count)
    ]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.toml").write_text(
        f'name = "sums"\n[prompt]\ninstruction = {json.dumps(instruction)}\n[examples]\nfile = "examples.jsonl"\n'
        f'[answer]\nmax_tokens = 8\n[checker]\nkind = "exact"\n{more}'
    )
    return folder


class Job:
    """Runs in one store, with what was told of each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[tuple[str, dict[str, Any]]] = []

    def improve(self, folder: Path, *, only: Sequence[str] = ("few-shot",), **more: Any) -> dict[str, Any]:
        self.told = []
        given = {"sizes": [0]} if only == ("few-shot",) else {}
        more = {"model": MODEL, "methods": {only[0]: given} if given else {}, "out": self.path / "out", "numbered": True, **more}
        return asyncio.run(
            run_improve(
                folder, store_path=self.path / "store", only=only, progress=lambda t, p: self.told.append((t, dict(p))), **more
            )
        )

    def of(self, type: str) -> list[dict[str, Any]]:
        return [payload for told, payload in self.told if told == type]

    @property
    def store(self) -> Any:
        return open_store(f"{self.path / 'store'}/")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def instruct(text: str, **more: Any) -> dict[str, Any]:
    return {"methods": {"few-shot": {"sizes": [0], "instructions": [text]}}, **more}


def made(result: dict[str, Any]) -> str:
    """The instruction that a run left."""
    return str(json.loads((Path(result["artifact"]) / "prompt.json").read_text())["instruction"])


GOOD, SMALL, NONE = "Reply with the answer only.", "Be brief.", "Answer, please."


# ---- what is told and when ------------------------------------------------------------------------------------------------


def test_gate_scores_are_told_after_the_run(job: Job, tmp_path: Path) -> None:
    result = job.improve(task(tmp_path / "task"), **instruct(GOOD))
    assert [look["by"] for look in result["accepted"]] == ["few-shot"]
    (look,) = job.of("look")
    assert set(look) == {"candidate", "incumbent", "by", "note", "look", "accepted"}
    gate = next(p for p in job.of("baseline") if p["split"] == "gate")
    assert set(gate) == {"split", "n"}
    assert "score" in next(p for p in job.of("baseline") if p["split"] == "screen")
    with job.store as store:
        run = result["run"]
        whole = build_report(store, run)
        assert whole.looks and whole.gate_baseline is not None and whole.judged["gate"] > 0
        store.set_run(run, status="paused", reason="interrupted")
        going_on = build_report(store, run)
        assert going_on.looks == () and going_on.gate_baseline is None and "gate" not in going_on.judged
        assert [(o.look, o.accepted) for o in going_on.offers] == [(1, True)]
        assert all(version.reason == "" for version in going_on.versions)
        page = render_html(going_on)
        assert "Scores on gate examples are shown when the run is done" in page and "accepted <b>few-shot</b>" in page
        for split in ("gate", "test"):
            with pytest.raises(InputError, match="shown when a run is done"):
                list(export_lines(store, run, "sft", split=split))
        assert list(export_lines(store, run, "sft", split="train"))


def test_what_the_gate_can_notice_is_said_before_anything_is_offered(job: Job, tmp_path: Path) -> None:
    job.improve(task(tmp_path / "task"), **instruct(GOOD))
    (notice,) = job.of("notice")
    order = [told for told, _ in job.told]
    assert order.index("notice") < order.index("method")
    with job.store as store:
        report = build_report(store, "last")
    size = report.splits["gate"]
    assert notice["message"].startswith(Gate(planned=2).notice(size)) and report.notice == notice["message"]
    assert notice["message"].split(". ")[0] in render_html(report)
    assert f"{report.splits['screen']} screen examples come first: one that is" in notice["message"]


def test_a_small_gate_plans_one_look_and_warns_of_what_it_misses(job: Job, tmp_path: Path) -> None:
    job.improve(task(tmp_path / "task", 36, more="[split]\ntrain = 0.4\ngate = 0.3\ntest = 0.3\n"), **instruct(GOOD))
    (notice,) = job.of("notice")
    assert notice["loud"] and "1 planned look," in notice["message"]
    assert "none can be kept apart as a screen" in notice["message"]
    assert not job.of("screen") and len(job.of("look")) == 1


def test_looks_are_planned_by_the_offers_to_expect() -> None:
    methods = choose(["weights", "prompt", "answers"], {}, has_critics=True, has_tools=True)
    assert [m.slug for m in methods] == ["rest-em", "few-shot", "self-consistency", "best-of-n", "critic-tools"]
    assert gating.planned_looks(methods, 40) == 6 and gating.planned_looks(methods, 19) == 1
    assert gating.planned_looks(choose([], {}, only=["best-of-n"], has_critics=True, has_tools=False), 40) == 1


def test_the_gate_is_as_the_task_says(tmp_path: Path) -> None:
    chosen = load_task(task(tmp_path / "a", more="[gate]\nplanned = 3\ngraded = true\nalpha = 0.1\n")).divided()
    gate = gating.gate_of(chosen, [], False, 7)
    assert (gate.planned, gate.graded, gate.alpha, gate.seed) == (3, True, 0.1, 7)
    plain = load_task(task(tmp_path / "b")).divided()
    assert not gating.gate_of(plain, [], True, 0).graded, "the kind of the checker decides, where it tells"
    grouped = load_task(task(tmp_path / "c", group=2)).divided()
    assert gating.gate_of(grouped, [], False, 0).graded, "means of groups are no verdicts"


@pytest.mark.parametrize(("says", "graded"), [("True", False), ("0.5", True)])
def test_a_function_of_ones_own_is_asked_on_screen_examples(job: Job, tmp_path: Path, says: str, graded: bool) -> None:
    folder = task(tmp_path / "task")
    (folder / "check.py").write_text(f"def check(output, example):\n    return {says}\n")
    toml = (folder / "task.toml").read_text().replace('kind = "exact"', 'kind = "python"\nfunction = "check.py:check"')
    (folder / "task.toml").write_text(toml)
    job.improve(folder, **instruct(NONE))
    (notice,) = job.of("notice")
    assert notice["message"].startswith(Gate(planned=2, graded=graded).notice(job.of("run")[0]["splits"]["gate"]))


# ---- screen, repeats, unproven --------------------------------------------------------------------------------------------


def test_no_method_is_shown_the_screen(job: Job, tmp_path: Path) -> None:
    folder = task(tmp_path / "task")
    result = job.improve(folder, **instruct(GOOD))
    screen = {e.id for e in load_task(folder).divided(weights=False).examples("screen")}
    with job.store as store:
        rows = list(store.rollouts(result["run"]))
    assert screen and {r.example for r in rows if r.split == "screen"} == screen
    assert not screen & {r.example for r in rows if r.split == "train"}


def test_what_the_screen_refuses_is_told_and_the_gate_is_not_asked(job: Job, tmp_path: Path) -> None:
    result = job.improve(task(tmp_path / "task"), **instruct(NONE))
    assert result["accepted"] == result["rejected"] == [] and len(result["screened"]) == 1
    assert "the one candidate showed too little on the screen examples to ask the gate" in result["reason"]
    with job.store as store:
        report = build_report(store, result["run"])
    assert [(s.by, s.promising) for s in report.screened] == [("few-shot", False)]
    assert {s.part for s in report.spending} >= {"screening"}
    assert "Learned nothing: the one candidate was not accepted" in render_html(report)


def test_the_best_refused_candidate_is_left_as_unproven(job: Job, tmp_path: Path) -> None:
    folder = task(tmp_path / "task", 120, more="[gate]\nplanned = 10000\n")
    result = job.improve(folder, **instruct(SMALL))
    assert result["rejected"], result
    (refused,) = result["rejected"]
    left = result["unproven"]
    assert left["candidate"] == refused["candidate"] and left["effect"] > 0.1
    place = Path(left["folder"])
    manifest = json.loads((place / "unproven.json").read_text())
    assert manifest["unproven"]["needs"] == left["needs"] > refused["n"] and not (place / "artifact.json").exists()
    assert SMALL in json.loads((place / "prompt.json").read_text())["instruction"]
    assert json.loads((Path(result["artifact"]) / "artifact.json").read_text())["candidate"] != left["candidate"]
    with pytest.raises(InputError, match=r"the gate did not accept.*--unproven"):
        asyncio.run(answer_with(place, "10 + 1"))
    with pytest.raises(InputError, match=r"there is no unproven\.json in"):
        asyncio.run(answer_with(result["artifact"], "10 + 1", unproven=True))
    assert asyncio.run(answer_with(place, "10 + 1", unproven=True, trust=True)) in ("11", "I do not know")
    with job.store as store:
        report = build_report(store, result["run"])
    assert report.unproven == left["message"] and "gate examples" in render_html(report)
    job.improve(folder, **instruct(NONE), numbered=False, force=True)
    assert not place.exists(), "what an earlier run left there must not be taken for this one's"


def look(**more: Any) -> Decision:
    given = {
        "accepted": False, "reason": "not shown to be better", "look": 1, "effect": 0.2, "low": -0.1, "high": 0.4, "n": 40,
        "incumbent_score": 0.3, "candidate_score": 0.5, "test": "sign", "level": 0.01, "wins": 10, "losses": 2,
    }  # fmt: skip
    return Decision.model_validate({**given, **more})


def test_how_many_examples_a_gain_needs() -> None:
    need = gating.needed(look())
    assert need is not None and need > 40
    assert sign_power(need, 0.25, 0.05, 0.01) >= 0.8 > sign_power(round(need * 0.9), 0.25, 0.05, 0.01)
    more = gating.needed(look(effect=0.05, wins=4))
    assert more is not None and more > need
    graded = gating.needed(look(test="betting"))
    within = gating.needed(look(test="betting", margin=0.3))
    assert graded is not None and within is not None and within < graded / 2  # less is asked for
    assert gating.needed(look(level=None)) is None and gating.needed(look(effect=0.0)) is None
    assert gating.needed(look(effect=0.0005, wins=10, losses=10)) is None


def test_the_best_refused_is_none_that_had_no_gain_or_was_accepted_later() -> None:
    a, b, c = (Candidate(parts={"prompt": {"instruction": x}}, by=x) for x in "abc")
    assert gating.best_refused([]) is None
    assert gating.best_refused([(a, look(effect=-0.1)), (b, look(early=True))]) is None
    assert gating.best_refused([(a, look(effect=0.3)), (b, look()), (a, look(accepted=True))]) == (b, look())
    assert gating.best_refused([(a, look()), (b, look(effect=0.3)), (c, look(effect=0.1))]) == (b, look(effect=0.3))


# ---- runs on one task -----------------------------------------------------------------------------------------------------


def of_the_gate(job: Job) -> str:
    """What the last run said of its gate beforehand."""
    (said,) = [notice["message"] for notice in job.of("notice") if "graded" in notice]
    return str(said)


def test_runs_that_asked_about_the_same_questions_are_counted(job: Job, tmp_path: Path) -> None:
    folder = task(tmp_path / "task")
    job.improve(folder, **instruct(NONE))  # which asked nothing of the gate
    job.improve(folder, **instruct(GOOD))
    assert "earlier run" not in of_the_gate(job)
    task(folder, instruction="Say it.", more="[split]\nseed = 5\n")
    result = job.improve(folder, **instruct(GOOD))
    message = of_the_gate(job)
    assert "1 earlier run asked about these questions (1 look)" in message
    assert "over all 2 runs is at most 2 x 0.05 = 0.1." in message
    with job.store as store:
        page = render_html(build_report(store, result["run"]))
    assert "the second run that asked the gate about these questions" in page and "2 x 0.05 = 0.1." in page
    job.improve(task(tmp_path / "other", 170), **instruct(GOOD))
    assert "earlier run" not in of_the_gate(job)


@pytest.mark.parametrize(
    ("runs", "alpha", "said", "fresh"),
    [
        (2, 0.05, "all 2 runs is at most 2 x 0.05 = 0.1.", False),
        (9, 0.05, "at most 9 x 0.05 = 0.45.", False),
        (10, 0.05, "at most 10 x 0.05 = 0.5;", True),
        (20, 0.05, "20 runs x 0.05 = 1, so over all of them nothing is promised", True),
        (22, 0.05, "22 runs x 0.05 = 1.1, so over all of them nothing is promised", True),
    ],
)
def test_what_is_promised_over_several_runs_is_said_with_its_numbers(runs: int, alpha: float, said: str, fresh: bool) -> None:
    message = gating.over_runs(runs, alpha)
    assert said in message and ("--fresh-gate" in message) == fresh
    assert message.endswith(".") and "at most 1." not in message


def test_a_start_that_an_earlier_run_made_is_by_hand_and_unproven(job: Job, tmp_path: Path) -> None:
    first = job.improve(task(tmp_path / "task"), **instruct(GOOD))
    again = job.improve(task(tmp_path / "task", instruction=made(first)), **instruct(SMALL))
    assert "chosen by hand, so nothing here proves that start" in of_the_gate(job)
    with job.store as store:
        report = build_report(store, again["run"])
    assert report.made_by == first["run"] and "that start is unproven" in render_html(report)
    job.improve(task(tmp_path / "task", instruction="Quite another."), **instruct(SMALL))
    assert "by hand" not in of_the_gate(job)


def test_a_fresh_gate_keeps_the_test_and_refuses_what_earlier_runs_made(job: Job, tmp_path: Path) -> None:
    folder = task(tmp_path / "task")
    runs = [job.improve(folder, **instruct(GOOD), **more) for more in ({}, {"fresh_gate": True}, {"fresh_gate": True})]
    with job.store as store:
        rows = [list(store.rollouts(run["run"])) for run in runs]
        fresh = [store.run(run["run"]).spec["split"]["fresh"] for run in runs]
    gates, tests = ([{r.example for r in found if r.split == split} for found in rows] for split in ("gate", "test"))
    assert fresh == [0, 1, 2] and tests[0] == tests[1] == tests[2]
    assert len({frozenset(gate) for gate in gates}) == 3 and not any(gate & tests[0] for gate in gates)
    begun = task(tmp_path / "task", instruction=made(runs[0]))
    with pytest.raises(InputError, match="--fresh-gate: what this run starts from was made by run"):
        job.improve(begun, **instruct(SMALL), fresh_gate=True)


def test_a_world_by_name_has_no_fresh_gate(job: Job) -> None:
    with pytest.raises(InputError, match="cannot be drawn anew"):
        asyncio.run(run_improve(world="sums", model=MODEL, store_path=job.path / "s", out=job.path / "o", fresh_gate=True))


@pytest.mark.parametrize("at", ["screen", "look", "notice", "baseline", "method"])
def test_a_run_stopped_at_any_point_of_the_gate_ends_as_an_uninterrupted_one(job: Job, tmp_path: Path, at: str) -> None:
    folder = task(tmp_path / "task")
    more: dict[str, Any] = {"methods": {"few-shot": {"sizes": [0, 2], "instructions": [SMALL, GOOD]}}}
    expected = job.improve(folder, **more)
    assert at in {type for type, _ in job.told}
    other = Job(tmp_path / "other")

    def stop(type: str, payload: dict[str, Any]) -> None:
        if type == at:
            raise Paused("stopped by the test")

    with pytest.raises(Paused):
        asyncio.run(
            run_improve(folder, store_path=other.path / "store", only=("few-shot",), progress=stop, model=MODEL,
                        out=other.path / "out", **more)
        )  # fmt: skip
    found = asyncio.run(resume_improve("last", store_path=other.path / "store"))
    for part in ("baseline", "final", "gain", "accepted", "rejected", "screened", "reason"):
        assert found[part] == expected[part]


def test_a_run_of_an_earlier_version_goes_on_with_the_splits_it_had(job: Job, tmp_path: Path) -> None:
    folder = task(tmp_path / "task")

    def stop(type: str, payload: dict[str, Any]) -> None:
        raise Paused("stopped by the test")

    with pytest.raises(Paused):
        asyncio.run(run_improve(folder, store_path=job.path / "store", progress=stop, model=MODEL, out=job.path / "out"))
    old = load_task(folder)
    spec = {name: value for name, value in old.spec().items() if name != "questions"}
    with job.store as store:
        row = store.run("last")
        begun = {name: value for name, value in row.spec.items() if name not in ("split", "code")} | {"task": spec}
        store.create_run(begun, seed=row.seed, budget=row.budget, code_version="0.0.1")
    asyncio.run(resume_improve("last", store_path=job.path / "store"))
    with job.store as store:
        report = build_report(store, "last")
    assert report.status == "done" and report.splits["screen"] == 0 and report.splits["gate"] == len(old.examples("gate"))


def test_a_change_that_the_model_does_not_allow_is_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"every method here changes weights \(rest-em.*use --change prompt,answers"):
        job.improve(task(tmp_path / "task"), only=(), change=("weights",))
    assert not job.of("baseline"), "nothing was asked before"


def test_the_report_says_what_kind_of_error_the_gate_bounds(job: Job, tmp_path: Path) -> None:
    for more, said in (
        ("", "candidate was accepted that is not better is at most 0.05, over all 1 look. A measured gain below 1 per"),
        ('[gate]\ngoal = "not-worse"\nmargin = 0.4\n', "worse than what the run began with by 40 points or more is at"),
    ):
        result = job.improve(task(tmp_path / "task", more=more), **instruct(GOOD))
        with job.store as store:
            assert said in render_html(build_report(store, result["run"]))


def test_groups_are_averaged_and_tested_as_one(job: Job, tmp_path: Path) -> None:
    result = job.improve(task(tmp_path / "task", 400, group=4), **instruct(GOOD))
    with job.store as store:
        rows = list(store.rollouts(result["run"]))
    for split in ("gate", "test"):
        groups = {json.loads(r.data)["example"]["meta"]["group"] for r in rows if r.split == split}
        assert len({r.example for r in rows if r.split == split}) == 4 * len(groups)
        if split == "gate":
            assert [d["n"] for d in result["accepted"]] == [len(groups)] and result["accepted"][0]["test"] == "betting"
        else:
            assert result["final"]["n"] == result["baseline"]["n"] == len(groups)
    assert f"With {result['accepted'][0]['n']} groups of gate examples" in job.of("notice")[0]["message"]
    assert job.of("run")[0]["counts"] == result["counts"] == "groups"
    with job.store as store:
        page = render_html(build_report(store, result["run"]))
    assert f"on {result['final']['n']} groups of test examples" in page


def test_near_duplicates_are_named_at_the_start(job: Job, tmp_path: Path) -> None:
    folder = task(tmp_path / "task")
    lines = [json.loads(line) for line in (folder / "examples.jsonl").read_text().splitlines()]
    doubled = [{**row, "input": f"Please add the numbers now: {row['input']}"} for row in lines]
    twice = [*doubled, *({**row, "input": row["input"] + " !"} for row in doubled)]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in twice))
    job.improve(folder, **instruct(GOOD))
    (message,) = [p["message"] for p in job.of("warning") if "nearly the same" in p["message"]]
    assert "pairs of questions are nearly the same in two splits" in message and '"group"' in message
    job.improve(task(tmp_path / "plain"), **instruct(GOOD))
    assert not job.of("warning")
    assert "pairs of questions" in gating.copies_between(load_task(folder))
    assert gating.copies_between(named_world("drawn-digits")) == ""  # its questions repeat by design, and nobody can group them


# ---- compare --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(job: Job, tmp_path: Path) -> dict[str, str]:
    """Runs on one task that ended with a good and a plain instruction."""
    folder = task(tmp_path / "task")
    return {name: job.improve(folder, **instruct(text))["run"] for name, text in (("good", GOOD), ("plain", NONE))}


@pytest.mark.parametrize(
    ("first", "second", "better", "code"),
    [("plain", "good", "B", 0), ("good", "plain", "A", 11), ("good", "good", None, 10), ("plain", "plain", None, 10)],
)
def test_compare_tells_by_its_exit_code(
    job: Job, two: dict[str, str], capsys: pytest.CaptureFixture[str], first: str, second: str, better: str | None, code: int
) -> None:
    command = ["compare", two[first], two[second], "--store", f"{job.path / 'store'}/", "--json"]
    capsys.readouterr()
    assert execute([*command, "--exit-code"]) == code
    said = json.loads(capsys.readouterr().out)
    assert said["better"] == better and said["test"] == "sign" and "only new examples can confirm" in said["by_hand"]
    assert execute(command) == 0, "without the option only an error has a code of its own"


def test_compare_takes_no_refused_candidate(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = job.improve(task(tmp_path / "task", 120, more="[gate]\nplanned = 10000\n"), **instruct(SMALL))
    left = result["unproven"]["folder"]
    assert execute(["compare", result["run"], left, "--store", f"{job.path / 'store'}/"]) == 2
    assert "a candidate that the gate refused" in capsys.readouterr().err


def test_compare_refuses_scores_of_two_checkers(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = job.improve(task(tmp_path / "task"), **instruct(NONE))
    text = (tmp_path / "task" / "task.toml").read_text(encoding="utf-8")
    kind = next(line for line in text.splitlines() if line.startswith("kind = "))
    (tmp_path / "task" / "task.toml").write_text(text.replace(kind, 'kind = "exact"\ncasefold = true'), encoding="utf-8")
    second = job.improve(tmp_path / "task", **instruct(NONE))
    command = ["compare", first["run"], second["run"], "--store", f"{job.path / 'store'}/"]
    assert execute(command) == 2
    said = capsys.readouterr().err
    assert "scored by different checkers" in said and "'casefold': True" in said
    assert execute(["compare", first["run"], first["run"], "--store", f"{job.path / 'store'}/"]) == 0


@pytest.mark.parametrize(("wins", "better"), [(5, None), (6, "B")])
def test_compare_asks_each_way_at_one_in_forty(wins: int, better: str | None) -> None:
    """Six wins and no loss: 1/64. Five: 1/32, which one side alone would call better at 1/20."""

    def answers(right: int) -> dict[str, Rollout]:
        return {
            str(i): Rollout(id=str(i), example=Example(id=str(i), input="q"), turns=(), feedback=(Verdict(passed=i < right),))
            for i in range(400)
        }

    first, second = answers(100), answers(100 + wins)
    assert shown_better(first, second, graded=False).accepted is (better == "B")
    assert not shown_better(second, first, graded=False).accepted
