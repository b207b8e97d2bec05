"""Whole runs whose store is moved or may not grow, and runs that are killed: what the user sees, and what is paid again."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_faults import LANES, Server, ended, recorded, server, shared, start, succeeded, task  # noqa: F401

Start = Callable[..., "subprocess.Popen[str]"]
Seen = Callable[[str], None]


def status(store: Path) -> tuple[str, str]:
    """What `loopwright runs` says of the only run."""
    said = subprocess.run(
        [sys.executable, "-c", "from loopwright.cli import main; main()", "runs", "--json", "--store", store],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(said.stdout)
    (run,) = found["runs"] if isinstance(found, dict) else found
    return run["status"], run["reason"]


@pytest.mark.fault(61)
def test_a_killed_run_is_shown_as_killed(server: Server, start: Start, tmp_path: Path, seen: Seen) -> None:  # noqa: F811
    store = tmp_path / "store"
    before = server.received
    server.will(latency=0.5)  # so that it lives while it is looked at
    process = start()
    assert server.wait_for(before + 5, process)
    assert status(store)[0] == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    told, reason = status(store)
    assert told == "killed"
    assert "loopwright resume" in reason
    server.will()
    assert succeeded(start("resume"))["status"] == "done"
    assert status(store)[0] == "done"
    seen("kill -9: running, then killed, then done after resume")


@pytest.mark.fault(64)
@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_store_that_goes_during_a_run_pauses_it(
    server: Server, start: Start, tmp_path: Path, how: str, seen: Seen  # noqa: F811
) -> None:
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    before = server.received
    server.will(latency=0.1)
    process = start()
    assert server.wait_for(before + 20, process)
    if how == "moved":
        store.rename(elsewhere)
    else:
        shutil.rmtree(store)
    at = server.received
    code, _, err = ended(process)
    assert code == 1
    assert "StoreMoved" in err
    assert "while it was in use" in err
    assert "Traceback" not in err
    later = server.received - at
    assert later <= 2 * LANES, "it went on paying for what it could not keep"
    assert not store.exists()
    server.will()
    if how == "moved":
        safe = recorded(elsewhere)
        sent = server.received
        result = succeeded(start("resume", store=elsewhere))
        again = server.received - sent - (result["calls"] - result["presumed_spent"] - safe)
        assert again == 0, "something that was recorded was paid again"
    seen(f"{how}: {later} calls in flight ended, no further one was made")


@pytest.mark.fault(66)
def test_a_limit_on_the_size_of_files_pauses_a_run(server: Server, start: Start, tmp_path: Path, seen: Seen) -> None:  # noqa: F811
    store = tmp_path / "store"
    code, _, err = ended(start(largest_file=400_000))
    assert code == 1
    assert "StoreFull" in err
    assert "ulimit -f" in err
    assert "Traceback" not in err
    safe, before = recorded(store), server.received
    told = status(store)
    assert told[0] in ("paused", "killed")
    result = succeeded(start("resume"))
    assert result["status"] == "done"
    assert server.received - before == result["calls"] - result["presumed_spent"] - safe, "something was paid again"
    seen(f"files of at most 400 kB: {told[0]} with {safe} answers safe, resumed without the limit, none paid again")
