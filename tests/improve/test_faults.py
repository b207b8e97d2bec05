"""A job that is killed, stopped, starved or contradicted, in real processes against a real server that counts."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopwright.store.soundness import APPLICATION

HERE = Path(__file__).parent
LANES = 4  # HTTP calls in flight at once


class Server:
    """The counting server, in a process that no test kills by accident."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "counting_server.py", str(self.port)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, path: str, **data: Any) -> dict[str, Any]:
        body = json.dumps(data).encode() if data else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", body, timeout=30) as reply:
            answer: dict[str, Any] = json.loads(reply.read())
        return answer

    @property
    def received(self) -> int:
        return int(self.ask("/stats")["received"])

    def will(self, **mode: Any) -> None:
        self.ask("/mode", **{"fail": None, "times": None, "latency": 0.01, **mode})

    def wait_for(self, calls: int, process: subprocess.Popen[str]) -> bool:
        """Until so many calls have come; False if the process ended before."""
        while process.poll() is None:
            if self.received >= calls:
                return True
            time.sleep(0.002)
        return False


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def server(shared: Server) -> Server:
    if shared.process.poll() is not None:
        shared.start()
    shared.will()
    return shared


@pytest.fixture
def task(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    rng = random.Random(5)
    sums = rng.sample(list(itertools.product(range(10, 60), repeat=2)), 80)
    rows = [{"id": f"e{i}", "input": f"{a} + {b}", "target": str(a + b)} for i, (a, b) in enumerate(sums)]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.toml").write_text(
        'name = "sums"\ndescription = "Additions."\n\n[examples]\nfile = "examples.jsonl"\n\n'
        '[answer]\nmax_tokens = 16\n\n[checker]\nkind = "exact"\n\n[methods.few-shot]\nexamples = 6\n'
    )
    return folder


