"""Every error Loopwright raises on purpose, as one tree.

    LoopwrightError
    ├── InputError            what the user gave is wrong; the message says what was expected, what arrived, what to type
    │   ├── TaskError         a task folder: names the file, the line and the field
    │   ├── UnknownName       a recipe, option, model or run that does not exist; suggests the near one
    │   ├── NotAllowed        an artifact asks for a model, a key or code, and the user has not said that it may
    │   ├── FolderTaken       a folder for results belongs to another run, or holds what would be in the way
    │   ├── NothingScored     no answer of the baseline has a score: nothing could be compared with it
    │   └── NoConversion      no lawful way from one kind of feedback to another
    ├── HiddenFromRecipes     a recipe asked for what no recipe is shown: held-out examples, the engine, the store
    ├── BudgetExhausted       the next call could pass a cap, so it was not made
    │   └── OutOfTime         the seconds ran out while a call waited for its answer, and it was given up
    ├── TooManyErrors         more examples had an error than the run bears
    ├── Diverged              a resumed run asked for something else than it had recorded
    ├── MethodEnded           a resumed run came to where a method had ended by an error
    ├── Paused                the run was asked to stop; it can be resumed
    ├── ModelError
    │   ├── ModelNotFound     no such file, folder or model name
    │   ├── ModelUnavailable  down, or failing after bounded retries
    │   │   └── NoReply       to this one request, of a model that answers others
    │   ├── QuotaExhausted    402, "limit reached": the run pauses, nothing is retried
    │   ├── BadOutput         a reply that cannot be used: empty, cut off, malformed
    │   │   ├── Refused       the model or a content filter would not answer this prompt
    │   │   └── PromptTooLong the prompt and the tokens asked for do not fit the context
    │   └── UnknownPrice      a money cap without a price for this model
    ├── FetchFailed           a file that is brought from the package index did not come, or is not the one it should be
    ├── CheckerError          a checker that raised, hung, or returned NaN or the wrong type
    ├── SandboxError
    │   └── SandboxMissing    there is no isolation here, so code is not run
    └── StoreError
        ├── StoreUnwritable   takes no writes for now: the run pauses
        │   ├── StoreBusy     locked for longer than we wait
        │   ├── StoreFull     no space left, or a limit on the size of files is reached
        │   ├── StoreDisk     the disk refused: an I/O error, a quota
        │   ├── StoreMoved    the file was moved, deleted or replaced while it was in use
        │   └── StoreReadOnly may only be read
        ├── StoreCorrupt      damaged file or blob, or lost writes
        ├── StoreVersion      written by a newer version
        └── RunBusy           another process drives this run
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopwright.core.feedback import Cost


class LoopwrightError(Exception):
    """Base of all errors raised on purpose. ``exit_code`` is what the command line returns."""

    exit_code = 1


class InputError(LoopwrightError):
    exit_code = 2


class TaskError(InputError):
    """Something in a task folder is wrong. ``where`` is ``file``, ``file:line`` or ``file: field``."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where


