"""How long Loopwright takes to load, and what it loads: fresh processes, median of several, peers beside it.

    python benchmarks/imports.py [--json] [--runs 7]

Python's own start is measured in the same way and taken off, so the figures are what an import adds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

AIM_SECONDS = 0.3
AIM_COMMAND_SECONDS = 0.5
FORBIDDEN = (
    "torch", "transformers", "peft", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "sqlalchemy", "aiohttp",
    "httpx", "openai", "anthropic", "litellm",
)  # fmt: skip
PEERS = ("gepa", "dspy", "litellm", "inspect_ai")
# What people import first; the package itself loads its parts on first use.
WORK = "from loopwright import Budget, Candidate, Example, Gate, improver, solver"


def timed(command: Sequence[str], runs: int) -> float:
    """Median wall seconds. The first run fills the disk cache and is not counted. Raises on a failing command."""
    seconds = []
    for number in range(runs + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if number:
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def loaded(statement: str) -> set[str]:
    """Top-level modules in a fresh process after a statement."""
    code = f"{statement}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def peers(runs: int, bare: float) -> dict[str, Any]:
    """Seconds by peer, or why there is none."""
    found: dict[str, Any] = {}
    for name in PEERS:
        if find_spec(name) is None:
            found[name] = "not installed"
            continue
        try:
            found[name] = round(timed([sys.executable, "-c", f"import {name}"], runs) - bare, 3)
        except subprocess.CalledProcessError as error:
            found[name] = f"import failed: {error.stderr.decode(errors='replace').strip().splitlines()[-1]}"
    return found


def measure(runs: int) -> dict[str, Any]:
    bare = timed([sys.executable, "-c", "pass"], runs)
    script = str(Path(sys.executable).with_name("loopwright"))
    core = loaded(WORK)
    result: dict[str, Any] = {
        "python_seconds": round(bare, 3),
        "import_seconds": round(timed([sys.executable, "-c", "import loopwright"], runs) - bare, 3),
        "core_seconds": round(timed([sys.executable, "-c", WORK], runs) - bare, 3),
        "help_seconds": round(timed([script, "--help"], runs), 3),
        "list_seconds": round(timed([script, "list"], runs), 3),
        "heavy_after_import": sorted(loaded("import loopwright") & set(FORBIDDEN)),
        "heavy_after_core": sorted(core & set(FORBIDDEN)),
        "modules_after_core": len(core),
        "aim": {"import_seconds": AIM_SECONDS, "command_seconds": AIM_COMMAND_SECONDS},
        "runs": runs,
        "peers": peers(max(3, runs // 2), bare),
    }
    times = {name: seconds for name, seconds in result["peers"].items() if isinstance(seconds, float)}
    # Against the whole core: the bare import loads almost nothing, and nobody stops there.
    result["core_ratio_to_peers"] = {name: round(result["core_seconds"] / s, 3) for name, s in times.items()}
    result["holds"] = bool(
        max(result["import_seconds"], result["core_seconds"]) < AIM_SECONDS
        and max(result["help_seconds"], result["list_seconds"]) < AIM_COMMAND_SECONDS
        and not {"torch", "transformers"} & core
        and not result["heavy_after_import"]
    )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=7, help="processes for each figure")
    given = parser.parse_args()
    result = measure(given.runs)
    if given.json:
        print(json.dumps(result))
        return
    print(f"{'python itself':<28} {result['python_seconds']:6.3f} s")
    print(f"{'import loopwright':<28} {result['import_seconds']:6.3f} s   aim {AIM_SECONDS} s")
    print(f"{'its core (Gate, solver, ...)':<28} {result['core_seconds']:6.3f} s   aim {AIM_SECONDS} s")
    print(f"{'loopwright --help':<28} {result['help_seconds']:6.3f} s   aim {AIM_COMMAND_SECONDS} s")
    print(f"{'loopwright list':<28} {result['list_seconds']:6.3f} s   aim {AIM_COMMAND_SECONDS} s")
    print(f"heavy modules: after import {result['heavy_after_import']}, after the core {result['heavy_after_core']}")
    for name, seconds in result["peers"].items():
        ratio = result["core_ratio_to_peers"].get(name)
        said = f"{seconds:6.3f} s   our core takes {ratio:.2f} of it" if ratio is not None else seconds
        print(f"{'import ' + name:<28} {said}")


if __name__ == "__main__":
    main()
