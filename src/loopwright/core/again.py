"""Which recorded failures a resumed run asks again: those that nothing has been built on.

An error of a moment (a server that was down for a prompt, a reply that broke off) should not stay for ever. But what was
recorded after it may depend on it: a method that went on without that example. Asked again, it could come out otherwise, and
the rest of the record would answer questions that are not asked any more. So a failure is asked again only while every effect
that was recorded later belongs to another branch of the same ``map``, which knows nothing of it, or like it to the final
test; and not where the figures of its round were told already.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from loopwright.core.errors import BadOutput, NoReply
from loopwright.core.identity import PROBE, recorded, revive

_BRANCH = re.compile(r"(\d+)\.\d+")


class Again:
    """Finds them in one pass over the record, in its order.

    Args:
        rounds: scopes of rounds whose figures were told.
    """

    def __init__(self, rounds: Collection[str] = ()) -> None:
        self._rounds = set(rounds)
        self._found: dict[str, str] = {}  # by key: its scope

    @property
    def keys(self) -> Collection[str]:
        """The failures to ask again."""
        return self._found.keys()

    def see(self, key: str, scope: str, kind: str, error: str) -> None:
        """Take account of the next effect of the record; ``error`` is "" where it did not fail."""
        if kind == PROBE:
            return
        if self._found:
            self._found = {other: where for other, where in self._found.items() if apart(where, scope)}
        if error and _of_the_moment(error) and not self._told(scope):
            self._found[key] = scope

    def _told(self, scope: str) -> bool:
        parts = scope.split("/")
        return any("/".join(parts[:i]) in self._rounds for i in range(1, len(parts) + 1))


def apart(first: str, second: str) -> bool:
    """Whether what is done in two scopes cannot depend on each other: two branches of one ``map``, or two of the final test."""
    for a, b in zip(first.split("/"), second.split("/"), strict=False):
        if a != b:
            one, other = _BRANCH.fullmatch(a), _BRANCH.fullmatch(b)
            if one and other and one[1] == other[1]:
                return True
            return a.startswith("test.") and b.startswith("test.")
    return False


def _of_the_moment(text: str) -> bool:
    """Whether a recorded error says nothing of the model: no reply came, or none that could be read."""
    kind = recorded(text)
    if issubclass(kind, NoReply):
        return True
    error = revive(text) if issubclass(kind, BadOutput) else None
    return isinstance(error, BadOutput) and error.unreadable
