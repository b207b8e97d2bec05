"""Which exceptions somebody's program or check raised in a number of attempts, and how often."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from loopwright.core.errors import LoopwrightError, SandboxError, SandboxMissing
from loopwright.core.feedback import Missing
from loopwright.core.types import Rollout

_NAME = re.compile(r"([A-Za-z_][\w.]*)(?:: |:?$)(.*)", re.DOTALL)
_PLACE = re.compile(r"^(\S+\.py), line (\d+), in ", re.MULTILINE)
_LONG = 300  # characters of what an exception says


class Raised(NamedTuple):
    """One kind of exception.

    who: "the program", or the name of the check. error: its class, such as ``TypeError``, or what happened in words. times, of:
    attempts in which it came, of all. said: what it said the first time, and where in the user's file it came up. ids: of the
    attempts.
    """

    who: str
    error: str
    times: int
    of: int
    said: str
    ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = "runs of the program" if self.who == _PROGRAM else f"calls of {self.who}"
        return f"{self.error} in {self.times} of {self.of} {what}" + (f": {self.said}" if self.said else "")


_PROGRAM = "the program"


def raised(rollouts: Iterable[Rollout]) -> list[Raised]:
    """The exceptions of a number of attempts, the commonest first.

    Args:
        rollouts: the attempts. Of a program that raised, ``error`` is the stack trace; of a check that raised, the feedback is
            Missing and says so.
    """
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    tried = list(rollouts)
    for rollout in tried:
        for who, error, said in _of(rollout):
            found.setdefault((who, error), []).append((said, rollout.id))
    each = [
        Raised(who, error, len(came), len(tried), came[0][0], tuple(id for _, id in came)) for (who, error), came in found.items()
    ]
    return sorted(each, key=lambda r: -r.times)


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of an OSError: no space left


def of_one_answer(error: Exception) -> bool:
    """Whether what a checker raised belongs to the answer that it was judging, and not to the run.

    Args:
        error: what it raised.

    Returns:
        True for an exception of its own code, and for a sandbox that failed; False for a disk without space, and for what
        Loopwright itself says of the run: a budget, a store, a model that is gone, options that are wrong.
    """
    if isinstance(error, OSError):
        return error.errno not in FULL
    if isinstance(error, LoopwrightError):
        return isinstance(error, SandboxError) and not isinstance(error, SandboxMissing)
    return True


def told(error: Exception) -> str:
    """An error in one line: its class, what it says, and where in somebody's own code it came up."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames and type(error).__module__ == "builtins" else ""
    return f"{text[:600]}{where}"


def in_one_line(stack: str) -> str:
    """What a stack trace comes to: the exception, and where in the user's file it came up."""
    error, said = _named(_message(stack))
    return (f"{error}: {said}" if said else error) + _place(stack)


def _place(stack: str) -> str:
    found = _PLACE.findall(stack)
    return f" ({found[-1][0]} line {found[-1][1]})" if found else ""


def _of(rollout: Rollout) -> list[tuple[str, str, str]]:
    out = []
    if rollout.status == "lost":  # no answer came, so that nothing of the user's ran
        return []
    if rollout.status == "ok" and rollout.error.strip():
        error, said = _named(_message(rollout.error))
        out.append((_PROGRAM, error, f"{said}{_place(rollout.error)}".strip()))
    for feedback in rollout.feedback:
        if isinstance(feedback, Missing) and feedback.by.kind == "code" and feedback.message:
            who = feedback.by.name
            error, said = _named(feedback.message.removeprefix(f"{who}: "))
            out.append((who, error, said))
    return out


def _message(stack: str) -> str:
    """The exception itself: what follows the last line of the stack that names a file."""
    lines = stack.strip().splitlines()
    last = max((i for i, line in enumerate(lines) if _PLACE.match(line) or line.startswith('  File "')), default=-1)
    told = [line for line in lines[last + 1 :] if line[:1] not in (" ", "\t", "")]
    named = [i for i, line in enumerate(told) if (m := _NAME.match(line)) and m[1][:1].isupper()]
    return "\n".join(told[named[-1] :]) if named else lines[-1]


def _named(text: str) -> tuple[str, str]:
    """The class of an exception and what it says; where no class is named, the first words and the rest."""
    found = _NAME.match(text.strip())
    if found and found[1].rpartition(".")[2][:1].isupper():
        return found[1].rpartition(".")[2], " ".join(found[2].split())[:_LONG]
    line = " ".join(text.split())
    return line[:80], line[80:_LONG]