@pytest.fixture
def start(server: Server, task: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that improves the task, or resumes a run; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(do: str = "improve", *, store: Path | None = None, **more: Any) -> subprocess.Popen[str]:
        given: dict[str, Any] = {"do": do, "store_path": str(store or tmp_path / "store"), **more}
        if do == "improve":
            given = {
                "task_folder": str(task),
                "out": str(tmp_path / "out"),
                "numbered": True,
                "model": {
                    "backend": "openai", "model": "toy", "base_url": f"http://127.0.0.1:{server.port}/v1",
                    "concurrency": LANES, "attempts": 3, "backoff": 0.02,
                },
                **given,
            }  # fmt: skip
        else:
            given = {"run": "last", **given}
        process = subprocess.Popen(
            [sys.executable, HERE / "drive_job.py", json.dumps(given)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, json.loads(out) if process.returncode == 0 else {}, err


def succeeded(process: subprocess.Popen[str]) -> dict[str, Any]:
    code, result, err = ended(process)
    assert code == 0, err
    return result


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on how often the process was killed."""
    kept = {k: result[k] for k in ("baseline", "final", "gain", "accepted", "rejected", "screened", "status", "reason")}
    kept["artifact"] = {
        path.name: json.loads(path.read_text()) for path in sorted(Path(result["artifact"]).glob("*.json"))
    }
    kept["artifact"]["artifact.json"].pop("run")
    return kept


def runs(store: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(f"file:{store / 'loopwright.db'}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT status, reason FROM run ORDER BY n").fetchall()


def recorded(store: Path) -> int:
    """Calls whose answers are safe."""
    with sqlite3.connect(f"file:{store / 'loopwright.db'}?mode=ro", uri=True) as connection:
        query = "SELECT count(*) FROM effect WHERE kind = 'generate' AND status = 'done'"
        return int(connection.execute(query).fetchone()[0])


def counted(store: Path) -> int:
    """Calls that are counted for good: answered, or sent and perhaps billed though no answer came."""
    with sqlite3.connect(f"file:{store / 'loopwright.db'}?mode=ro", uri=True) as connection:
        return int(connection.execute("SELECT sum(calls) FROM effect WHERE status <> 'open'").fetchone()[0])


@pytest.mark.fault(1, 2)
def test_killed_at_ten_random_moments_a_run_ends_as_if_nothing_had_happened(
    server: Server, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, seen: Callable[[str], None]
) -> None:
    before = server.received
    expected = succeeded(start(store=tmp_path / "whole"))
    calls = server.received - before
    assert calls >= 100
    assert len(expected["accepted"]) >= 1
    assert len(expected["rejected"]) + len(expected["screened"]) >= 1
    assert expected["calls"] == calls
    assert expected["presumed_spent"] == 0

    rng = random.Random(20)
    kills = again = 0
    for number, share in enumerate((4, 3, 3)):  # three runs, killed that often each
        store, moments = tmp_path / f"store{number}", sorted(rng.sample(range(1, calls), share))
        begun, do, in_flight = server.received, "improve", 0
        for moment in moments:
            process = start(do, store=store)
            # the calls that were made twice must not bring the next moment nearer
            assert server.wait_for(begun + in_flight + moment, process), ended(process)
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            # a process killed before its run was made has nothing to resume
            do = "resume" if (store / "loopwright.db").exists() and runs(store) else "improve"
            lost = server.received - begun - in_flight - recorded(store)
            assert 0 <= lost <= 3 * LANES, "more was lost than can have been in flight"
            in_flight += lost
        result = succeeded(start(do, store=store))
        assert outcome(result) == outcome(expected)
        assert server.received - begun == calls + in_flight, "something that was recorded was paid again"
        assert in_flight <= result["presumed_spent"] <= share * 128
        assert result["calls"] == calls + result["presumed_spent"]
        again += in_flight
    assert kills == 10
    seen(f"{kills} kills in 3 runs of {calls} calls: {again} calls in flight were paid again, none that was recorded")


@pytest.mark.fault(10)
def test_a_second_process_on_the_same_run_is_refused(
    server: Server, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, seen: Callable[[str], None]
) -> None:
    server.will(latency=0.05)
    first = start()
    assert server.wait_for(server.received + 5, first)
    code, _, err = ended(start("resume"))
    assert code == 2
    assert "RunBusy" in err
    assert f"process {first.pid}" in err
    seen("refused, naming the process that has the run")
    server.will()
    succeeded(first)


@pytest.mark.fault(4)
def test_a_clock_that_jumps_changes_nothing(
    server: Server, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, seen: Callable[[str], None]
) -> None:
    expected = succeeded(start(store=tmp_path / "steady"))
    before = server.received
    first = start(store=tmp_path / "jumping", jumping_clock=True)
    assert server.wait_for(before + 30, first)
    code, _, err = ended(start("resume", store=tmp_path / "jumping", jumping_clock=True))
    assert code == 2
    assert "RunBusy" in err
    first.kill()
    first.wait()
    result = succeeded(start("resume", store=tmp_path / "jumping", jumping_clock=True))
    assert outcome(result) == outcome(expected)
    seen(f"jumps of days at every look: a second driver refused; killed and resumed: {result['calls']} calls, same result")


@pytest.mark.fault(39)
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_ctrl_c_stops_a_run_that_can_be_resumed(
    times: int, server: Server, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    server.will(latency=0.2)
    process = start()
    before = server.received
    assert server.wait_for(before + 6, process)
    process.send_signal(signal.SIGINT)
    if times == 2:
        assert process.stderr is not None
        assert "press Ctrl-C again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130, err
    received = server.received - before
    if times == 1:
        assert runs(store) == [("paused", "interrupted")]
        assert received == recorded(store), "what was in flight was not waited for"
    server.will()
    before = server.received
    result = succeeded(start("resume"))
    assert result["status"] == "done"
    again = received - recorded_at(result, received, server.received - before)
    assert (result["presumed_spent"] == 0) == (times == 1)
    assert 0 <= again <= 3 * LANES * (times == 2)


def recorded_at(result: dict[str, Any], first: int, second: int) -> int:
    """How many answers of the first process were used: all calls of a whole run less those of the second."""
    whole = result["calls"] - result["presumed_spent"]
    return whole - second


@pytest.mark.fault(31, 41)
@pytest.mark.parametrize(
    ("mode", "code", "status", "said"),
    [
        ({"fail": 500}, 1, "failed", "500"),
        ({"fail": 402}, 4, "paused", "402"),
        (None, 1, "failed", "connect"),
    ],
    ids=["always 500", "402", "down"],
)
def test_a_server_that_fails_ends_the_run_with_the_reason_and_the_run_goes_on_when_it_is_back(
    mode: dict[str, Any] | None,
    code: int,
    status: str,
    said: str,
    server: Server,
    start: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    server.will(latency=0.02)
    process, before = start(), server.received
    assert server.wait_for(before + 30, process)
    if mode is None:
        server.stop()
    else:
        server.will(**mode)
    failed, _, err = ended(process)
    assert failed == code, err
    assert said in err
    ((now, reason),) = runs(tmp_path / "store")
    assert now == status
    assert said in reason
    if mode is None:
        server.start()
        extra = 0
    else:
        # bounded: nothing retries a quota, and a dead server is given up by those that were in flight
        extra = server.received - before - recorded(tmp_path / "store")
        assert extra <= 3 * LANES * (3 if status == "failed" else 1)
    server.will()
    before, spent = server.received, counted(tmp_path / "store")
    result = succeeded(start("resume"))
    assert server.received - before == result["calls"] - result["presumed_spent"] - spent


@pytest.mark.fault(30)
def test_too_many_requests_for_a_while_is_waited_for(
    server: Server, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, seen: Callable[[str], None]
) -> None:
    before = server.received
    server.will(fail=429, times=LANES)
    result = succeeded(start())
    assert server.received - before == result["calls"] + LANES
    seen(f"{LANES} turned away, waited for, {result['calls']} calls counted")


@pytest.mark.fault(12)
def test_a_store_of_a_newer_version_is_refused(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with sqlite3.connect(store / "loopwright.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.execute(f"PRAGMA application_id = {APPLICATION + 9999}")
    for do in ("improve", "resume"):
        code, _, err = ended(start(do))
        assert code == 2
        assert "written by a newer Loopwright" in err


@pytest.mark.fault(6)
def test_a_full_disk_pauses_the_run_and_space_resumes_it(
    server: Server, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, seen: Callable[[str], None]
) -> None:
    store = tmp_path / "small"
    store.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", store], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        code, _, err = ended(start(store=store))
        assert code == 1
        assert "StoreFull: no space left" in err
        subprocess.run(["mount", "-o", "remount,size=64M", store], check=True)
        assert recorded(store) > 0
        before, safe = server.received, recorded(store)
        result = succeeded(start("resume", store=store))
        assert result["status"] == "done"
        again = server.received - before - (result["calls"] - result["presumed_spent"] - safe)
        assert again == 0, "something that was recorded was paid again"
        seen(f"1 MB disk: paused with {safe} answers safe; resumed with more space, none paid again")
    finally:
        subprocess.run(["umount", "-l", store], check=False)


@pytest.mark.fault(6)
def test_a_full_disk_where_the_result_goes_pauses_too(
    server: Server, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    out = tmp_path / "full"
    out.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", out], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        code, _, err = ended(start(out=str(out), numbered=False))
        assert code == 1
        assert "StoreFull: no space left to write" in err
        assert runs(tmp_path / "store")[0][0] == "paused"
        subprocess.run(["mount", "-o", "remount,size=64M", out], check=True)
        before = server.received
        assert succeeded(start("resume"))["status"] == "done"
        assert server.received == before
    finally:
        subprocess.run(["umount", "-l", out], check=False)


@pytest.mark.fault(11)
def test_a_task_that_changed_is_refused_at_resume(
    server: Server, start: Callable[..., subprocess.Popen[str]], task: Path
) -> None:
    process = start()
    assert server.wait_for(server.received + 10, process)
    process.kill()
    process.wait()
    lines = (task / "examples.jsonl").read_text().splitlines(keepends=True)
    before, changed = server.received, [lines[0].replace('"target": "', '"target": "1'), *lines[1:]]
    (task / "examples.jsonl").write_text("".join(changed))
    code, _, err = ended(start("resume"))
    assert code == 1
    assert "Diverged: run " in err and "changed since it began: examples." in err and "--fork" in err
    assert server.received == before
    (task / "examples.jsonl").write_text("".join(lines))
    succeeded(start("resume"))


def test_a_budget_too_small_for_the_baseline_says_what_is_needed(
    server: Server, start: Callable[..., subprocess.Popen[str]]
) -> None:
    before = server.received
    code, _, err = ended(start(budget={"calls": 10}))
    assert code == 2
    assert "the budget of 10 calls is too small" in err
    assert server.received == before
    needed = int(err.split("proving the result takes ")[1].split(" calls")[0])
    result = succeeded(start(budget={"calls": needed}))
    assert server.received - before == result["calls"] <= needed


@pytest.mark.fault(33)
@pytest.mark.parametrize("calls", [95, 130])
def test_a_budget_that_ends_in_the_middle_of_a_method_still_proves_the_result(
    calls: int, server: Server, start: Callable[..., subprocess.Popen[str]], seen: Callable[[str], None]
) -> None:
    before = server.received
    result = succeeded(start(budget={"calls": calls}))
    assert server.received - before == result["calls"] <= calls
    seen(f"cap of {calls} calls: {result['calls']} made")
    assert "budget: calls is capped" in result["reason"]
    assert result["final"]["n"] == result["baseline"]["n"] > 5
    assert os.path.exists(result["report"])
