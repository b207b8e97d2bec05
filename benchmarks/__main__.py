"""Every benchmark of this folder, one at a time, each in a process of its own: python -m benchmarks [--json] [NAME ...]"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> int:
    names = sorted(path.stem for path in HERE.glob("[!_]*.py"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one object: a result, or an error, by name")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {', '.join(names)}")
    given = parser.parse_args()
    for name in given.names:
        if name not in names:
            parser.error(f"no benchmark {name!r}; there are {', '.join(names)}")
    results: dict[str, Any] = {}
    failed = []
    for name in given.names or names:
        command = [sys.executable, str(HERE / f"{name}.py")]
        if given.json:
            done = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, text=True)
            results[name] = json.loads(done.stdout) if not done.returncode else {"error": f"exit code {done.returncode}"}
        else:
            print(f"\n== {name}", flush=True)
            done = subprocess.run(command)
        if done.returncode:
            failed.append(name)
    if given.json:
        print(json.dumps(results, indent=2))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
