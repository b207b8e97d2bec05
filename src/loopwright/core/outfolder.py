"""The folder that a run leaves its results in: reserved for one run, and nothing is replaced in it that the run did not write."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopwright.core.errors import FolderTaken, InputError
from loopwright.core.outputs import check_folder, make_folder, sync, write_file

MARKER = ".loopwright-run.json"
_FORMAT = 1
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class _Marker:
    """What the marker file says: whose the folder is, and what was written into it.

    files: SHA-256 (hex) of each file by its path in the folder; two where a new one was about to take the place of an old one.
    building: folders of ours that were not finished.
    """

    run: str = ""
    files: Mapping[str, Collection[str]] = field(default_factory=dict)
    building: Collection[str] = ()

    @classmethod
    def read(cls, folder: Path) -> _Marker | None:
        """None where there is none. Raises ValueError for one that is damaged."""
        try:
            handle = os.open(folder / MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(str(error)) from None
        with os.fdopen(handle, "rb") as file:
            said = json.loads(file.read())
        run, files, building = said["run"], said["files"], said["building"]
        named = [*files, *building]
        plain = all(isinstance(n, str) and n and not n.startswith("/") and ".." not in n.split("/") for n in named)
        plain = plain and all(n.startswith(".") and n.endswith(".building") and "/" not in n for n in building)
        if said["format"] != _FORMAT or not isinstance(run, str) or not plain:
            raise ValueError("it was written by another version, or changed by hand")
        return cls(run, {str(name): [str(d) for d in digests] for name, digests in files.items()}, tuple(building))

    def write(self, folder: Path) -> None:
        files = {name: sorted(set(digests)) for name, digests in sorted(self.files.items())}
        told = {"format": _FORMAT, "run": self.run, "files": files, "building": sorted(self.building)}
        scratch = f"{MARKER}.building"
        if os.path.lexists(folder / scratch) and ((folder / scratch).is_symlink() or not (folder / scratch).is_file()):
            scratch = _scratch(MARKER)
        write_file(folder / MARKER, [json.dumps(told, indent=1) + "\n"], scratch=scratch)


class OutFolder:
    """A folder that one run writes into; made by ``reserve``. It is locked until ``close``, or until the process ends."""

    def __init__(self, path: Path, handle: int, marker: _Marker) -> None:
        self.path = path
        self._handle = handle
        self._marker = marker
        self._made = False

    @property
    def run(self) -> str:
        """The run that the folder belongs to; "" until ``claim``."""
        return self._marker.run

    def claim(self, run: str) -> None:
        """Write down whose the folder is. What an earlier run left in it, and nobody changed, is removed."""
        if self._marker.run and self._marker.run != run:
            for name in sorted({name.partition("/")[0] for name in self._marker.files}):
                self.remove(name)
        for name in self._marker.building:
            self._clear(self.path / name)
        self._save(run=run, building=())

    def write(self, name: str, data: str | bytes) -> Path:
        """Write a file, whole or not at all; see ``place`` for its name. Returns its path."""
        path = self.place(name)
        content = data.encode() if isinstance(data, str) else data
        hashed, scratch = hashlib.sha256(content).hexdigest(), _scratch(path.name)
        self._note({path.name: hashed}, scratch)
        write_file(path, [content], scratch=scratch)
        self._settle({path.name: hashed}, scratch)
        return path

    def place(self, name: str) -> Path:
        """Where a file or folder of this name goes: ``NAME-2`` and so on where something is there that this run did not write."""
        path, number = self.path / name, 1
        while os.path.lexists(path) and not self._ours(path):
            number += 1
            path = (self.path / name).with_name(f"{Path(name).stem}-{number}{Path(name).suffix}")
        return path

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """An empty folder to fill, which takes its place (see ``place``) when it is whole, and is gone after an error."""
        place = self.place(name)
        building = self.path / _scratch(place.name)
        self._save(building={*self._marker.building, building.name})
        building.mkdir(mode=0o700)
        try:
            yield building
            made = digests(building)
            for inside in building.rglob("*"):
                if not inside.is_symlink():
                    inside.chmod(0o700 if inside.is_dir() else 0o600)
                sync(inside)
            new = {f"{place.name}/{path}": hashed for path, hashed in made.items()}
            self._note(new, building.name)
            if os.path.lexists(place):
                self._drop(place)
            os.rename(building, place)
            sync(self.path)
            self._settle(new, building.name, below=f"{place.name}/")
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    def remove(self, name: str) -> bool:
        """Remove a file or folder if it is just what a run wrote here. Returns whether it is gone."""
        path = self.path / name
        if os.path.lexists(path):
            if not self._ours(path):
                return False
            self._drop(path)
        self._save(files={n: d for n, d in self._marker.files.items() if n != name and not n.startswith(f"{name}/")})
        return True

    def close(self) -> None:
        """Give the folder free. One that was made for a run that never began is removed again."""
        if self._handle < 0:
            return
        if not self._marker.run:
            with contextlib.suppress(OSError):
                (self.path / MARKER).unlink()
                if self._made:
                    self.path.rmdir()
        os.close(self._handle)
        self._handle = -1

    def __enter__(self) -> OutFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- what is ours -----------------------------------------------------------------------------------------------------

    def _ours(self, path: Path) -> bool:
        """Whether all of it is just what a run wrote here: no file more, none changed, no link."""
        if path.is_symlink():
            return False
        if not path.is_dir():
            return path.is_file() and _hash(path) in self._marker.files.get(path.name, ())
        try:
            found = digests(path)
        except ValueError:
            return False
        known, parents = self._marker.files, {parent for name in found for parent in (path / name).parents}
        own = all(hashed in known.get(f"{path.name}/{name}", ()) for name, hashed in found.items())
        return bool(found) and own and all(p in parents for p in path.rglob("*") if p.is_dir())

    def _drop(self, path: Path) -> None:
        """Remove what ``_ours`` knows. Files one by one, so that what is put there meanwhile stays."""
        if not path.is_dir():
            path.unlink()
            return
        for name in digests(path):
            (path / name).unlink()
        for folder in sorted((p for p in path.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
            folder.rmdir()
        path.rmdir()

    def _clear(self, building: Path) -> None:
        """What is left of a file or folder that this program was killed while it wrote."""
        if not os.path.lexists(building):
            return
        if building.is_symlink() or not building.is_dir():
            building.unlink()
        else:
            shutil.rmtree(building)

    def _note(self, new: Mapping[str, str], building: str) -> None:
        """Before the files are there, so that they are known as ours whenever this process is killed."""
        files = {**self._marker.files, **{name: {*self._marker.files.get(name, ()), d} for name, d in new.items()}}
        self._save(files=files, building={*self._marker.building, building})

    def _settle(self, new: Mapping[str, str], building: str, below: str = "") -> None:
        kept = {n: d for n, d in self._marker.files.items() if not below or not n.startswith(below)}
        files = {**kept, **{name: [hashed] for name, hashed in new.items()}}
        self._save(files=files, building={*self._marker.building} - {building})

    def _save(self, **changes: Any) -> None:
        now = {"run": self._marker.run, "files": self._marker.files, "building": self._marker.building, **changes}
        self._marker = _Marker(**now)
        self._marker.write(self.path)


def reserve(
    path: Path | str, *, names: Collection[str] = (), numbered: bool = False, run: str = "", force: bool = False,
    name: str = "--out",
) -> OutFolder:
    """Reserve a folder for one run. Two runs that begin at the same moment never get the same one.

    Args:
        path: the folder; it is made, for the user alone, where it is not there.
        names: what the run will write: something of such a name that is there already, and that no run wrote, is an error.
        numbered: take the first of ``PATH``, ``PATH-2``, ``PATH-3`` that is free.
        run: a run that is gone on with: a folder that belongs to it already is its own, and nothing in the way is an error.
        force: take a folder over from an earlier run that has ended. What that run wrote and nobody changed will be removed.
        name: what the user calls it.

    Raises:
        FolderTaken: it belongs to another run, or holds what is in the way; the message says what to type.
        InputError: nothing can be written there.
    """
    check_folder(path, name)
    first = Path(path).expanduser().absolute()
    if not numbered:
        return _reserved(first, names, run, force, name)
    number, here = 1, first
    while True:
        new = not os.path.lexists(here)
        if new or (run and (here == first or _belongs(here, run))):
            with contextlib.suppress(FolderTaken):
                return _reserved(here, names, run, False, name, new=new)
        number += 1
        here = first.with_name(f"{first.name}-{number}")


def _belongs(path: Path, run: str) -> bool:
    try:
        marker = _Marker.read(path)
    except _DAMAGED:
        return False
    return marker is not None and marker.run == run


def _beside(path: Path) -> str:
    """A free name beside a folder, as it can be typed: from where the program is, where the folder is below that."""
    number = next(n for n in itertools.count(2) if not os.path.lexists(path.with_name(f"{path.name}-{n}")))
    other = path.with_name(f"{path.name}-{number}").absolute()
    here = Path.cwd()
    return shlex.quote(str(other.relative_to(here) if other.is_relative_to(here) else other))


def _reserved(path: Path, names: Collection[str], run: str, force: bool, name: str, *, new: bool = False) -> OutFolder:
    made = not path.exists()
    if made:
        make_folder(path.parent)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            made = False
    if new and not made:
        raise FolderTaken(f"{name}: {path} is there already")
    another = f"give another one, such as {name} {_beside(path)}"
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderTaken(f"{name}: a run is writing into {path} now; {another}") from None
        except OSError:  # no locks on this file system: the marker alone must do
            pass
        try:
            marker = _Marker.read(path)
        except _DAMAGED as error:
            raise FolderTaken(f"{name}: {path / MARKER} cannot be read ({error}); {another}") from None
        if marker is not None and marker.run and marker.run != run and not force:
            raise FolderTaken(
                f"{name}: {path} has the results of run {marker.run[:13]}, which are not replaced; {another}, or add --force "
                "to remove what that run left there"
            )
        out = OutFolder(path, handle, marker or _Marker())
        out._made = made
        for there in names:
            if os.path.lexists(path / there) and not out._ours(path / there):
                if run:  # what was paid for is written beside it
                    continue
                raise FolderTaken(
                    f"{name}: {path / there} is there already, not just as a run wrote it, so it is not replaced; {another}"
                )
        try:
            out._save()
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise InputError(f"{name}: {path} cannot be written: {why}; make room there, or {another}") from None
        return out
    except BaseException:
        os.close(handle)
        raise


def _scratch(name: str) -> str:
    """The name of something that is not finished. Never one that is there."""
    return f".{name}.{secrets.token_hex(4)}.building"


# ---- files ------------------------------------------------------------------------------------------------------------


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path in it. Raises ValueError where there is a link or something else."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path} is neither a file nor a folder")
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = _hash(path)
    return found


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
