"""How long a sandbox takes from the call to the end of a program that prints one line, and how many attacks it stops.

    python benchmarks/sandbox.py --json

Milliseconds, medians and 90th percentiles: plain Python without any isolation; a cold sandbox at full isolation; a
warm one (started ahead, used once). ``first_line`` stops the clock at the program's first line, by the program's own
clock, which is the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from loopwright.sandbox import Limits, Sandbox, probe

LINE = "import time\nprint(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)"
ATTACKS = {
    "network": ("import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=2)\nprint('through')", "error"),
    "shadow": ("print(open('/etc/shadow').read(1), 'through')", "error"),
    "home": (f"import os\nos.listdir({str(Path.home())!r})\nprint('through')", "error"),
    "write": ("open('/usr/x', 'w')\nprint('through')", "error"),
    "proc": ("print(open('/proc/1/environ').read(), 'through')", "error"),
    "symlink": ("import os\nos.symlink('/etc/shadow', 'a')\nprint(open('a').read(), 'through')", "error"),
    "kill": (f"import os\nos.kill({os.getpid()}, 0)\nprint('through')", "error"),
    "namespace": ("import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0\nprint('through')", "error"),
    "ptrace": ("import ctypes\nassert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0\nprint('through')", "error"),
    "fork": ("import os\nwhile True: os.fork()", "pids"),
    "memory": ("x = []\nwhile True: x.append(bytearray(1 << 20))", "memory"),
    "loop": ("while True: pass", "timeout"),
    "sleep": ("import time\nwhile True: time.sleep(1)", "timeout"),
    "flood": ("while True: print('x' * 1000)", "output"),
}


def summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": round(statistics.median(ordered) * 1e3, 2),
        "p90_ms": round(ordered[int(len(ordered) * 0.9)] * 1e3, 2),
    }


async def timed(box: Sandbox, runs: int) -> dict[str, dict[str, float]]:
    whole, first = [], []
    for _ in range(runs):
        await box.warm()
        began = time.clock_gettime(time.CLOCK_MONOTONIC)
        outcome = await box.run(LINE)
        whole.append(time.clock_gettime(time.CLOCK_MONOTONIC) - began)
        first.append(float(outcome.stdout) - began)
    return {"first_line": summary(first), "whole_run": summary(whole)}


def plain(runs: int) -> dict[str, dict[str, float]]:
    whole, first = [], []
    for _ in range(runs):
        began = time.clock_gettime(time.CLOCK_MONOTONIC)
        line = subprocess.run([sys.executable, "-I", "-S", "-c", LINE], capture_output=True, check=True).stdout
        whole.append(time.clock_gettime(time.CLOCK_MONOTONIC) - began)
        first.append(float(line) - began)
    return {"first_line": summary(first), "whole_run": summary(whole)}


async def attacked() -> list[str]:
    blocked = []
    async with Sandbox(limits=Limits(seconds=3)) as box:
        for name, (code, status) in ATTACKS.items():
            outcome = await box.run(code)
            if outcome.status == status and "through" not in outcome.stdout:
                blocked.append(name)
    return blocked


async def measured(runs: int) -> dict[str, object]:
    found: dict[str, object] = {"plain_python": plain(runs)}
    async with Sandbox(pool=0) as box:
        await box.run("pass")
        found["cold"] = await timed(box, runs)
    async with Sandbox(pool=2) as box:
        found["warm"] = await timed(box, runs)
        began = time.perf_counter()
        await asyncio.gather(*(box.run(LINE) for _ in range(runs)))
        found["runs_per_second"] = round(runs / (time.perf_counter() - began), 1)
    blocked = await attacked()
    return {
        **found,
        "attacks": len(ATTACKS),
        "attacks_blocked": len(blocked),
        "let_through": [*set(ATTACKS) - set(blocked)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    profile = probe()
    found = {
        "runs": arguments.runs,
        "isolated": profile.isolated,
        **asyncio.run(measured(arguments.runs)),
    }
    print(json.dumps(found, indent=None if arguments.json else 2))


if __name__ == "__main__":
    main()
