"""Ctrl-C, SIGTERM and SIGHUP on real processes, and host programs that keep their signals."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from children import environment, on_terminal, piped, runs, task_folder

import loopwright
from fakes.openai_server import Server, completion, fails, serving
from loopwright.store import open_store

Seen = Callable[[str], None]
IMPROVE = ("improve", "echo", "--change", "prompt", "--method", "few-shot")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def model(server: Server) -> tuple[str, str]:
    return ("--model", f"openai:m@{server.url}")


def recorded(at: Path) -> tuple[int, int]:
    """Paid calls in the store: done, and open (begun, and not known to have ended)."""
    store = open_store(at / "kept" / "loopwright.db")
    try:
        found = [effect.status for effect in store.effects(store.run("last").id) if effect.kind == "generate"]
    finally:
        store.close()
    return found.count("done"), found.count("open")


# ---- once, twice ------------------------------------------------------------------------------------------------------


@pytest.mark.fault(39)
def test_ctrl_c_once_finishes_what_is_in_flight_and_records_it(tmp_path: Path, server: Server, seen: Seen) -> None:
    task_folder(tmp_path)
    server.will(1.0)
    with on_terminal(tmp_path, *IMPROVE, *model(server)) as child:
        child.read(lambda: len(server.bodies) >= 5)
        child.press()
        code, seconds = child.ended()
    served, (done, left_open) = len(server.bodies), recorded(tmp_path)
    assert code == 130 and b"resume with: loopwright resume " in child.said and b"Traceback" not in child.said
    assert served == done and not left_open
    assert [run["status"] for run in runs(tmp_path)] == ["paused"]
    server.will(completion)
    assert piped(tmp_path, "resume", "last").returncode == 0
    again = len(server.bodies) - served
    assert recorded(tmp_path) == (served + again, 0)
    seen(f"once: {served} calls served, {done} recorded, exit {code} after {seconds:.1f} s; resumed to the end, none paid twice")


@pytest.mark.fault(39)
def test_ctrl_c_twice_gives_up_what_is_in_flight_and_stays_resumable(tmp_path: Path, server: Server, seen: Seen) -> None:
    task_folder(tmp_path)
    server.will(600.0)  # a server that hangs
    with on_terminal(tmp_path, *IMPROVE, *model(server)) as child:
        child.read(lambda: len(server.bodies) >= 5)
        child.press()
        child.read(lambda: b"press Ctrl-C again" in child.said)
        child.press()
        code, seconds = child.ended()
    assert code == 130 and b"resume with: loopwright resume " in child.said and b"Traceback" not in child.said
    assert [(run["status"], run["reason"]) for run in runs(tmp_path)] == [("paused", "interrupted")]
    given_up = recorded(tmp_path)[1]
    server.will(completion)
    done = piped(tmp_path, "resume", "last", "--json")
    assert done.returncode == 0, done.stderr
    assert given_up and json.loads(done.stdout)["presumed_spent"] == given_up
    seen(f"twice, server hangs: exit {code} after {seconds:.1f} s; resumed to the end, {given_up} told as perhaps paid twice")


NEVER_ENDS = """import threading, time
def answer(request, index):
    if not threading.active_count() > 8:
        threading.Thread(target=time.sleep, args=(600,)).start()
    print("asked", flush=True)
    time.sleep(0.2)
    return "?"
