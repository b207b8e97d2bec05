"""Texts with places to fill in, written ``{name}``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_FIELD = re.compile(r"\{(\w+)\}")
_BRACE = "left_brace"  # the name of a brace that is meant as one, in a template made of somebody's text


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with the values in its places, all in one pass.

    So a value may hold braces: an answer with "{target}" in it is shown as it is. (Values put in one after the other with
    ``str.replace`` are searched for the places of those that follow.) Places that no value is given for stay as they are, as
    do all other braces.

    Args:
        template: the text, with places such as ``{question}``.
        values: what to write there, by name.
    """
    return _FIELD.sub(lambda m: values.get(m[1], "{" if m[1] == _BRACE else m[0]), template)


def places(template: str) -> tuple[str, ...]:
    """The names of a template's places, each once, in order."""
    return tuple(dict.fromkeys(name for name in _FIELD.findall(template) if name != _BRACE))


def literal(text: str) -> str:
    """Somebody's text as part of a template: what looks like a place in it is shown as it is."""
    return _FIELD.sub(lambda m: "{" + _BRACE + "}" + m[0][1:], text)
