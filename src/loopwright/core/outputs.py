"""Files and folders that are written for a user: whether a place can be written to, and how a file is written whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from loopwright.core.errors import InputError


def check_folder(path: Path | str, name: str) -> None:
    """Whether files can be put into a folder, which need not be there yet.

    Args:
        path: the folder.
        name: what the user calls it, such as ``--out``.

    Raises:
        InputError: it is a file, lies below one, or may not be written to.
    """
    here = _named(path, name)
    if here.exists() and not here.is_dir():
        raise InputError(f"{name}: {path} is a file, expected a folder; give another name, such as {path}-out")
    _check_parents(here, path, name)


def check_file(
    path: Path | str, name: str, *, force: bool = True, ours: Callable[[bytes], bool] = lambda start: False
) -> None:
    """Whether a file can be written.

    Args:
        path: the file.
        name: what the user calls it, such as ``--out``.
        force: whether a file that is there already may be replaced.
        ours: whether a file that is there already was written by the same command, told by how it begins (its first 64 KiB); such
            a file may be replaced without ``force``.

    Raises:
        InputError: it is a folder, lies below a file, may not be written, or is there already and may not be replaced.
    """
    here = _named(path, name)
    if here.is_dir():
        raise InputError(f"{name}: {path} is a folder, expected a file; give the file's name too, such as {Path(path) / 'FILE'}")
    if here.exists() and not os.access(here, os.W_OK):
        raise InputError(f"{name}: {path} may not be written to; give another file, or change its permissions")
    if here.is_file() and not force and not _begins(here, ours):
        raise InputError(f"{name}: {path} is there already, and is not replaced; give another name, or add --force to replace it")
    if is_special(here):
        return
    _check_parents(here.resolve().parent, path, name)


def _named(path: Path | str, name: str) -> Path:
    """The place that a user named. Raises InputError for what can be no name, and for a link to nothing."""
    here = Path(path).expanduser().absolute()
    try:
        os.lstat(here)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{name}: {str(path)[:80]!r} cannot be a name: {why}; give another one") from None
    for place in (here, *here.parents):
        if place.is_symlink() and not place.exists():
            raise InputError(f"{name}: {place} is a link to {os.readlink(place)}, which is not there; give another name")
    return here


def is_special(path: Path) -> bool:
    """Whether there is something that is written into and never replaced: a device such as /dev/stdout, a pipe, a socket."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _begins(path: Path, ours: Callable[[bytes], bool]) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
    except OSError:
        return False
    return not start or ours(start)  # an empty file, as mktemp makes, has nothing to lose


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, for nobody but the user (mode 700)."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is not a folder")


def write_file(path: Path, chunks: Iterable[str | bytes], *, scratch: str = "", new: bool = False) -> None:
    """Write a file whole or not at all: a temporary file beside it, flushed to the disk, then renamed.

    Args:
        path: the file. What a link names is written, not the link (but with ``scratch``); devices and pipes are written into.
        chunks: its text (as UTF-8) or bytes, part by part.
        scratch: name of the temporary file, where a caller cleans up after a process that was killed; one that is there is
            written over. A new file is then its owner's alone (600), whatever the umask.
        new: refuse where something is there by the time that all is written: two commands may have begun at once.

    Raises:
        OSError: it cannot be written; what was there before is still there.
        InputError: with ``new``, something is there by now.
    """
    if not scratch:
        path = Path(os.path.realpath(path))
    if not path.is_symlink() and is_special(path):
        with path.open("wb") as file:
            file.writelines(chunk.encode() if isinstance(chunk, str) else chunk for chunk in chunks)
        return
    make_folder(path.parent)
    name = path.with_name(scratch or f".loopwright-{secrets.token_hex(8)}")
    how = os.O_TRUNC | os.O_NOFOLLOW if scratch else os.O_EXCL
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600 if scratch else 0o666)
    try:
        if path.exists() and not path.is_symlink():
            os.fchmod(handle, stat.S_IMODE(path.stat().st_mode))
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk.encode() if isinstance(chunk, str) else chunk)
            file.flush()
            os.fsync(file.fileno())
        if new:
            _only_there(name, path)
        else:
            os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync(path.parent)


def _only_there(name: Path, path: Path) -> None:
    """Rename where nothing has the new name. Where the file system knows no hard links, that is looked at just before."""
    taken = InputError(f"{path} was written by somebody else meanwhile, and is not replaced; give another name")
    try:
        os.link(name, path)
    except FileExistsError:
        raise taken from None
    except OSError:
        if os.path.lexists(path):
            raise taken from None
        os.replace(name, path)
        return
    os.unlink(name)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _check_parents(folder: Path, path: Path | str, name: str) -> None:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        raise InputError(f"{name}: {path} lies below {there}, which is a file; give a place below a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{name}: {path} cannot be written: the folder {there} may not be written to; give another one")
    try:  # permissions do not tell of a disk that is full or read-only, nor of folders such as /proc
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"0")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InputError(f"{name}: {path} cannot be written: nothing can be put into {there} ({why}); give another one") from None
