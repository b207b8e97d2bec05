"""Environment variables that hold keys: told by their names, so that programs that need none are not given them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_PARTS = re.compile(
    r"(?:^|_)(?:\w*apikey|keys?|\w*tokens?|\w*secrets?|\w*passw(?:or)?d|passphrase|credentials?|creds|auth|cookies?|sas)(?:_|$)",
    re.I,
)


def holds_key(name: str) -> bool:
    """Whether a variable of this name holds a key, token or password."""
    return _PARTS.search(name) is not None


def without_keys(environment: Mapping[str, str], keep: Collection[str] = ()) -> dict[str, str]:
    """The variables that hold no key.

    Args:
        environment: All variables.
        keep: Names that are kept although they hold a key.

    Returns:
        A new mapping. Raises nothing.
    """
    return {name: value for name, value in environment.items() if name in keep or not holds_key(name)}
