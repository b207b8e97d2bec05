"""Reading what a model replied: numbers, yes and no, letters, texts, lists and JSON, in the forms that models give them.

A reply was paid for. It is read as far as it goes, its JSON repaired in the text once, and the model is never asked again
for the form's sake: the same words would be paid twice, and at temperature 0 they would come back. What cannot be read, or can be
read in two ways, is None, which becomes a missing judgement; nothing is guessed. Each reader has a twin in ``blocks.text`` that
gives the reason as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import JsonValue

from loopwright.blocks.json_text import read_json, strings
from loopwright.blocks.programs import program_of
from loopwright.blocks.text.choices import choice_in
from loopwright.blocks.text.rewrites import text_in
from loopwright.blocks.text.scores import score_in
from loopwright.blocks.text.yes_no import truth, yes_in
from loopwright.core.errors import BadOutput
from loopwright.core.fences import without_thinking
from loopwright.core.types import Turn

_ITEM = re.compile(
    r"^[ \t]*(?:(?:(?:step|question|q)[ \t]*)?\(?(\d{1,9})[.):]|[-*\u2022])[ \t]+([^ \t\n].*)$", re.IGNORECASE | re.MULTILINE
)
_MARKS = "*_`\"' \t"


# ---- one value --------------------------------------------------------------------------------------------------------


def read_number(text: str, name: str = "score", *, high: float | None = None, cut: bool = False) -> float | None:
    """The number that a reply gives under a name, as ``blocks.text.scores.score_in`` reads it; None where there is none."""
    return score_in(text, name, high=high, cut=cut).value


def read_yes(text: str, yes: str = "yes", no: str = "no", *, cut: bool = False) -> bool | None:
    """Whether a reply says ``yes`` or ``no``, as ``blocks.text.yes_no.yes_in`` reads it; None where that is not clear."""
    return yes_in(text, yes, no, cut=cut).value


def read_letter(text: str, letters: Sequence[str] = ("A", "B"), *, cut: bool = False) -> str | None:
    """Which of the letters a reply decides for, or "tie", as ``blocks.text.choices.choice_in`` reads it; None for neither."""
    return choice_in(text, letters, cut=cut).value


# ---- text -------------------------------------------------------------------------------------------------------------


def read_text(text: str) -> str:
    """The text that was asked for, as ``blocks.text.rewrites.text_in`` reads it; "" where it cannot be told which it is."""
    return text_in(text).value or ""


def read_rewrite(reply: Turn, kind: str = "text") -> str:
    """The new version of a text or of a program, where a model was asked to write all of it.

    Args:
        reply: What the model said.
        kind: "code" for a program in Python, as ``blocks.programs.program_of`` reads it, else a text.

    Returns:
        The text; "" where the reply holds an empty one.

    Raises:
        BadOutput: of kind "cut" where the reply was cut off at its limit of tokens, of kind "malformed" where it cannot be told
            which of its parts is the new text.
    """
    found = text_in(reply.text, cut=reply.finish == "length")
    if kind == "code" and reply.finish != "length":
        return program_of(reply.text)
    if found.value is None:
        raise BadOutput(found.problem, kind="cut" if reply.finish == "length" else "malformed")
    return found.value


# ---- lists ------------------------------------------------------------------------------------------------------------


def read_list(text: str) -> list[str]:
    """The items of a list: of JSON, else numbered or bulleted lines, else every line that asks something. Once each."""
    text = without_thinking(text)
    found = read_json(text) if "[" in text or "{" in text else None
    items = list(strings(found)) if found is not None else []
    if not items:
        items = [said for _, said in _ITEM.findall(text)]
    if not items:
        items = [line for line in text.splitlines() if line.rstrip(_MARKS).endswith("?")]
    return list(dict.fromkeys(plain for item in items if (plain := item.strip(_MARKS))))


def read_answers(text: str, count: int, yes: str = "yes", no: str = "no") -> list[bool | None]:
    """Answers to ``count`` numbered questions, None for each that is not clear: by number, else in the order they come."""
    text = without_thinking(text)
    found = read_json(text) if "[" in text or "{" in text else None
    if isinstance(found, dict) and len(found) == 1 and isinstance(next(iter(found.values())), list | dict):
        found = next(iter(found.values()))
    said: list[JsonValue] = []
    if isinstance(found, dict):
        keys = [re.search(r"\d{1,9}", key) for key in found]  # by number where the keys are the numbers
        by_number = {int(key[0]): value for key, value in zip(keys, found.values(), strict=True) if key}
        said = (
            [by_number[i] for i in range(1, count + 1)]
            if set(by_number) == {*range(1, count + 1)}
            else list(found.values())
        )
    elif isinstance(found, list):
        said = found
    if len(said) == count:
        return [truth(item, yes, no) for item in said]
    numbered = {int(n): truth(line, yes, no) for n, line in _ITEM.findall(text) if n}
    if numbered:
        return [numbered.get(i) for i in range(1, count + 1)]
    lines = [answer for line in text.splitlines() if (answer := truth(line, yes, no)) is not None]
    if len(lines) == count:
        return list(lines)
    return [None] * count if count != 1 else [read_yes(text, yes, no)]
