"""JSON as models write it: in a fence, among words, with the wrong quotes, or cut off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from loopwright.core.fences import fences, without_thinking

_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_KEY = re.compile(r"[\w .-]+?(?=\s*[:=])")
_BARE = re.compile(r"[^,}\]\n]+")
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}
_DEEP = 32  # brackets within brackets, more than any reply needs


def read_json(text: str) -> JsonValue:
    """The JSON object or list in a reply, in a fence, among words or cut off; None where there is none.

    As it is written where that is JSON; else after one repair: quotes of the wrong kind or none, Python's constants,
    comments, commas too many or too few, brackets that were never closed. A number at which the text was cut off is left
    out, as it may lack digits. Of several the last one counts, as it comes after the thinking.
    """
    found = all_json(text)
    return found[-1] if found else None


def all_json(text: str) -> list[JsonValue]:
    """All JSON objects and lists in a reply, in order, as ``read_json`` reads them.

    Args:
        text: A reply; thinking is left out. What stands in fenced blocks counts before what stands around them, unless the
            whole reply begins as JSON: a text in it may hold fences of its own.

    Returns:
        Those of the first place that holds any, and strict JSON before what had to be repaired. None that is empty.
    """
    answer = without_thinking(text)
    blocks = [block.text for block in reversed(fences(answer))]
    for place in [answer, *blocks] if answer.lstrip()[:1] in ("{", "[") else [*blocks, answer]:
        found = _all(place, json_only=True)
        if found:
            return found
    return _all(answer, json_only=False)


def every_json(text: str) -> list[JsonValue]:
    """All JSON objects and lists in a reply, in fences and around them, in order: each as it is written, else repaired.

    Where ``all_json`` leaves out what stands in another place than the first that holds any, this shows whether there was more.
    """
    return _all(without_thinking(text), json_only=None)


def _all(text: str, *, json_only: bool | None) -> list[JsonValue]:
    found: list[JsonValue] = []
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = 0
    while at < len(text):
        if text[at] not in "{[":
            at += 1
            continue
        try:
            value, at = _one(decoder, text, at, json_only)
        except RecursionError:
            return found
        except ValueError:
            at += 1
            continue
        if isinstance(value, dict | list) and value:
            found.append(value)
    return found


def _one(decoder: json.JSONDecoder, text: str, at: int, json_only: bool | None) -> tuple[JsonValue, int]:
    if json_only is not False:
        try:
            return decoder.raw_decode(text, at)
        except ValueError:
            if json_only:
                raise
    return _Loose(text, at).whole()


def _refuse(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON")


class _Loose:
    """A reader of nearly JSON from a bracket on. Raises ValueError for what is no list or object of any kind."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.depth = 0

    def whole(self) -> tuple[JsonValue, int]:
        value = self._value()
        if isinstance(value, list) and not all(_plausible(item) for item in value):
            raise ValueError("words in brackets")
        return value, self.at

    def _skip(self, also: str = "") -> str:
        """The next character that counts, or "" at the end."""
        while self.at < len(self.text):
            if self.text.startswith(("//", "#"), self.at) and self.text[self.at - 1 : self.at].isspace():
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text[self.at].isspace() or self.text[self.at] in also:
                self.at += 1
            else:
                return self.text[self.at]
        return ""

    def _value(self) -> JsonValue:
        first = self._skip()
        if first and first in "{[":
            self.depth += 1
            if self.depth > _DEEP:
                raise RecursionError
            value = self._object() if first == "{" else self._list()
            self.depth -= 1
            return value
        if first in _QUOTES:
            return self._string(_QUOTES[first])
        return self._bare()

    def _object(self) -> JsonValue:
        self.at += 1
        out: dict[str, JsonValue] = {}
        while (here := self._skip(",")) not in ("", "}"):
            if here in _QUOTES:
                key = self._string(_QUOTES[here], closed_by=":")
            else:
                found = _KEY.match(self.text, self.at)
                if found is None:
                    raise ValueError("no key")
                key, self.at = found[0].strip(), found.end()
            if self._skip() not in (":", "="):
                if not self._skip():
                    break  # cut off behind a key
                raise ValueError("no colon")
            self.at += 1
            if not self._skip():
                break
            before = self.at
            value = self._value()
            if self.at >= len(self.text) and _NUMBER.fullmatch(self.text[before:].strip()):
                break
            out[key] = value
        self.at += 1
        return out

    def _list(self) -> JsonValue:
        self.at += 1
        out: list[JsonValue] = []
        while (here := self._skip(",")) not in ("", "]"):
            if here in "}:":
                raise ValueError("a list that ends as an object")
            before = self.at
            value = self._value()
            if self.at >= len(self.text) and _NUMBER.fullmatch(self.text[before:].strip()):
                break
            out.append(value)
        self.at += 1
        return out

    def _string(self, close: str, closed_by: str = ",}]:") -> str:
        """Up to a quote that something of JSON follows: an apostrophe inside is none."""
        self.at += 1
        out: list[str] = []
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == "\\" and self.at + 1 < len(self.text):
                escaped = self.text[self.at + 1]
                out.append({"n": "\n", "t": "\t", "r": "\r"}.get(escaped, escaped))
                self.at += 2
                continue
            self.at += 1
            if c == close:
                rest = self.text[self.at :].lstrip()
                if (
                    not rest
                    or rest[0] in closed_by
                    or rest.startswith(("//", "#"))
                    or self.text[self.at : self.at + 1] == "\n"
                ):
                    return "".join(out)
            out.append(c)
        return "".join(out)

    def _bare(self) -> JsonValue:
        found = _BARE.match(self.text, self.at)
        if found is None:
            raise ValueError("no value")
        self.at = found.end()
        word = found[0].strip()
        if word.casefold() in _WORDS:
            return _WORDS[word.casefold()]
        if _NUMBER.fullmatch(word):
            number = float(word)
            return int(number) if number.is_integer() and "." not in word and "e" not in word.casefold() else number
        return word


def _plausible(item: JsonValue) -> bool:
    """Whether this can stand in a list by itself: "[see above]" and "[A]" are words in brackets."""
    return not isinstance(item, str) or " " in item or len(item) > 3


def strings(value: JsonValue) -> Iterator[str]:
    """Every text within, in order, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
