"""The keys that this process uses, taken out of whatever comes back or is written.

A model's answer is masked where it comes in, before anything reads it: what a run sees, what it records and what a resumed run is
answered from are then the same. What merely looks like a key is left in an answer, for nobody can tell it from the answer itself.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

T = TypeVar("T")

MASK = "[secret]"
_SHORTEST = 8
_LONG = 16  # characters from which even plain letters are no word
_known: dict[str, None] = {}  # secrets in the ways in which they may be written
_pattern: re.Pattern[str] | None = None


def can_be_told(value: str) -> bool:
    """Whether a text is too much like an ordinary word, number or date for it to be a secret; it is then not masked.

    Many local servers want any key at all, such as "EMPTY" or "lm-studio": masking that in an answer would change the answer.
    """
    if len(value) < _SHORTEST:
        return True
    return len(value) < _LONG and not (re.search(r"\d", value) and re.search(r"[^\W\d_]", value))


def remember(secrets: Iterable[str]) -> None:
    """From now on these are masked, each whole and by its words, so that ``Bearer x`` hides a bare ``x`` too.

    Args:
        secrets: values of keys, or of headers that hold one.
    """
    global _pattern
    for secret in secrets:
        for word in {secret, *secret.split()}:
            if not can_be_told(word):
                _known.update(dict.fromkeys(_ways(word)))
    if _known:
        _pattern = re.compile("|".join(re.escape(way) for way in sorted(_known, key=len, reverse=True)))


def _ways(secret: str) -> set[str]:
    """How a text may stand in another: as it is, in JSON, in an address, in base64."""
    in_json = json.dumps(secret)[1:-1]
    packed = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, in_json, in_json.replace("/", "\\/"), quote(secret, safe=""), quote(secret), quote_plus(secret), packed}


def mask(value: T) -> T:
    """The same text or plain data with every known secret masked, in keys of dictionaries too.

    Args:
        value: a text, bytes of UTF-8, or plain data; anything else comes back as it is.

    Returns:
        A new value where something was masked, else ``value`` itself.
    """
    if _pattern is None:
        return value
    masked: T = _masked(value, _pattern)
    return masked


def _masked(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(MASK, value) if pattern.search(value) else value
    if isinstance(value, bytes):
        text = value.decode("utf-8", "surrogateescape")
        return pattern.sub(MASK, text).encode("utf-8", "surrogateescape") if pattern.search(text) else value
    if isinstance(value, dict):
        pairs = [(_masked(key, pattern), _masked(item, pattern)) for key, item in value.items()]
        same = all(a is c and b is d for (a, b), (c, d) in zip(pairs, value.items(), strict=True))
        return value if same else dict(pairs)
    if isinstance(value, list | tuple):
        items = [_masked(item, pattern) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value