"""


@pytest.mark.fault(39)
@pytest.mark.parametrize("times", [1, 2])
def test_a_thread_that_does_not_end_does_not_hold_up_the_end(tmp_path: Path, seen: Seen, times: int) -> None:
    task_folder(tmp_path)
    (tmp_path / "holding.py").write_text(NEVER_ENDS)
    with on_terminal(tmp_path, *IMPROVE, "--model", "scripted:holding:answer") as child:
        child.read(lambda: child.said.count(b"asked") > 2)
        child.press()
        if times == 2:
            child.read(lambda: b"press Ctrl-C again" in child.said)
            child.press()
        code, seconds = child.ended()
    assert code == 130 and b"Traceback" not in child.said
    assert [run["status"] for run in runs(tmp_path)] == ["paused"]
    seen(f"Ctrl-C {times} times beside a thread that sleeps for 600 s: exit {code} after {seconds:.1f} s, run paused")


@pytest.mark.fault(39)
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_sigterm_and_sighup_are_as_one_ctrl_c_however_often(tmp_path: Path, server: Server, seen: Seen, name: str) -> None:
    task_folder(tmp_path)
    server.will(1.0)
    number = signal.Signals[name]
    with on_terminal(tmp_path, *IMPROVE, *model(server)) as child:
        child.read(lambda: len(server.bodies) >= 5)
        for _ in range(3):
            child.kill(number)
        code, _ = child.ended()
    assert code == 128 + number and b"Traceback" not in child.said
    assert recorded(tmp_path) == (len(server.bodies), 0)
    assert [(run["status"], run["reason"]) for run in runs(tmp_path)] == [("paused", f"stopped by {name}")]
    seen(f"{name} three times: exit {code}, {len(server.bodies)} calls served and recorded")


@pytest.mark.fault(39, 82)
def test_a_closed_terminal_drains_the_run(tmp_path: Path, server: Server, seen: Seen) -> None:
    task_folder(tmp_path)
    server.will(1.0)
    with on_terminal(tmp_path, *IMPROVE, *model(server)) as child:
        child.read(lambda: len(server.bodies) >= 5)
        child.hang_up()
        code = child.process.wait(60)
    assert code == 129
    assert recorded(tmp_path) == (len(server.bodies), 0)
    assert [run["status"] for run in runs(tmp_path)] == ["paused"]
    seen(f"terminal closed: exit {code}, {len(server.bodies)} calls served and recorded, run paused")


# ---- during a wait ----------------------------------------------------------------------------------------------------


@pytest.mark.fault(80)
@pytest.mark.parametrize("wait", ["Retry-After", "queue"])
def test_one_ctrl_c_ends_a_wait(tmp_path: Path, server: Server, seen: Seen, wait: str) -> None:
    """Calls that wait to be made again after an hour, or for their turn behind others that do."""
    task_folder(tmp_path)
    server.will(fails(429, "slow down", Retry_After="300"))
    behind = ",concurrency=1" if wait == "queue" else ""
    with on_terminal(tmp_path, *IMPROVE, "--model", f"openai:m@{server.url}{behind}") as child:
        child.read(lambda: len(server.bodies) >= 1)
        child.press()
        code, seconds = child.ended()
    assert code == 130 and seconds < 60 and b"Traceback" not in child.said  # the wait is 300 s
    assert [run["status"] for run in runs(tmp_path)] == ["paused"]
    server.will(completion)
    done = piped(tmp_path, "resume", "last", "--json")
    assert done.returncode == 0 and not json.loads(done.stdout)["presumed_spent"]
    seen(f"{wait}, 300 s: one Ctrl-C ended it after {seconds:.1f} s; resumed to the end")


@pytest.mark.fault(80)
def test_one_ctrl_c_ends_what_has_not_begun_yet(tmp_path: Path, seen: Seen) -> None:
    task_folder(tmp_path)
    slow = "import time\nprint('loading it', flush=True)\ntime.sleep(600)\ndef answer(r, i): return ''\n"
    (tmp_path / "loading.py").write_text(slow)
    with on_terminal(tmp_path, *IMPROVE, "--model", "scripted:loading:answer") as child:
        child.read(lambda: b"loading it" in child.said)
        child.press()
        code, seconds = child.ended()
    assert code == 130 and b"Traceback" not in child.said
    seen(f"while a model was loaded: exit {code} after {seconds:.1f} s")


@pytest.mark.fault(49, 80)
def test_what_was_billed_before_a_wait_is_recorded(tmp_path: Path, seen: Seen) -> None:
    """A server that bills each call and then cuts the connection; Ctrl-C comes while the calls wait to be made again."""
    billed, counting = [0], threading.Lock()

    class Cuts(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with counting:
                billed[0] += 1
            self.connection.close()

        def log_message(self, *given: object) -> None:
            pass

    task_folder(tmp_path, examples=80)
    with ThreadingHTTPServer(("127.0.0.1", 0), Cuts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with on_terminal(tmp_path, *IMPROVE, "--model", f"openai:m@http://127.0.0.1:{server.server_port}/v1") as child:
            child.read(lambda: billed[0] >= 30)
            child.press()
            code, seconds = child.ended()
        server.shutdown()
    store = open_store(tmp_path / "kept" / "loopwright.db")
    try:
        calls = sum(effect.cost.calls for effect in store.effects(store.run("last").id))
    finally:
        store.close()
    assert code == 130 and calls == billed[0]
    seen(f"connections cut, Ctrl-C while retrying: exit after {seconds:.1f} s, {billed[0]} billed, {calls} recorded")


@pytest.mark.fault(80)
def test_one_ctrl_c_ends_the_wait_for_a_check(tmp_path: Path, server: Server, seen: Seen) -> None:
    """Answers wait to be judged one after the other by a check that takes its time; only the one at work is waited for."""
    folder = task_folder(tmp_path, examples=400)
    task = (folder / "task.toml").read_text()
    (folder / "task.toml").write_text(task.replace('kind = "exact"', 'kind = "python"\nfunction = "check.py:check"'))
    slow = "import time\ndef check(output, example):\n    time.sleep(3)\n    return True\n"
    (folder / "check.py").write_text(slow)
    with on_terminal(tmp_path, *IMPROVE, *model(server)) as child:
        child.read(lambda: len(server.bodies) > 40)
        child.press()
        code, seconds = child.ended(90)  # the rest would take two minutes
    assert code == 130 and b"Traceback" not in child.said and b"resume with" in child.said
    assert recorded(tmp_path) == (len(server.bodies), 0)
    seen(f"{len(server.bodies)} answers that wait for a check of 3 s each: one Ctrl-C ended it after {seconds:.1f} s")


@pytest.mark.fault(80)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_an_answer_that_waits(tmp_path: Path, server: Server, seen: Seen, number: signal.Signals) -> None:
    task_folder(tmp_path, examples=80)
    assert piped(tmp_path, *IMPROVE, *model(server), "--out", "out").returncode == 0
    asked = len(server.bodies)
    server.will(fails(429, "slow down", Retry_After="300"))
    with on_terminal(tmp_path, "answer", "-a", "out/artifact", *model(server), "why?") as child:
        child.read(lambda: len(server.bodies) > asked)
        child.kill(number)
        code, seconds = child.ended()
    assert code == 128 + number and b"stopped" in child.said and b"Traceback" not in child.said
    seen(f"answer, Retry-After of 300 s: {number.name} ended it after {seconds:.1f} s, exit {code}")


@pytest.mark.fault(80)
def test_one_ctrl_c_ends_the_wait_for_a_person(tmp_path: Path, server: Server, seen: Seen) -> None:
    """The question whether an artifact may use the server that it names."""
    task_folder(tmp_path, examples=80)
    assert piped(tmp_path, *IMPROVE, *model(server), "--out", "out").returncode == 0
    asked = len(server.bodies)
    with on_terminal(tmp_path, "answer", "-a", "out/artifact", "why?") as child:
        child.read(lambda: b"[y/N]" in child.said)
        child.press()
        code, seconds = child.ended()
    assert code == 130 and b"stopped" in child.said and b"Traceback" not in child.said and len(server.bodies) == asked
    seen(f"a question to the person at the terminal: exit {code} after {seconds:.1f} s, nothing sent")


WATCHES = """
import loopwright.blocks.watching as watching
once = watching.watch
def again_and_again(*given, **named):
    print("begun", flush=True)
    while True:
        once(*given, **named)
