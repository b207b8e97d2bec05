"""Going on with a fit that was killed: its state on disk, from time to time, until it is done.

A file is 32 bytes of SHA-256 and safetensors. Its name is the hash of the job, of the model and of how passes are cut, so
a file that is found belongs to exactly this work.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save
from torch import Tensor

from loopwright.core.errors import StoreCorrupt
from loopwright.core.model import FitJob
from loopwright.training import lora

FORMAT = 1
SUFFIX = ".fit"
STALE = 14 * 86400.0  # seconds after which a file that nobody came back for is removed
SHARE = 0.05  # of the time may go into writing: a large state is written less often than asked for


class Saved(NamedTuple):
    """What was written: tensors by name and plain data."""

    tensors: dict[str, Tensor]
    plain: dict[str, Any]


class Checkpoint:
    """At most one file for a job.

    folder: where. every: seconds between two writings. key: of the model, and whatever else decides a fit's numbers
    beside the job. say: told of damage.
    """

    def __init__(self, folder: Path, every: float, job: FitJob, key: str, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._every = every
        self._job = job
        self._key = key
        self._say = say
        self._path: Path | None = None
        self._last = time.monotonic()

    @property
    def path(self) -> Path:
        if self._path is None:
            content = hashlib.sha256(f"{FORMAT} {self._key} ".encode() + self._job.model_dump_json().encode())
            self._path = self._folder / f"{content.hexdigest()[:32]}{SUFFIX}"
        return self._path

    def read(self) -> Saved | None:
        """What was left of this job, if it is whole."""
        # A short fit must not pay for the hash of its data: most often there is nothing in the folder at all.
        if not self._folder.is_dir() or not any(self._folder.glob(f"*{SUFFIX}")) or not self.path.exists():
            return None
        try:
            raw = self.path.read_bytes()
            if hashlib.sha256(raw[32:]).digest() != raw[:32]:
                raise StoreCorrupt("its hash is not that of its content")
            tensors, metadata = lora.read(raw[32:])
            return Saved(tensors, json.loads(metadata["plain"]))
        except (OSError, StoreCorrupt, KeyError, ValueError) as error:
            self._say(f"the checkpoint {self.path} is damaged ({error}): this fit starts from its beginning")
            return None

    def due(self) -> bool:
        return time.monotonic() - self._last >= self._every

    def write(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Replace what was written before; a kill in the middle leaves that in place."""
        begun = time.monotonic()
        content = save(
            {n: t.detach().cpu().contiguous() for n, t in tensors.items()}, metadata={"plain": json.dumps(plain)}
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix="writing-", delete=False) as file:
                scratch = Path(file.name)
                try:
                    file.write(hashlib.sha256(content).digest() + content)
                    file.flush()
                    os.fsync(file.fileno())
                    os.replace(scratch, self.path)
                except BaseException:
                    scratch.unlink(missing_ok=True)
                    raise
        except OSError as error:  # a full disk must not end a fit that needs no disk
            self._say(f"no checkpoint was written in {self._folder}: {error}")
        self._sweep()
        self._last = time.monotonic()
        self._every = max(self._every, (self._last - begun) / SHARE) if self._every else 0.0

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        for path in (*self._folder.glob(f"*{SUFFIX}"), *self._folder.glob("writing-*")):
            try:
                if time.time() - path.stat().st_mtime > STALE:
                    path.unlink()
            except OSError:
                pass  # another process was quicker
