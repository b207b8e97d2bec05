"""Secrets are taken out of text before it is written: what is not stored cannot leak from a report or a backup."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from loopwright.core.errors import InputError
from loopwright.core.secrets import mask

T = TypeVar("T")

MASK = "[redacted]"

# Where a pattern has a group, the group is kept: it says what kind of secret stood there.
_PATTERNS = (
    r"(?<![A-Za-z0-9])(sk-)(?=[\w-]{0,200}\d)[\w-]{12,}",  # the digit keeps ordinary hyphenated words
    r"(?i:\b(Bearer|Basic)\s+)(?=[\w.~+/-]*[\d.~+/=_-])[\w.~+/-]{8,}=*",
    r"\b(gh[pousr]_|github_pat_|hf_|glpat-|xox[abprs]-)[\w-]{16,}",
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\b(AIza)[\w-]{30,}",
    r"(?i:\b(api[_-]?key|access[_-]?token|secret|password)(?=[\"']?\s*[=:]))[\"']?\s*[=:]\s*[\"']?[^\s\"',;&}\]]{6,}",
    r"(?<=://)([^\s/:@]+:)[^\s/:@]+(?=@)",  # user:password@host
)
_SECRET = re.compile("|".join(_PATTERNS))
_NAMED = re.compile(r"(?i)^(x[_-])?(api[_-]?key|access[_-]?token|authorization|password|secret)$")


def _mask(match: re.Match[str]) -> str:
    kept = next((group for group in match.groups() if group is not None), "")
    return f"{kept}{'' if kept.endswith(('-', '_', ':')) else ' '}{MASK}"


def _walk(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET.sub(_mask, mask(value))
    if isinstance(value, dict):
        return {
            _walk(key): MASK if isinstance(key, str) and isinstance(item, str) and _NAMED.match(key) else _walk(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_walk(item) for item in value]
    return value


def redact(value: T) -> T:
    """The same text, or the same plain data, with the keys of this process, and what looks like one, masked.

    Tuples come back as lists, as JSON would return them. Redacting twice changes nothing more.
    """
    result: T = _walk(value)
    return result


def refuse_key(text: str, what: str) -> str:
    """The text itself, which is known by its digest and so cannot be masked.

    Args:
        text: that is to be stored.
        what: it is, for the message.

    Raises:
        InputError: it holds the value of a key that this process uses.
    """
    if mask(text) != text:
        raise InputError(
            f"{what} holds the value of a key that this process uses, and would be stored with it. Take it out of the task, the "
            "prompt or the options"
        )
    return text