watching.watch = again_and_again
from loopwright.cli import main
main()
"""


@pytest.mark.fault(80)
def test_one_ctrl_c_ends_watch(tmp_path: Path, seen: Seen) -> None:
    """A command without a run computes in the main thread."""
    with on_terminal(tmp_path, "watch", "naive-sgd", "--world", "blobs:examples=20", code=WATCHES) as child:
        child.read(lambda: b"begun" in child.said)
        child.press()
        code, seconds = child.ended()
    assert code == 130 and b"stopped" in child.said and b"Traceback" not in child.said
    seen(f"watch: exit {code} after {seconds:.1f} s")


# ---- hosts ------------------------------------------------------------------------------------------------------------

HOST = """
import asyncio, os, signal, threading, time
from loopwright.improve.job import run_improve
got, sent = [], 0
def mine(number, frame): got.append(number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, mine)
def send(number):
    global sent
    sent += 1
    os.kill(os.getpid(), number)
    while len(got) < sent:
        time.sleep(.001)
def poke(type, payload):
    if type == "baseline" and payload["split"] == "gate":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            send(number)
def job(n):
    return run_improve("echo", change=("prompt",), only=("few-shot",), model="scripted:echoing:answer", out=f"out{n}",
                       store_path=f"kept{n}/", progress=poke)
