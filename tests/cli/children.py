"""The command line as a real process: on a terminal of its own or on pipes, sent signals, and read to its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import loopwright

START = "from loopwright.cli import main; main()"
CTRL_C = b"\x03"
TASK = """name = {name}
[prompt]
instruction = "Say it."
[examples]
file = "examples.jsonl"
[checker]
kind = "exact"
[answer]
max_tokens = 8
"""


def task_folder(at: Path, name: str = "echo", examples: int = 120, more: str = "") -> Path:
    folder = at / "echo"
    folder.mkdir(parents=True)
    named = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")  # as TOML writes it
    (folder / "task.toml").write_text(TASK.format(name=named) + more, encoding="utf-8")
    lines = [json.dumps({"id": f"e{i}", "input": f"w{i}", "target": f"w{i}"}) + "\n" for i in range(examples)]
    (folder / "examples.jsonl").write_text("".join(lines))
    return folder


def environment(at: Path, **more: str) -> dict[str, str]:
    source = str(Path(loopwright.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{at}", "LOOPWRIGHT_STORE": "kept/", "COLUMNS": "120", **more}


def piped(at: Path, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", START, *words], cwd=at, capture_output=True, env=environment(at, **more))


def runs(at: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(piped(at, "runs", "--json").stdout)
    return found


class Terminal:
    """A process whose input and output are a terminal. ``said`` is all that came out so far."""

    def __init__(self, at: Path, *words: str, code: str = START, **more: str) -> None:
        self.said = b""
        self._there, theirs = os.openpty()
        own = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"  # the terminal whose Ctrl-C it gets
        self.process = subprocess.Popen(
            [sys.executable, "-c", own + code, *words], cwd=at, env=environment(at, **more), start_new_session=True,
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)

    def read(self, until: Callable[[], bool], seconds: float = 60.0) -> None:
        """Read on until something holds, or the process ends."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, self.said[-2000:].decode(errors="replace")
            if select.select([self._there], [], [], 0.05)[0]:
                try:
                    came = os.read(self._there, 1 << 16)
                except OSError:  # the other end is closed
                    return
                if not came:
                    return
                self.said += came

    def press(self, keys: bytes = CTRL_C) -> None:
        os.write(self._there, keys)

    def kill(self, number: int) -> None:
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed: the kernel sends SIGHUP."""
        os.close(self._there)

    def ended(self, seconds: float = 60.0) -> tuple[int, float]:
        """Its exit code (negative: the signal that killed it), and how long it took from now."""
        began = time.monotonic()
        with contextlib.suppress(OSError):
            self.read(lambda: False, seconds)
        code = self.process.wait(seconds)
        return code, time.monotonic() - began


@contextlib.contextmanager
def on_terminal(at: Path, *words: str, code: str = START, **more: str) -> Iterator[Terminal]:
    child = Terminal(at, *words, code=code, **more)
    try:
        yield child
    finally:
        child.process.kill()
        child.process.wait()
        with contextlib.suppress(OSError):
            child.hang_up()
