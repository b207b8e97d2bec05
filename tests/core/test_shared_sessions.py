"""One learner for several real processes on one SQLite store: nothing is lost, counted twice, or taken for another's."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopwright import Session, SharedSession
from loopwright.core.errors import InputError, NoConversion, StoreError, UnknownName
from loopwright.core.feedback import Demonstration, Score, Verdict
from loopwright.core.registry import get_recipe
from loopwright.store import MemoryStore, SqliteStore

WORK = """
import json, sys
from loopwright import SharedSession, get_recipe
from loopwright.core.feedback import Score
path, slug, me, steps, spec = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), json.loads(sys.argv[5])
worth = {"red": 0.125, "blue": 0.5, "gold": 1.0}
with SharedSession(path, "headlines", get_recipe(slug)(), spec) as session:
    print("ready", flush=True)
    sys.stdin.readline()
    kept = []
    for t in range(steps):
        trial = session.ask([1.0, 0.5] if "dimensions" in spec else None, id=f"{me}-{t}")
        kept.append(trial)
        if len(kept) > 3:
            old = kept.pop(0)
            session.tell(Score(value=worth[old.proposal], about=old.id))
            print(old.id, old.proposal, flush=True)
    session.tell(*(Score(value=worth[old.proposal], about=old.id) for old in kept))
    for old in kept:
        print(old.id, old.proposal, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "learners.db"


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, path: Path) -> Any:
    made = SqliteStore(path) if request.param == "sqlite" else MemoryStore()
    yield made
    made.close()


