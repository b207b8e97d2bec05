"""Content-addressed bytes: a folder ``blobs/ab/<sha256>``, or a dictionary for tests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from loopwright.core.errors import InputError, StoreCorrupt, StoreError
from loopwright.store.faults import translate
from loopwright.store.modes import FILE, private_folder

_HASH = re.compile(r"[0-9a-f]{64}")


def _checked(hash: str) -> str:
    if not _HASH.fullmatch(hash):
        raise InputError(f"a blob is named by 64 lower-case hexadecimal digits, got {hash!r}")
    return hash


def blob_files(folder: Path) -> Iterator[Path]:
    """The files in a folder of blobs that are named as blobs are."""
    return (file for file in sorted(folder.glob("??/*")) if _HASH.fullmatch(file.name) and file.is_file())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FileBlobs:
    """Blobs in a folder. A blob is whole or not there: temporary file, fsync, rename, fsync of the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, hash: str) -> Path:
        return self.folder / hash[:2] / hash

    def put(self, data: bytes) -> str:
        """Durable once it returns the SHA-256 (hex). Raises StoreFull or StoreError."""
        hash = hashlib.sha256(data).hexdigest()
        target = self.path(hash)
        temporary = None
        try:
            if target.exists() and hashlib.sha256(target.read_bytes()).hexdigest() == hash:
                with contextlib.suppress(OSError):
                    os.utime(target)  # as new as if it had been written now, so that a vacuum under way leaves it
                return hash
            private_folder(target.parent)
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=target.parent)
            os.fchmod(handle, FILE)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            temporary = None
            for folder in (target.parent, self.folder, self.folder.parent):
                _sync_folder(folder)
        except OSError as error:
            raise translate(error, target, 0.0) from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
        return hash

    def get(self, hash: str) -> bytes:
        """Raises StoreError where there is no such blob, StoreCorrupt where its bytes are not those that were put."""
        path = self.path(_checked(hash))
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(f"there is no blob {hash} in {self.folder}") from None
        except OSError as error:
            raise translate(error, path, 0.0) from error
        if (found := hashlib.sha256(data).hexdigest()) != hash:
            raise StoreCorrupt(
                f"{path} is damaged: its bytes hash to {found[:12]}… ({len(data)} bytes). "
                "Restore it from a copy, or delete it and let the run make it again"
            )
        return data


class MemoryBlobs:
    """Blobs that live as long as this object."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        hash = hashlib.sha256(data).hexdigest()
        self._data[hash] = bytes(data)
        return hash

    def get(self, hash: str) -> bytes:
        try:
            return self._data[_checked(hash)]
        except KeyError:
            raise StoreError(f"there is no blob {hash} in this memory store") from None
