"""The control groups that this program runs in: read, never made or changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NO_LIMIT = 1 << 60  # version 1 writes "none" as a number of pages near 2^63


@dataclass(frozen=True, slots=True)
class Group:
    """The narrowest limits around this program. Sandboxes and what the kernel holds for them count towards them.

    memory: bytes, or None where no group limits them. pids: processes and threads, or None. folder: of the group that limits
    memory, else of the one that this program is in; "" where there are no control groups.
    """

    memory: int | None = None
    pids: int | None = None
    folder: str = ""


def around(process: Path = Path("/proc/self")) -> Group:
    """The limits of the groups of a process.

    Args:
        process: Its folder in /proc.

    Returns:
        What was found; nothing is limited where it cannot be read.
    """
    try:
        groups = (process / "cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        mounts = (process / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return Group()
    memory: int | None = None
    pids: int | None = None
    folder = ""
    for line in groups:
        number, names, path = line.split(":", 2)
        found = _mounted(mounts, names, path)
        if found is None:
            continue
        for at in found:
            if number == "0" or "memory" in names.split(","):
                folder = folder or str(at)
                value = _read(at, "memory.max", "memory.limit_in_bytes")
                if value is not None and (memory is None or value < memory):
                    memory, folder = value, str(at)
            value = _read(at, "pids.max")
            if value is not None:
                pids = value if pids is None else min(pids, value)
    return Group(memory, pids, folder)


def _mounted(mounts: list[str], names: str, path: str) -> Iterator[Path] | None:
    """The folders of a group and of those around it, from where its hierarchy is mounted."""
    for mount in mounts:
        fields, _, tail = mount.partition(" - ")
        root, point = (_plain(field) for field in fields.split(" ")[3:5])
        kind, _, options = tail.split(" ", 2)
        wanted = kind == "cgroup2" if not names else kind == "cgroup" and set(names.split(",")) <= set(re.split(r"[ ,]", options))
        if not wanted:
            continue
        below = path.removeprefix(root if root != "/" else "").lstrip("/")
        here = Path(point) / below
        return (at for at in (here, *here.parents) if at == Path(point) or Path(point) in at.parents)
    return None


def _plain(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _read(folder: Path, *names: str) -> int | None:
    for name in names:
        try:
            text = (folder / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _NO_LIMIT:
            return int(text)
    return None
