"""Text from outside made safe to show: what a terminal would obey, or a reader could not see, is written out as an escape.

Answers of models, errors of servers, names of tasks and files may hold codes that set the clipboard, the title or the colours,
move the cursor over what stands there, or turn the direction of reading. Data is never changed by this: it is for the moment of
showing alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# Control characters but newline and tab; what has no width or turns the direction; separators of lines that only some take for
# such; half a surrogate pair; characters that carry hidden text (tags, further variation selectors).
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    # Joiners and variation selectors make letters and pictures of some scripts; beside ASCII, or several, they only hide.
    "|(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\u200c\u200d\ufe00-\ufe0f])"
    "|(?<![0-9#*\x80-\u200b\u200e-\ufdff\ufe10-\U0010ffff])[\ufe00-\ufe0f]"
)


def visible(text: str) -> str:
    """The text with every character that a terminal obeys, or that cannot be seen, as an escape like ``\\x1b`` or ``\\u202e``.

    Args:
        text: from anywhere. Newlines and tabs stay; a line end of Windows becomes a newline.

    Returns:
        What can be printed; the same again for what this returned.
    """
    return _replaced(_escaped, text.replace("\r\n", "\n"))


def visible_line(text: str) -> str:
    """The same on one line: newlines are escapes too. For names, which must not look like lines of ours."""
    return visible(text).replace("\n", "\\n")


def visible_json(document: str) -> str:
    """JSON text with such characters as JSON's own escapes: another spelling of the same document."""
    return _replaced(lambda found: "".join(f"\\u{unit:04x}" for unit in _units(found[0])), document)


def _replaced(escape: Callable[[re.Match[str]], str], text: str) -> str:
    """Again until nothing is left: what stands beside an escape now may have stood beside another letter before."""
    while (shown := _OBEYED.sub(escape, text)) != text:
        text = shown
    return text


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _units(character: str) -> tuple[int, ...]:
    """As UTF-16, which JSON's escapes are in."""
    code = ord(character) - 0x10000
    return (0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF)) if code >= 0 else (ord(character),)


__all__ = ["visible", "visible_json", "visible_line"]