class UnknownName(InputError):
    """A name that does not exist, with the nearest ones that do.

    latest: how many of the known ones are listed at most, those that sort last; None lists all.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], *, latest: int | None = None) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        listed = known if latest is None else known[-latest:]
        more = f" and {len(known) - len(listed)} earlier ones" if len(listed) < len(known) else ""
        hint = f" Did you mean {' or '.join(near)}?" if near else f" Known: {', '.join(listed) or 'none'}{more}."
        super().__init__(f"unknown {what} {name!r}.{hint}")
        self.name = name
        self.near = near


class NotAllowed(InputError):
    """An artifact asks for a model, a key or code, and the user has not said that it may have it."""


class FolderTaken(InputError):
    """A folder for results belongs to another run, or holds what would be in the way; nothing in it was touched."""


class NoConversion(InputError):
    pass


class NothingScored(InputError):
    """What a run begins with has no score on any example, so that nothing could be compared with it."""


class HiddenFromRecipes(LoopwrightError, AttributeError):
    """A recipe asked for what no recipe is shown. Also an AttributeError, so that ``hasattr`` says that it is not there."""


class BudgetExhausted(LoopwrightError):
    """``resource``, ``cap``, ``used`` and ``asked`` are "" and 0 where the error comes from the record of a run."""

    exit_code = 3
    resource = ""
    cap = used = asked = 0.0

    def __init__(self, resource: str, cap: float, used: float, asked: float) -> None:
        if resource == "seconds":
            told = f"its {cap:g} seconds are used up: {used:.1f} have passed or are kept for the final test"
        else:
            told = f"{resource} is capped at {cap:g}; {used:g} spent or reserved, the next call may need {asked:g} more"
        super().__init__(f"budget: {told}")
        self.resource = resource
        self.cap = cap
        self.used = used
        self.asked = asked


class OutOfTime(BudgetExhausted):
    """A call was given up because the seconds of the run ran out. It may have been paid."""

    def __init__(self, cap: float, used: float, waited: float) -> None:
        super().__init__("seconds", cap, used, 0.0)
        self.args = (f"{self}; a call that had waited {waited:.1f} s for its answer was given up",)


class TooManyErrors(LoopwrightError):
    """More examples have an error than ``fail_on_error`` bears."""


class Diverged(LoopwrightError):
    pass


class MethodEnded(LoopwrightError):
    """A resumed run came to where its method had ended by an error; the message is what that said."""


class Paused(LoopwrightError):
    exit_code = 130


class ModelError(LoopwrightError):
    pass


class ModelNotFound(ModelError):
    exit_code = 2


class ModelUnavailable(ModelError):
    """``kind`` groups failures for the report: timeout, connection (none came about), cut (it broke off), server, rate-limit,
    auth, bad-request.
    """

    def __init__(self, message: str, *, kind: str = "server", attempts: int = 1) -> None:
        super().__init__(message)
        self.kind = kind
        self.attempts = attempts


class NoReply(ModelUnavailable):
    """No reply to one request, after bounded retries, of a model that answers others: the run goes on without it.

    kind: as of ModelUnavailable; ``bad-request`` where the server would not have the request at all.
    """


class QuotaExhausted(ModelError):
    exit_code = 4


class BadOutput(ModelError):
    """A reply that cannot be used. It belongs to the prompt: asked again, the model would do the same.

    kind: in a word, for the report: empty, cut, malformed, too-large, refused, too-long.
    paid: whether tokens were spent on it; a prompt that was turned away costs nothing. cost: what the call took, where the
    server told; None counts the most that it can have been.
    """

    cost: Cost | None = None

    def __init__(self, message: str, *, kind: str, paid: bool = True) -> None:
        super().__init__(message)
        self.kind = kind
        self.paid = paid

    @property
    def unreadable(self) -> bool:
        """Whether something came that is no answer of the model: then nothing is known of what it would have said."""
        return self.kind in ("malformed", "too-large")


class Refused(BadOutput):
    """The model, or a filter before or behind it, would not answer this prompt."""

    def __init__(self, message: str, *, kind: str = "refused", paid: bool = True) -> None:
        super().__init__(message, kind=kind, paid=paid)


class PromptTooLong(BadOutput):
    """The prompt, with the tokens that the answer may take, does not fit the model's context."""

    def __init__(self, message: str, *, kind: str = "too-long", paid: bool = False) -> None:
        super().__init__(message, kind=kind, paid=paid)


class UnknownPrice(ModelError):
    exit_code = 2


class FetchFailed(LoopwrightError):
    """``reached`` tells whether the index answered: if so, what came was wrong, and trying again will not help."""

    def __init__(self, message: str, *, reached: bool) -> None:
        super().__init__(message)
        self.reached = reached


class CheckerError(LoopwrightError):
    pass


class SandboxError(LoopwrightError):
    pass


class SandboxMissing(SandboxError):
    exit_code = 5


class StoreError(LoopwrightError):
    pass


class StoreUnwritable(StoreError):
    """Nothing can be written for now. What was acknowledged is intact, so a run pauses and can be resumed."""


class StoreBusy(StoreUnwritable):
    pass


class StoreFull(StoreUnwritable):
    pass


class StoreDisk(StoreUnwritable):
    pass


class StoreMoved(StoreUnwritable):
    pass


class StoreReadOnly(StoreUnwritable):
    exit_code = 2


class StoreCorrupt(StoreError):
    pass


class StoreVersion(StoreError):
    exit_code = 2


class RunBusy(StoreError):
    exit_code = 2
