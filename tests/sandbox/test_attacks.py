"""Real attacks, each run for real; all must be blocked and leave the host as it was."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopwright.sandbox import Limits, Sandbox, run_tests

Seen = Callable[[str], None]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(limits=Limits(seconds=20))
    yield sandbox
    sandbox.close()


def run(box: Sandbox, code: str, **options):
    return asyncio.run(box.run(code, **options))


@pytest.mark.parametrize("target", ["('192.0.2.1', 80)", "('127.0.0.1', {port})"])
def test_network_is_unreachable(box: Sandbox, target: str) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        target = target.format(port=server.getsockname()[1])
        outcome = run(box, f"import socket\nsocket.create_connection({target}, timeout=5)\nprint('through')")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert outcome.status == "error" and "through" not in outcome.stdout


@pytest.mark.parametrize("family", ["AF_VSOCK", "AF_NETLINK", "AF_PACKET"])
def test_other_sockets_are_refused(box: Sandbox, family: str) -> None:
    outcome = run(box, f"import socket\nsocket.socket(socket.{family}, socket.SOCK_RAW)")
    assert outcome.status == "error" and "Error: [Errno" in outcome.stderr


def test_host_files_are_not_there(box: Sandbox) -> None:
    secret = Path.home() / ".loopwright-test-secret"
    paths = ["/etc/shadow", "/etc/passwd", str(Path.home()), str(Path(__file__)), "/proc/1/environ", "/proc", "/sys"]
    secret.write_text("secret")
    try:
        code = f"import os\nfor path in {[*paths, str(secret)]!r}:\n    print(path, os.path.exists(path))"
        outcome = run(box, code)
    finally:
        secret.unlink()
    assert outcome.ok and outcome.stdout and "True" not in outcome.stdout


def test_host_environment_is_not_there(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPWRIGHT_TEST_KEY", "hunter2")
    sandbox = Sandbox(pool=0)
    outcome = run(sandbox, "import os\nprint(dict(os.environ))")
    sandbox.close()
    assert outcome.ok and "hunter2" not in outcome.stdout and "LOOPWRIGHT" not in outcome.stdout


def test_nothing_outside_the_folder_can_be_written(box: Sandbox) -> None:
    outcome = run(
        box,
        "import os, sys\n"
        "for path in ('/x', '/usr/x', '/etc/x', '/dev/x', '/python/lib/x', os.__file__, sys.executable, '/home/x'):\n"
        "    try:\n        open(path, 'a')\n        print('wrote', path)\n    except OSError:\n        pass\n"
        "open('here', 'w').write('x'); open('/tmp/there', 'w').write('x')\nprint('end')",
    )
    assert outcome.stdout == "end\n"
    assert not Path("/tmp/there").exists()


def test_symlinks_lead_nowhere(box: Sandbox) -> None:
    outcome = run(
        box,
        "import os\nos.symlink('/etc/shadow', 'a'); os.symlink('/', 'b'); os.symlink('../../../../root', 'c')\n"
        "for path in ('a', 'b/etc/shadow', 'b/home', 'c/.bashrc', 'b/proc/1/root/etc/shadow'):\n"
        "    print(os.path.exists(path))",
    )
    assert outcome.ok and "True" not in outcome.stdout


@pytest.mark.fault(35)
def test_fork_bomb(box: Sandbox, seen: Seen) -> None:
    outcome = run(box, "import os\nwhile True:\n    os.fork()")
    assert outcome.status == "pids"
    stubborn = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    assert run(box, stubborn, limits=Limits(seconds=1)).status == "pids"
    seen(f"fork bomb: ended as {outcome.status} after {outcome.seconds:.1f} s")


@pytest.mark.fault(35)
def test_thread_bomb(box: Sandbox) -> None:
    code = (
        "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    )
    assert run(box, code).status == "pids"


@pytest.mark.fault(35)
def test_memory_bomb(box: Sandbox, seen: Seen) -> None:
    outcome = run(box, "x = []\nwhile True:\n    x.append(bytearray(1 << 20))")
    assert outcome.status == "memory"
    seen(f"memory bomb: ended as {outcome.status} after {outcome.seconds:.1f} s")


@pytest.mark.fault(35)
def test_memory_spread_over_processes(box: Sandbox) -> None:
    code = (
        "import os, time\nfor i in range(8):\n    if os.fork() == 0:\n"
        "        x = b'x' * (100 << 20)\n        time.sleep(60)\ntime.sleep(60)"
    )
    assert run(box, code).status == "memory"


@pytest.mark.parametrize("code", ["import ctypes\nprint(ctypes.CDLL(None).memfd_create(b'x', 0))"])
def test_memory_of_no_process_is_refused(box: Sandbox, code: str) -> None:
    assert run(box, code).stdout == "-1\n"


@pytest.mark.fault(35)
def test_full_disk(box: Sandbox) -> None:
    code = "for i in range(99):\n    open(f'/tmp/{i}', 'wb').write(b'x' * (1 << 20))"
    outcome = run(box, code)
    assert outcome.status == "error" and "No space left" in outcome.stderr


@pytest.mark.fault(35)
@pytest.mark.parametrize("code", ["while True: pass", "import time\nwhile True: time.sleep(1)", "input()\ninput()"])
def test_endless_loops(box: Sandbox, code: str) -> None:
    outcome = run(box, code, limits=Limits(seconds=0.5))
    if code.startswith("input"):
        assert outcome.status == "error" and "EOFError" in outcome.stderr
    else:
        assert outcome.status == "timeout" and outcome.exit_code is None


def test_processor_time_is_capped(box: Sandbox) -> None:
    assert run(box, "while True: pass", limits=Limits(seconds=60, cpu_seconds=1)).status == "timeout"


@pytest.mark.fault(35)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_flood(box: Sandbox, stream: str, seen: Seen) -> None:
    outcome = run(box, f"import sys\nwhile True:\n    sys.{stream}.write('x' * 100000)", limits=Limits(output_kb=10))
    assert outcome.status == "output" and outcome.truncated
    assert len(outcome.stdout) + len(outcome.stderr) == 10 << 10
    seen(f"flood of {stream} at 10 KB: ended as {outcome.status}, {len(outcome.stdout) + len(outcome.stderr):,} bytes kept")


def test_host_processes_cannot_be_killed(box: Sandbox) -> None:
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        code = (
            f"import os, signal\nfor pid in [{victim.pid}, {os.getpid()}, *range(3, 70000)]:\n    try:\n"
            "        if pid != os.getpid():\n            os.kill(pid, 9)\n            print('hit', pid)\n"
            "    except OSError:\n        pass\nprint(os.getppid())\nos.kill(-1, 9)"
        )
        outcome = run(box, code)
        assert victim.poll() is None
        assert outcome.stdout in ("1\n", "")
    finally:
        victim.kill()
        victim.wait()


@pytest.mark.parametrize(
    "call",
    [
        "unshare(0x10000000)",  # a nested user namespace
        "unshare(0x00020000)",
        "setns(0, 0)",
        "ptrace(16, 1, 0, 0)",
        "mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "chroot(b'/tmp')",
        "syscall(56, 0x10000011, 0, 0, 0, 0)" if os.uname().machine == "x86_64" else "unshare(0x10000000)",
        "process_vm_readv(1, 0, 0, 0, 0, 0)",
        "setuid(0)",
    ],
)
def test_system_calls_are_refused(box: Sandbox, call: str) -> None:
    assert run(box, f"import ctypes\nprint(ctypes.CDLL(None).{call})").stdout == "-1\n"


def test_no_process_survives_the_run(box: Sandbox) -> None:
    marker = f"survivor-{os.getpid()}"
    code = (
        "import os, subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', {marker!r}], start_new_session=True)"
    )
    assert run(box, code).ok
    assert not processes_with(marker)


def processes_with(marker: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker in (entry / "cmdline").read_text():
                    found.append(entry.name)
            except OSError:
                continue
    return found


FORGERIES = {
    "prints a report": "print('deadbeef [0, null]')\nimport sys\nsys.stdout.flush()\ndef f(x): return 0",
    "ends the process": "import os\nos.write(1, b'[0, null]')\nos._exit(0)",
    "ends it when called": "import os\ndef f(x): os._exit(0)",
    "raises SystemExit": "def f(x): raise SystemExit(0)",
    "equal to everything": "class Yes:\n    def __eq__(self, other): return True\n    __hash__ = None\n"
    "    __bool__ = lambda self: True\ndef f(x): return Yes()",
    "an int equal to everything": "class Yes(int):\n    __eq__ = lambda self, other: True\ndef f(x): return Yes(0)",
    "patches builtins": "import builtins\nbuiltins.AssertionError = Warning\nbuiltins.isinstance = lambda *a: True\n"
    "builtins.repr = lambda x: '42'\ndef f(x): return 0",
    "shadows builtins": "def all(x): return True\nlen = any = abs = all\nAssertionError = ValueError\ndef f(x): return 0",
    "reads the frames": "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
    "        for value in frame.f_locals.values():\n            if 'nonce' in repr(value): print(value)\n"
    "        frame = frame.f_back\n    return 0",
    "leaves a module to import": "import os\nfor folder in ('.', '/tmp', '/tmp/work'):\n"
    "    open(folder + '/statistics.py', 'w').write('import os\\nos._exit(0)')\ndef f(x): return 0",
    "kills the judge": "import os\ndef f(x): os.kill(os.getppid(), 9)",
    "writes to every descriptor": "import os\nfor fd in range(100):\n    try: os.write(fd, b'{\"value\": 42}\\n')\n"
    "    except OSError: pass\ndef f(x): return 0",
    "names __builtins__": "globals()['__builtins__'] = {'AssertionError': None}\ndef f(x): return 0",
    "is traced": "import sys\nsys.settrace(lambda *a: None)\ndef f(x): return 0",
}


@pytest.mark.fault(43)
@pytest.mark.parametrize("name", FORGERIES)
def test_no_forged_report(box: Sandbox, name: str) -> None:
    tests = ["import statistics\nassert f(1) == 42", "assert all([f(2) == 42, False])", "assert [f(3)] == [42]"]
    report = asyncio.run(run_tests(box, FORGERIES[name], tests))
    if name == "writes to every descriptor":
        # The channel carries answers only: an early answer to a call is an answer, to that question, and no verdict.
        assert report.passed < report.total
    else:
        assert report.passed == 0, report
    assert report.total == 3 and len(report.failures) == report.total - report.passed