def started(path: Path, slug: str, me: str, steps: int, spec: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORK, str(path), slug, me, str(steps), json.dumps(spec)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def go(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


@pytest.mark.parametrize("slug", ["thompson", "lin-ts"])
def test_several_processes_learn_as_one(path: Path, slug: str) -> None:
    """Every answer of every process is in the state exactly once: checked against what each process printed."""
    spec: dict[str, Any] = {"arms": ["red", "blue", "gold"]} | ({"dimensions": 2} if slug == "lin-ts" else {})
    processes = [started(path, slug, f"worker{i}", 25, spec) for i in range(3)]
    go(processes)
    told = [line.split() for process in processes for line in process.communicate(timeout=240)[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 3
    assert len(told) == len({id for id, _ in told}) == 75
    counts = [sum(arm == name for _, arm in told) for name in spec["arms"]]
    with SharedSession(path, "headlines", get_recipe(slug)(), spec) as session:
        assert session.open == {}
        state = Session.restore(get_recipe(slug)(), session.snapshot()).state
    if slug == "thompson":
        assert state.answers.tolist() == counts and state.total.tolist() == [0.125 * counts[0], 0.5 * counts[1], counts[2]]
    else:  # x'Px of n answers to one context x is 1 / (n + 1 / x'x)
        x = [1.0, 0.5]
        assert [x @ p @ x for p in state.gram_inverse] == pytest.approx([1 / (n + 1 / 1.25) for n in counts], rel=1e-9)
    assert counts[2] > counts[0], "and it learned"


def test_a_killed_process_leaves_what_it_was_told_and_the_others_go_on(path: Path) -> None:
    spec = {"arms": ["red", "blue", "gold"]}
    processes = [started(path, "ucb1", f"worker{i}", 4000 if i == 0 else 15, spec) for i in range(3)]
    go(processes)
    told = []
    assert processes[0].stdout is not None
    for _ in range(20):
        told.append(processes[0].stdout.readline().split())
    processes[0].send_signal(signal.SIGKILL)
    told += [line.split() for line in processes[0].communicate()[0].splitlines() if len(line.split()) == 2]
    for process in processes[1:]:
        told += [line.split() for line in process.communicate(timeout=240)[0].splitlines()]
        assert process.returncode == 0
    with SharedSession(path, "headlines", get_recipe("ucb1")(), spec) as session:
        left = session.open
        assert 1 <= len(left) <= 5 and all(id.startswith("worker0") for id in left)
        answers = Session.restore(get_recipe("ucb1")(), session.snapshot()).state.answers.sum()
        # It may have been killed between the commit of an answer and the line that says so.
        assert len(told) <= answers <= len(told) + 1
        session.tell(*(Score(value=0.5, about=id) for id in left))
        assert session.open == {}


@pytest.mark.parametrize("each", [True, False])
def test_threads_with_one_session_or_one_each(store: Any, each: bool) -> None:
    shared = SharedSession(store, "x", get_recipe("exp3")(), {"arms": 3})

    def work(number: int) -> None:
        session = SharedSession(store, "x", get_recipe("exp3")(), {"arms": 3}) if each else shared
        for _ in range(15):
            trial = session.ask()
            session.tell(Score(value=0.5, about=trial.id))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session = SharedSession(store, "x", get_recipe("exp3")(), {"arms": 3})
    assert store.learners.version("x") == 1 + 45 and session.open == {}


def two(store: Any, slug: str = "ucb1", **options: Any) -> tuple[SharedSession, SharedSession]:
    spec = {"arms": ["red", "blue"]}
    return tuple(SharedSession(store, "x", get_recipe(slug)(**options), spec) for _ in range(2))  # type: ignore[return-value]


def state_of(session: SharedSession) -> Any:
    return Session.restore(get_recipe("ucb1")(), session.snapshot()).state


def test_feedback_may_come_to_another_process_than_asked_and_once(store: Any) -> None:
    one, other = two(store)
    trial = one.ask({"page": 3}, id="visit 17")
    assert other.open == {"visit 17": trial}
    with pytest.raises(InputError, match="'visit 17' is open already"):
        other.ask(id="visit 17")
    other.tell(Verdict(passed=True, about="visit 17"))
    for session in (one, other):
        with pytest.raises(InputError, match="no open trial 'visit 17'"):
            session.tell(Score(value=1.0, about="visit 17"))
    with pytest.raises(InputError, match="no open trial 'nobody'"):
        one.forget("nobody")
    assert state_of(one).total.sum() == 1.0 and state_of(other).answers.sum() == 1


def test_of_several_answers_told_together_all_are_taken_or_none(store: Any) -> None:
    one, other = two(store)
    ids = [one.ask().id for _ in range(3)]
    with pytest.raises(InputError, match="no open trial"):
        other.tell(*(Score(value=1.0, about=id) for id in ids), Score(value=1.0, about="nobody"))
    assert list(one.open) == ids and state_of(one).answers.sum() == 0
    with pytest.raises(InputError):
        other.tell(Score(value=1.0, about=ids[0]), Score(value=1.0, about=ids[0]))
    assert state_of(other).answers.sum() == 0
    other.tell(*(Score(value=1.0, about=id) for id in ids))
    assert one.open == {} and state_of(one).answers.sum() == 3


def test_a_change_that_others_came_before_is_done_again_on_what_they_left(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = two(store)
    first, second = one.ask(arms=["red"]), one.ask(arms=["blue"])
    swap: Callable[..., bool] = store.learners.swap
    calls: list[Any] = []

    def beaten(*args: Any, **how: Any) -> bool:
        if how.get("data") is not None and not calls:
            calls.append(how)
            monkeypatch.setattr(store.learners, "swap", swap)
            other.tell(Score(value=1.0, about=second.id))  # just before this one's change
            monkeypatch.setattr(store.learners, "swap", beaten)
        return swap(*args, **how)

    monkeypatch.setattr(store.learners, "swap", beaten)
    one.tell(Score(value=0.25, about=first.id))
    assert len(calls) == 1 and state_of(one).total.tolist() == [0.25, 1.0] == state_of(other).total.tolist()


def test_arms_come_and_go_for_all(store: Any) -> None:
    one, other = two(store)
    one.add_arm("pink")
    assert other.arms == ("red", "blue", "pink")
    trial = other.ask(arms=["blue"], id="b")
    other.ask(arms=["pink"], id="p")
    assert one.remove_arm("blue") == [trial] and other.arms == ("red", "pink") and list(other.open) == ["p"]
    with pytest.raises(UnknownName, match="blue"):
        other.ask(arms=["blue"])
    one.teach(None, "pink", Score(value=1.0))
    assert state_of(other).total.tolist() == [0.0, 1.0]


def test_what_a_process_learned_by_itself_is_merged(store: Any) -> None:
    one, other = two(store)
    base = one.snapshot()
    alone = Session.restore(get_recipe("ucb1")(), base)
    for _ in range(5):
        alone.tell(Score(value=1.0, about=alone.ask().id))
    other.tell(Score(value=0.0, about=other.ask().id))
    one.merge(alone.snapshot(), base)
    assert state_of(other).answers.sum() == 6 and state_of(other).total.sum() == 5.0


def test_trials_expire_for_all(store: Any) -> None:
    now = [1000.0]
    spec = {"arms": ["red", "blue"]}
    one, other = (SharedSession(store, "x", get_recipe("ucb1")(), spec, clock=lambda: now[0]) for _ in range(2))
    one.ask(id="old")
    now[0] = 1100.0
    one.ask(id="new")
    assert other.expire(200.0) == []
    assert [t.id for t in other.expire(50.0, Score(value=0.0))] == ["old"] and list(one.open) == ["new"]
    assert state_of(one).answers.sum() == 1
    back = Session.restore(get_recipe("ucb1")(), json.loads(json.dumps(one.snapshot())), clock=lambda: 2000.0)
    assert [t.id for t in back.expire(500.0)] == ["new"]


def test_another_recipe_options_or_specification_is_refused(store: Any) -> None:
    two(store)
    spec = {"arms": ["red", "blue"]}
    with pytest.raises(InputError, match="of ucb1, got thompson"):
        SharedSession(store, "x", get_recipe("thompson")(), spec)
    with pytest.raises(InputError, match=r"width=2\.0, here 1\.0"):
        SharedSession(store, "x", get_recipe("ucb1")(width=1.0), spec)
    with pytest.raises(InputError, match="begun with the specification"):
        SharedSession(store, "x", get_recipe("ucb1")(), {"arms": ["red", "pink"]})
    assert SharedSession(store, "y", get_recipe("thompson")(), spec).open == {}


def test_a_refused_answer_leaves_the_trial_open(store: Any) -> None:
    spec = {"arms": ["red", "blue"], "dimensions": 2}
    session = SharedSession(store, "x", get_recipe("lin-ucb")(), spec)
    trial = session.ask([1.0, 0.0])
    version = store.learners.version("x")
    with pytest.raises(NoConversion, match="demonstration to score"):
        session.tell(Demonstration(output="x", about=trial.id))
    assert list(session.open) == [trial.id] and store.learners.version("x") == version


def test_a_closed_store_says_so(path: Path) -> None:
    session = SharedSession(path, "x", get_recipe("ucb1")(), {"arms": 2})
    session.close()
    with pytest.raises(StoreError, match="is closed"):
        session.ask()


def test_text_that_has_no_utf8_is_kept_in_a_context_and_refused_as_an_id(store: Any) -> None:
    one, other = two(store)
    trial = one.ask({"name": "\ud800 é"}, id="é")
    assert other.open == {"é": trial}
    with pytest.raises(InputError, match="UTF-8"):
        one.ask(id="\ud801")
    for said in (1.0, None):
        with pytest.raises(InputError, match="expected feedback"):
            other.tell(said)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 or more"):
        other.expire(float("nan"))
    other.tell(Score(value=1.0, about="é"))
    assert one.open == {}
