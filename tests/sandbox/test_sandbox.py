"""What a sandbox promises to those who use it."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopwright.core.errors import InputError, SandboxError, SandboxMissing
from loopwright.sandbox import Limits, Outcome, Sandbox, probe, seccomp


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(limits=Limits(seconds=20))
    yield sandbox
    sandbox.close()


def test_code_files_argv_and_stdin(box: Sandbox) -> None:
    async def main() -> None:
        files = {"helper.py": "word = 'hé'", "data/raw.bin": b"\x00\xff"}
        code = "import helper\nprint(helper.word, open('data/raw.bin', 'rb').read(), input())"
        outcome = await box.run(code, files=files, stdin="given\n")
        assert (outcome.status, outcome.stdout) == ("ok", "hé b'\\x00\\xff' given\n")
        outcome = await box.run(argv=["python3", "helper.py"], files={"helper.py": "import sys; sys.exit(7)"})
        assert (outcome.status, outcome.exit_code) == ("error", 7)
        outcome = await box.run(argv=["no-such-program"])
        assert outcome.exit_code == 127 and "no-such-program" in outcome.stderr
        big = "x" * 3_000_000
        outcome = await box.run("import sys\nprint(len(sys.stdin.read()))", stdin=big)
        assert outcome.stdout == f"{len(big)}\n"

    asyncio.run(main())


def test_how_a_run_ends(box: Sandbox) -> None:
    def run(code: str) -> Outcome:
        return asyncio.run(box.run(code))

    assert run("exit(3)").exit_code == 3
    assert run("def f(:").status == "error"
    failed = run("def f():\n    1 / 0\nf()")
    assert failed.exit_code == 1 and failed.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert "_become_the_job" not in failed.stderr
    killed = run("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert (killed.status, killed.exit_code) == ("killed", 139)
    assert run("print('\udc80')").stdout == "?\n"
    assert run("import os\nos.write(1, b'\\xff')").stdout == "\ufffd"
    assert run("print(sorted(n for n in globals() if n[0] != '_'))").stdout == "[]\n"


def test_forty_at_once(box: Sandbox) -> None:
    # Each wants nearly its whole allowance of processes: a cap shared between sandboxes would fail some.
    code = (
        "import os, sys, time\nfor i in range(10):\n    if os.fork() == 0:\n        time.sleep(0.5)\n        os._exit(0)\n"
        "for i in range(10):\n    os.wait()\nprint(input())"
    )

    async def main() -> list[Outcome]:
        limits = Limits(seconds=60)
        return await asyncio.gather(*(box.run(code, stdin=f"{i}\n", limits=limits) for i in range(40)))

    outcomes = asyncio.run(main())
    assert [outcome.stdout for outcome in outcomes] == [f"{i}\n" for i in range(40)], outcomes


def test_several_loops_and_threads_share_one(box: Sandbox) -> None:
    found: list[str] = []

    def work(number: int) -> None:
        found.append(asyncio.run(box.run(f"print({number})")).stdout)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [f"{number}\n" for number in range(6)]


def test_a_warm_sandbox_keeps_nothing() -> None:
    async def main() -> None:
        async with Sandbox(pool=1) as box:
            dirty = "import builtins, os\nbuiltins.mark = 1\nopen('mark', 'w'); open('/tmp/mark', 'w')"
            look = "import builtins, os\nprint(hasattr(builtins, 'mark'), os.listdir('.'), os.listdir('/tmp'))"
            for _ in range(4):
                assert (await box.run(dirty)).ok
                assert (await box.run(look)).stdout == "False [] ['work']\n"

    asyncio.run(main())


def test_a_dead_warm_sandbox_is_replaced() -> None:
    async def main() -> None:
        async with Sandbox(pool=1) as box:
            for cell in box._pools[os.getpid()]._idle:
                cell.kill()
                await asyncio.to_thread(cell._process.wait)
                select.select([cell._init_fd], [], [])
            assert (await box.run("print(1)")).stdout == "1\n"

    asyncio.run(main())


def test_cancelling_kills_the_child(box: Sandbox) -> None:
    marker = f"cancelled-{os.getpid()}"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(600)', {marker!r}])"

    async def main() -> None:
        task = asyncio.create_task(box.run(code, limits=Limits(seconds=600)))
        await until(lambda: running(marker))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not running(marker))

    asyncio.run(main())


def test_children_die_with_their_parent() -> None:
    marker = f"orphan-{os.getpid()}"
    inner = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(600)', {marker!r}])"
    )
    outer = (
        "import asyncio\nfrom loopwright.sandbox import Limits, Sandbox\n"
        f"asyncio.run(Sandbox().run({inner!r}, limits=Limits(seconds=600)))"
    )
    parent = subprocess.Popen([sys.executable, "-c", outer])

    async def main() -> None:
        await until(lambda: len(running(marker)) > 1)  # the parent's own command line has it, too
        parent.kill()
        parent.wait()
        await until(lambda: not running(marker))

    asyncio.run(main())


async def until(condition) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not come about")


def running(marker: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.fault(36)
def test_without_bubblewrap_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxMissing, match="apt-get install bubblewrap"):
        Sandbox()
    found = probe()
    assert not found.isolated and "apt-get install bubblewrap" in found.problem


@pytest.mark.fault(36)
def test_where_bubblewrap_may_not_create_namespaces_it_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp())  # not tmp_path: root's sandboxes are started by a user who could not reach it
    folder.chmod(0o755)
    fake = folder / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    box = Sandbox()
    with pytest.raises(SandboxMissing, match=r"(?s)No permissions.*sysctl"):
        asyncio.run(box.run("print(1)"))
    box.close()
    shutil.rmtree(folder)


@pytest.mark.fault(36)
def test_unsafe_only_by_flag_and_with_a_warning() -> None:
    code = (
        "import asyncio, warnings\nfrom loopwright.sandbox import Limits, Sandbox\n"
        "box = Sandbox(unsafe=True)\n"
        "print(asyncio.run(box.run('print(open(\"a\").read())', files={'a': 'x'})).stdout)\n"
        "print(asyncio.run(box.run('while True: pass', limits=Limits(seconds=0.5))).status)\n"
        "print(asyncio.run(box.run('x = bytearray(1 << 30)')).status)\nbox.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PATH": ""})
    assert done.stdout.split() == ["x", "timeout", "memory"], done.stderr
    assert done.stderr.count("WITHOUT isolation") == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Sandbox().close()


def test_the_profile_is_whole_here() -> None:
    found = probe()
    assert found.isolated and found.network and found.files and found.namespaces and found.bubblewrap, found
    assert found.seccomp is (seccomp.program() is not None)
    assert found.identity == ("own uid" if os.geteuid() == 0 else "caller")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"code": "1", "argv": ["python3"]},
        {"argv": []},
        {"argv": "python3"},
        {"code": "1", "files": {"../x": ""}},
        {"code": "1", "files": {"/etc/x": ""}},
        {"code": "1", "files": {"": ""}},
        {"code": "1", "stdin": "x" * (17 << 20)},
    ],
)
def test_wrong_calls(box: Sandbox, options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        asyncio.run(box.run(**options))


@pytest.mark.parametrize("options", [{"seconds": 0}, {"seconds": float("nan")}, {"pids": -1}, {"memory_mb": "1"}])
def test_wrong_limits(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Limits(**options)


def test_closing_ends_what_runs() -> None:
    async def main() -> None:
        box = Sandbox()
        task = asyncio.create_task(box.run("import time\ntime.sleep(600)", limits=Limits(seconds=600)))
        await asyncio.sleep(0.2)
        box.close()
        box.close()
        with pytest.raises((SandboxError, asyncio.CancelledError)):
            await task
        with pytest.raises(SandboxError):
            await box.run("1")

    asyncio.run(main())


def test_nothing_is_left_by_a_process_that_ends_in_the_middle() -> None:
    marker = f"unclosed-{os.getpid()}"
    code = (
        "import asyncio\nfrom loopwright.sandbox import Sandbox\n"
        "asyncio.run(Sandbox(pool=3, readable=[FOLDER]).run('1'))"  # and is refilling its pool
    )
    folder = tempfile.mkdtemp(prefix=marker)
    os.chmod(folder, 0o755)
    code = code.replace("FOLDER", repr(folder))
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    asyncio.run(until(lambda: not running(marker)))
    os.rmdir(folder)


def test_a_forked_process_uses_its_own(box: Sandbox) -> None:
    asyncio.run(box.run("1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: what is tested
        child = os.fork()
    if child == 0:
        try:
            os._exit(0 if asyncio.run(box.run("print(1)")).stdout == "1\n" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert asyncio.run(box.run("print(2)")).stdout == "2\n"


def test_the_filter_is_well_formed() -> None:
    for machine in ("x86_64", "aarch64"):
        code = seccomp.program(machine)
        assert code is not None and len(code) % 8 == 0
    assert seccomp.program("other") is None
