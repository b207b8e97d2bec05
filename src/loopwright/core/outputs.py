"""Whether a place can be written to, asked before anything is spent."""

from __future__ import annotations

import os
import tempfile
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
    here = Path(path).expanduser().absolute()
    if here.exists() and not here.is_dir():
        raise InputError(f"{name}: {path} is a file, expected a folder; give another name, such as {path}-out")
    _check_parents(here, path, name)


def check_file(path: Path | str, name: str) -> None:
    """Whether a file can be written, which may be there already.

    Args:
        path: the file.
        name: what the user calls it, such as ``--out``.

    Raises:
        InputError: it is a folder, lies below a file, or may not be written.
    """
    here = Path(path).expanduser().absolute()
    if here.is_dir():
        raise InputError(f"{name}: {path} is a folder, expected a file; give the file's name too, such as {Path(path) / 'FILE'}")
    if here.exists() and not os.access(here, os.W_OK):
        raise InputError(f"{name}: {path} may not be written to; give another file, or change its permissions")
    _check_parents(here.parent, path, name)


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
