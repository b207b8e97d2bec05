"""What a sandbox is given and what it hands back: frozen, plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from loopwright.core.errors import InputError

Status = Literal["ok", "error", "timeout", "memory", "output", "pids", "killed"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. Raises InputError for a value that is not a positive, finite number.

    seconds: wall clock, from the moment the code is handed over; the start of the sandbox is not counted.
    cpu_seconds: processor time of each process, rounded up to whole seconds.
    memory_mb: address space of each process; and, of all of them together, resident memory, page tables, and what the
        kernel keeps for sockets and files (MiB; looked at ten times a second).
    pids: processes and threads at one moment.
    output_kb: stdout and stderr together (KiB); one byte more ends the run.
    file_mb: the private working folder and /tmp together, and code, files and stdin on the way in (MiB).
    """

    seconds: float = 5.0
    cpu_seconds: float = 5.0
    memory_mb: int = 256
    pids: int = 16
    output_kb: int = 64
    file_mb: int = 16

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                raise InputError(f"Limits: {field.name} must be a positive number, got {value!r}")
            if field.type == "int" and not isinstance(value, int):
                raise InputError(f"Limits: {field.name} must be a whole number, got {value!r}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended.

    status: ``ok`` (exit code 0), ``error`` (any other exit code), ``timeout`` (wall clock or processor time),
        ``memory``, ``output``, ``pids`` (that limit was the cause), ``killed`` (died of a signal).
    exit_code: None where the sandbox ended the run itself; 128 + n for a program that died of signal n.
    stdout, stderr: text, undecodable bytes replaced; never longer than the limit.
    seconds: wall clock of the run.
    truncated: True where output was lost because of the limit.

    ``memory`` and ``pids`` are partly read off the error the program printed, so a program can claim them; it cannot
    claim ``ok``, which needs exit code 0.
    """

    status: Status
    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.status == "ok"


@dataclass(frozen=True, slots=True)
class Profile:
    """Which protections are in force here, as ``probe`` found them by trying.

    isolated: False when there is no sandbox; ``problem`` then says why and what to type.
    bubblewrap: its version. network, files, namespaces, seccomp: True when the attack tried was refused.
    pids: ``namespace`` (a cap in each sandbox's own user namespace), ``uid`` (an own user id for each sandbox),
        ``watched`` (counted ten times a second). memory: ``address space``, or also ``resident`` summed over processes.
    kernel_memory: True when the calls were refused by which a program keeps memory in the kernel that no limit counts.
    counted: True when what the kernel keeps for its sockets and files is counted towards ``memory_mb``.
    identity: ``own uid`` (started by root, which first became somebody without rights) or ``caller`` (the user's own
        id, in a user namespace).
    """

    isolated: bool
    problem: str = ""
    bubblewrap: str = ""
    network: bool = False
    files: bool = False
    namespaces: bool = False
    seccomp: bool = False
    kernel_memory: bool = False
    counted: bool = False
    pids: Literal["namespace", "uid", "watched", "none"] = "none"
    memory: Literal["address space and resident", "address space", "none"] = "none"
    identity: Literal["own uid", "caller"] = "caller"