HOW
assert all(signal.getsignal(n) is mine for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
send(signal.SIGINT)
print(len(got), "signals,", status)
"""
WAYS = {
    "asyncio.run": "status = asyncio.run(job(0))['status']",
    "a thread": "def work(): status.append(asyncio.run(job(1))['status'])\nstatus = []\n"
    "t = threading.Thread(target=work); t.start(); t.join(); status = status[0]",
    "a loop with handlers": "async def main():\n    loop, mine_too = asyncio.get_running_loop(), []\n"
    "    loop.add_signal_handler(signal.SIGUSR1, mine_too.append, 1)\n    result = await job(2)\n"
    "    os.kill(os.getpid(), signal.SIGUSR1)\n    await asyncio.sleep(.1)\n    assert mine_too\n    return result['status']\n"
    "status = asyncio.run(main())",
}


@pytest.mark.fault(67)
@pytest.mark.parametrize("way", list(WAYS))
def test_a_host_keeps_its_handlers(tmp_path: Path, seen: Seen, way: str) -> None:
    task_folder(tmp_path, examples=80)
    (tmp_path / "echoing.py").write_text("def answer(request, index): return '?'\n")
    code = HOST.replace("HOW", WAYS[way])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "5 signals, done"), done.stderr[-2000:]
    seen(f"run in {way}: 5 of 5 signals reached the host's handlers; the run ended as done")


@pytest.mark.fault(67)
def test_only_the_command_line_handles_signals_or_ends_the_process(seen: Seen) -> None:
    """In all else of the package; scripts that other processes run are their own."""
    root, wrong, read = Path(loopwright.__file__).parent, [], 0
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if name == "cli/interrupts.py" or path.name in ("_worker.py", "_runner.py", "_judge.py", "_program.py"):
            continue
        read += 1
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            taken = called.startswith("signal.") and called.split(".")[1] in ("signal", "set_wakeup_fd", "setitimer", "alarm")
            if taken or called.endswith("add_signal_handler") or called == "os._exit":
                wrong.append(f"{name}:{getattr(node, 'lineno', 0)}: {called}")
    assert not wrong
    seen(f"{read} files outside the command line: none takes a signal or calls os._exit")


CANCELS = """
import asyncio
from loopwright.improve.job import resume_improve, run_improve
async def main():
    begun = asyncio.Event()
    task = asyncio.create_task(run_improve("echo", change=("prompt",), only=("few-shot",), model=MODEL, out="out",
                                           store_path="kept/", progress=lambda type, payload: type == "spent" and begun.set()))
    await begun.wait()
    await asyncio.sleep(.3)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled", end=" ")
    task = asyncio.create_task(resume_improve("last", store_path="kept/"))
    print((await task)["status"])
asyncio.run(main())
"""


@pytest.mark.fault(67)
def test_a_task_that_is_cancelled_leaves_a_run_to_go_on_with(tmp_path: Path, server: Server, seen: Seen) -> None:
    task_folder(tmp_path, examples=80)
    server.steps = [0.1]
    code = CANCELS.replace("MODEL", repr(f"openai:m@{server.url}"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "cancelled done"), done.stderr[-2000:]
    seen("a host's task cancelled in mid-run: CancelledError, and the run resumed to its end in the same process")


STOPS = """
import asyncio, threading
from loopwright.core.errors import Paused
from loopwright.core.stopping import stoppable
from loopwright.improve.job import run_improve
with stoppable() as stop:
    def told(type, payload):
        if type == "baseline":
            threading.Thread(target=stop.ask, args=("shutting down",)).start()
    try:
        asyncio.run(run_improve("echo", change=("prompt",), only=("few-shot",), model=MODEL, out="out", store_path="kept/",
                                progress=told))
    except Paused as error:
        print(error)
"""


def test_a_host_asks_for_a_stop_in_its_own_way(tmp_path: Path, server: Server) -> None:
    task_folder(tmp_path)
    server.steps = [0.1]
    code = STOPS.replace("MODEL", repr(f"openai:m@{server.url}"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "shutting down"), done.stderr[-2000:]
    assert recorded(tmp_path) == (len(server.bodies), 0)
    assert [(run["status"], run["reason"]) for run in runs(tmp_path)] == [("paused", "shutting down")]


def test_nohup_stays_nohup(tmp_path: Path, server: Server) -> None:
    """A signal that was ignored when the command began is not handled."""
    task_folder(tmp_path)
    server.will(0.2)
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\nfrom loopwright.cli import main; main()"
    with on_terminal(tmp_path, *IMPROVE, *model(server), code=ignoring) as child:
        child.read(lambda: len(server.bodies) >= 5)
        child.kill(signal.SIGHUP)
        code, _ = child.ended()
    assert code == 0 and [run["status"] for run in runs(tmp_path)] == ["done"]
