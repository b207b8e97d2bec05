#!/usr/bin/env bash
# Sets up .venv so that the project runs. Safe to repeat: a second run with nothing changed takes seconds.
#
#   scripts/setup.sh        what `make demo` needs: the package, torch, the embedded model
#   scripts/setup.sh dev    and what tests, lint and the documentation need
#
# PYTHON=/path/to/python3.12   use this interpreter
# LOOPWRIGHT_SKIP_MODEL=1      do not fetch the embedded model
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

level="${1:-run}"
case "$level" in
  run) extras="embedded,examples" ;;
  dev) extras="embedded,examples,dev,docs" ;;
  *) echo "setup: expected 'run' or 'dev', got '$level'" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$@" >&2; exit 1; }

apt_updated=no
# Installs Debian packages when that is possible without asking anybody; says so by its exit status.
apt_install() {
  command -v apt-get >/dev/null || return 1
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
  fi
  say "installing $* with apt-get"
  if [ "$apt_updated" = no ]; then
    ${as_root[@]+"${as_root[@]}"} apt-get update -qq >&2 || true
    apt_updated=yes
  fi
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null 2>&1 \
    | { grep -E '^(E|W):' >&2 || true; }
}

recent_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14; do
    if command -v "$name" >/dev/null && recent_enough "$name"; then
      command -v "$name"
      return
    fi
  done
  return 1
}

# ---- the virtual environment ------------------------------------------------------------------------------------------

if ! recent_enough .venv/bin/python; then
  if ! python="$(find_python)"; then
    apt_install python3 python3-venv || true
    python="$(find_python)" || die "Loopwright needs Python 3.11 or newer and found none." \
      "On Debian 12, Ubuntu 24.04 or newer type:  sudo apt-get install python3 python3-venv"
  fi
  say "creating .venv with $python ($("$python" -V))"
  rm -rf .venv
  if ! "$python" -m venv .venv >/dev/null 2>&1; then
    # Debian ships Python without ensurepip; the package that has it is named after the minor version.
    minor="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    apt_install "python$minor-venv" || apt_install python3-venv \
      || die "this Python cannot make virtual environments. Type:  sudo apt-get install python$minor-venv"
    rm -rf .venv
    "$python" -m venv .venv >&2 || die "could not create .venv with $python; set PYTHON=/path/to/another/python3"
  fi
fi
python=.venv/bin/python

# ---- packages ---------------------------------------------------------------------------------------------------------

stamp_of() {
  { cat pyproject.toml constraints.txt; "$python" -V; pwd; printf '%s\n' "$1"; } | "$python" -c \
    'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

pip_install() {
  local quiet=(--quiet)
  [ -t 2 ] && quiet=()
  "$python" -m pip install --disable-pip-version-check --use-pep517 ${quiet[@]+"${quiet[@]}"} "$@" >&2
}

# Reasoning Gym, which the examples draw their questions from, needs one package that comes as C source only.
ensure_compiler() {
  local minor header
  minor="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  header="$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"
  "$python" -c 'import pycosat' 2>/dev/null && return
  if command -v cc >/dev/null && [ -f "$header" ]; then return; fi
  apt_install gcc libc6-dev "python$minor-dev" \
    || die "a C compiler is needed. Type:  sudo apt-get install gcc libc6-dev python$minor-dev"
}

install_torch() {
  local pin
  pin="$(grep -E '^torch==' constraints.txt)"
  if "$python" - "$pin" <<'PY'
import sys
from importlib.metadata import PackageNotFoundError, version
try:
    sys.exit(version("torch").split("+")[0] != sys.argv[1].split("==")[1])
except PackageNotFoundError:
    sys.exit(1)
PY
  then return; fi
  say "installing $pin"
  pip_install "$pin"
}

stamp=".venv/.loopwright-$level"
want="$(stamp_of "$extras")"
if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
  # torch first and alone: the others then find it in place.
  install_torch
  ensure_compiler
  say "installing loopwright and what it needs ($extras)"
  pip_install -c constraints.txt -e ".[$extras]"
  printf '%s\n' "$want" >"$stamp"
  [ "$level" = run ] || stamp_of "embedded,examples" >.venv/.loopwright-run
fi

# ---- the sandbox for model-written code -------------------------------------------------------------------------------

if ! command -v bwrap >/dev/null && [ "$(uname -s)" = Linux ]; then
  apt_install bubblewrap || {
    say "bubblewrap is not installed, so tasks that run code will refuse to."
    say "Type:  sudo apt-get install bubblewrap"
  }
fi

# ---- the embedded model -----------------------------------------------------------------------------------------------

if [ -z "${LOOPWRIGHT_SKIP_MODEL:-}" ]; then
  .venv/bin/loopwright model fetch >/dev/null
fi
