#!/usr/bin/env bash
# Sets up .venv so that the project runs. Safe to repeat: a second run with nothing changed takes seconds.
#
#   scripts/setup.sh        what `make demo` needs: the package, torch, the embedded model
#   scripts/setup.sh dev    and what tests, lint and the documentation need
#
# PYTHON=/path/to/python3.12   use this interpreter
# LOOPWRIGHT_SKIP_MODEL=1      do not fetch the embedded model
# LOOPWRIGHT_UNLOCKED=1        take other builds of the pinned versions too, such as those of a mirror of one's own
#
# What `make demo` needs is installed by requirements/*.txt: exact versions, and files whose SHA-256 is listed there, nothing else.
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
  { cat pyproject.toml constraints.txt requirements/*.txt; "$python" -V; pwd; printf '%s\n' "$1"; } | "$python" -c \
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

# The packages of requirements/NAME.txt, and only files with a hash that is listed there.
install_locked() {
  if [ -n "${LOOPWRIGHT_UNLOCKED:-}" ]; then
    sed -E 's/ *\\$//; /^ *--hash/d' "requirements/$1.txt" >".venv/$1.txt"
    pip_install --no-deps --no-build-isolation -r ".venv/$1.txt"
  else
    pip_install --no-deps --no-build-isolation --require-hashes -r "requirements/$1.txt" || die \
      "the packages of requirements/$1.txt could not be installed (see above)." \
      "If an index of your own has other builds of them and you trust it, type:  LOOPWRIGHT_UNLOCKED=1 scripts/setup.sh"
  fi
}

# Torch as pip chooses it, checked afterwards: told of hashes, pip would pass over a build for processors alone that an index or a
# folder of one's own offers, and take gigabytes of CUDA.
install_torch() {
  local pin file hash
  pin="$(grep -oE '^torch==[^ ]+' requirements/torch.txt)"
  if "$python" - "$pin" <<'PY'
import sys
from importlib.metadata import PackageNotFoundError, version
try:
    sys.exit(version("torch").split("+")[0] != sys.argv[1].split("==")[1])
except PackageNotFoundError:
    sys.exit(1)
PY
  then return; fi
  rm -rf .venv/downloads
  "$python" -m pip download --disable-pip-version-check --quiet --no-deps --dest .venv/downloads "$pin" >&2
  file="$(echo .venv/downloads/torch-*)"
  hash="$("$python" -c 'import hashlib, sys; print(hashlib.file_digest(open(sys.argv[1], "rb"), "sha256").hexdigest())' "$file")"
  grep -q "sha256:$hash" requirements/torch.txt || [ -n "${LOOPWRIGHT_UNLOCKED:-}" ] \
    || die "${file##*/} is none of the builds that requirements/torch.txt lists: its SHA-256 is $hash." \
      "If you trust where it comes from, type:  LOOPWRIGHT_UNLOCKED=1 scripts/setup.sh"
  pip_install --no-deps "$file"
  rm -rf .venv/downloads
}

# Builds of torch with CUDA need packages that builds for processors alone do not.
torch_needs_cuda() {
  "$python" -c '
import sys
from importlib.metadata import requires
sys.exit(not any(need.startswith(("nvidia", "cuda")) and "extra ==" not in need for need in requires("torch") or ()))'
}

stamp=".venv/.loopwright-$level"
want="$(stamp_of "$extras")"
if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
  say "installing loopwright and what it needs ($extras)"
  install_locked build
  install_torch
  if torch_needs_cuda; then install_locked cuda; fi
  ensure_compiler
  install_locked demo
  pip_install --no-deps --no-build-isolation -e .
  [ "$level" = run ] || pip_install -c constraints.txt -e ".[$extras]"
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
