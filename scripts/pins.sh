#!/usr/bin/env bash
# The pinned packages of `make demo`: their exact versions and hashes.
#
#   scripts/pins.sh lock    write requirements/*.txt anew from pyproject.toml and constraints.txt (needs the network)
#   scripts/pins.sh audit   look every pinned package up for known weaknesses (needs the network); one that cannot be
#                           looked up is an error
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
  lock) tool=uv ;;
  audit) tool=pip-audit ;;
  *) echo "pins: expected 'lock' or 'audit', got '${1:-}'" >&2; exit 2 ;;
esac

# Apart from the project's packages, so that it changes none of them.
tools=.venv/tools
[ -x "$tools/bin/python" ] || .venv/bin/python -m venv "$tools"
"$tools/bin/python" -m pip install --disable-pip-version-check --quiet --upgrade "$tool"

compile() {
  "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c constraints.txt "$@"
}

lock() {
  compile pyproject.toml --extra embedded --extra examples -o requirements/all.txt
  compile requirements/build.in --allow-unsafe -o requirements/build.txt
  "$tools/bin/python" - <<'PY'
"""Torch apart, with what only its CUDA builds need apart again: a build for processors alone needs none of that."""
import re
from pathlib import Path

here = Path("requirements")
blocks = re.split(r"(?m)^(?=[A-Za-z])", (here / "all.txt").read_text())
(here / "all.txt").unlink()
parts = {"torch": [], "cuda": [], "demo": []}
for block in filter(str.strip, blocks):
    name = re.match(r"[\w.-]+", block)[0]
    cuda = name == "triton" or name.startswith(("nvidia-", "cuda-"))
    parts["torch" if name == "torch" else "cuda" if cuda else "demo"].append(block)
# PyTorch's own index has builds for processors alone, which PyPI has not.
cpu = [line for line in (here / "torch-cpu.txt").read_text().split("\n") if line and not line.startswith("#")]
parts["torch"] = [parts["torch"][0].rstrip() + "".join(f" \\\n    --hash={line}" for line in cpu) + "\n"]
for part, found in parts.items():
    text = "# Written by scripts/pins.sh lock. Do not edit.\n" + "".join(found)
    (here / f"{part}.txt").write_text(text)
build = here / "build.txt"
build.write_text("# Written by scripts/pins.sh lock. Do not edit.\n" + build.read_text())
PY
  wc -l requirements/*.txt >&2
}

audit() {
  local file failed=0
  for file in requirements/{build,torch,cuda,demo}.txt; do
    printf '%s\n' "$file"
    "$tools/bin/pip-audit" --strict --disable-pip --require-hashes --progress-spinner off -r "$file" || failed=1
  done
  return "$failed"
}

"$1"
