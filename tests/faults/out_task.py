"""A small task with a program that answers it, and the command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import loopwright

SOURCE = Path(loopwright.__file__).parents[1]
START = "import sys; from loopwright.cli.main import main; main()"
BOT = "def answer(request, index):\n    return request.turns[-1].text.split()[0] if len(request.turns) > 1 else '?'\n"


def echo(at: Path, more: str = "") -> Path:
    """A task in ``at``/echo that few-shot solves, with asked.py beside it, whose function answers."""
    task = at / "echo"
    task.mkdir(parents=True)
    text = 'name = "echo"\n[prompt]\ninstruction = "Say it."\n[examples]\nfile = "examples.jsonl"\n[checker]\nkind = "exact"\n'
    (task / "task.toml").write_text(text + more)
    lines = [json.dumps({"id": f"e{i}", "input": f"w{i}", "target": f"w{i}"}) + "\n" for i in range(120)]
    (task / "examples.jsonl").write_text("".join(lines))
    for place in (at, task):
        (place / "asked.py").write_text(BOT)
    return task


def begin(at: Path, *words: str | Path, code: str = START, **environment: str) -> subprocess.Popen[bytes]:
    """Start a command; it is waited for, or killed, by who started it."""
    own = {**os.environ, "COLUMNS": "200", "PYTHONPATH": f"{SOURCE}{os.pathsep}{at}", **environment}
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(command, cwd=at, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=own)


def ran(at: Path, *words: str | Path, **more: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    process = begin(at, *words, **more)
    out, err = process.communicate(timeout=120)
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


IMPROVE = ("improve", "echo", "--change", "prompt", "--model", "scripted:asked:answer", "--method", "few-shot", "--json")
