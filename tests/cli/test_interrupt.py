"""Ctrl-C: the run pauses, the command says how to go on, and going on ends as it would have ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

TASK = """name = "echo"
[prompt]
instruction = "Say it."
[examples]
file = "examples.jsonl"
[checker]
kind = "exact"
"""
BOT = """import time
def answer(request, index):
    time.sleep(0.02)
    print("asked", flush=True, file=__import__("sys").stderr)
    return request.turns[-1].text.split()[0] if len(request.turns) > 1 else "?"
"""


def test_ctrl_c_pauses_and_resume_finishes(tmp_path: Path) -> None:
    task = tmp_path / "echo"
    task.mkdir()
    (task / "task.toml").write_text(TASK)
    lines = [json.dumps({"id": f"e{i}", "input": f"w{i}", "target": f"w{i}"}) for i in range(120)]
    (task / "examples.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "slowbot.py").write_text(BOT)
    command = [sys.executable, "-c", "from loopwright.cli import main; main()"]
    settings = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path), "LOOPWRIGHT_STORE": "kept/"}}
    started = subprocess.Popen(
        [*command, "improve", "echo", "--change", "prompt", "--model", "scripted:slowbot:answer", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings,  # type: ignore[call-overload]
    )  # fmt: skip
    assert started.stderr is not None
    while "asked" not in started.stderr.readline():
        assert started.poll() is None
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert json.loads(out)["error"]["type"] == "Paused"
    assert "resume with: loopwright resume " in err
    done = subprocess.run([*command, "resume", "last", "--json"], capture_output=True, text=True, check=False, **settings)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "done"
    assert (tmp_path / "out" / "echo" / "report.html").is_file()
