"""Which process drives a run, and whether it still lives.

A process is known by the machine's start, its pid namespace, its number and its own start, so that a number that was given to
another process since does not count.
"""

from __future__ import annotations

import functools
import os
import time
from dataclasses import astuple, dataclass
from pathlib import Path

SILENT = 60.0  # seconds without a word after which a driver in another container counts as dead; a live one speaks each second

COLUMNS = "run, token, boot, space, pid, began"
SELECT = f"SELECT {COLUMNS} FROM driver"
# Only over the driver that was seen, and found dead: of two that take over at once, the second changes nothing.
TAKE = (
    f"INSERT INTO driver ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET token = excluded.token, "
    "boot = excluded.boot, space = excluded.space, pid = excluded.pid, began = excluded.began WHERE driver.token = ?"
)
LEAVE = "DELETE FROM driver WHERE run = ? AND token = ?"


@dataclass(frozen=True, slots=True)
class Driver:
    """A process that drives a run, or did.

    boot: id of the machine's start. space: its pid namespace. pid, began: of the process; all "" where the system does not tell.
    """

    run: str
    token: str
    boot: str
    space: str
    pid: int
    began: str

    def values(self) -> tuple[str | int, ...]:
        return astuple(self)

    def alive(self, heard: float) -> bool:
        """Whether it still runs. ``heard``: UTC seconds of its last sign, by which one in another container is judged."""
        boot, space = _machine()
        if self.boot != boot:
            return False  # the store lies on a local disk, so the machine was started anew since, or the disk moved
        if self.space != space:
            return abs(time.time() - heard) < SILENT
        return _lives(self.pid) and _began(self.pid) == self.began


def this_process(run: str) -> Driver:
    """This process as the driver of ``run``."""
    boot, space = _machine()
    pid = os.getpid()
    return Driver(run, os.urandom(8).hex(), boot, space, pid, _began(pid))


@functools.cache
def _machine() -> tuple[str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return boot, space


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # of another user
    return True


def _began(pid: int) -> str:
    """When the process began, in the kernel's ticks; "" where the system does not tell, "ended" for one not reaped yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # its name, in brackets, may hold anything
    return "ended" if fields[0] in "ZX" else fields[19]
