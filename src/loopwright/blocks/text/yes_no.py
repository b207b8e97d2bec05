"""Yes or no in a judge's reply, in whatever two words were asked for.

How the reply begins or a line such as "Answer: yes" decides, and a word that is said of something. "no" before a noun
("no errors") is no answer, and "not correct" is not "correct".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from loopwright.blocks.json_text import all_json
from loopwright.blocks.text.choices import MARKS, POINT, fields, plain
from loopwright.blocks.text.reading import Reading
from loopwright.core.fences import split_thinking

_ASKED = (
    "answer", "final answer", "verdict", "met", "result", "decision", "judgment", "judgement", "conclusion", "correct",
    "satisfied", "passed",
)  # fmt: skip
_LABEL = rf"(?i)(?:(?:the|my|final|short)\s+)*(?:{'|'.join(_ASKED)})\??{POINT}[\s\[(<{MARKS}]*"
_NO_NOUN = (  # what may follow "no" at the beginning of an answer: "No errors" is none
    r"(?=[\s*_`\"')\]]*(?:$|[.,:;!)\]\n|(/\u2014-]|"
    r"\b(?:it|the|this|that|there|they|he|she|i|we|because|since|as|answer|response|step|none|all|both|not)\b))"
)
_DENIED = re.compile(
    r"(?i)(?:(?:\b(?:not|cannot|never|neither|nor|nothing|hardly|barely|partially|partly|mostly|almost|nearly|somewhat|half|"
    r"far from|hard to|to be)|n't|n\u2019t)\W+(?:\w+\s+)?|\bno\s+(?:\w+\s+){1,4}|\b(?:if|unless|whether)\b[^.;!?\n]*|"
    r"\b(?:says|said|answers|answered|states|stated|replies|replied|claims|claimed|responds|responded)\s*[\"'\u201c\u2018]?)$"
)
_UNSURE = (
    r"(?:probably|perhaps|maybe|possibly|likely|presumably|conceivably|i guess|guessing|lean(?:ing|s)?|"
    r"not (?:quite |entirely )?sure|unsure|uncertain)"
)
_HEDGED_AFTER = re.compile(
    rf"(?i)\W{{0,3}}(?:(?:i am|i'm|i\u2019m|but|most|very|though|it is)\s+)*{_UNSURE}\b\W*(?:$|\n)"
)
_HEDGED_BEFORE = re.compile(rf"(?i)\b{_UNSURE}\W+(?:(?:a|the|an|to|towards?|it is|is|say)\s+)*$")
_OF = (  # what may follow a word that is said of something: "the correct answer is 5" says nothing of the answer
    r"(?!\s*\?)(?!\W+(?:if|unless|provided|assuming|but|except|though|although|only)\b)"
    r"(?!\s+(?!(?:and|or|because|since|as|for|in|with|to|on|by|at|from|given|that|this|it|its|the|there|they|overall|"
    r"here)\b)\w)"
)
_OF_FAULTS = re.compile(
    r"(?i)\b(?:no|not|non|un|errors?|issues?|problems?|mistakes?|faults?|flaws?|wrong|incorrect|invalid|fail\w*|bad|worse|"
    r"hallucinat\w*|violat\w*|harmful|unsafe|missing|refus\w*)\b"
)
_LAST = r"(?:^|[.!?;:]\s+)(?:(?:so|actually|wait|thus|therefore|hence|rather|sorry|no)\b[\W_]+)*"


def yes_in(text: str, yes: str = "yes", no: str = "no", *, cut: bool = False) -> Reading[bool]:
    """Whether a reply says one word or the other.

    Args:
        text: The reply; thinking before it is left out.
        yes, no: The two words that were asked for.
        cut: Whether the reply was cut off at its limit of tokens; then only a line such as "Answer: yes" and how it begins count.

    Returns:
        True for ``yes``, False for ``no``, or the reason why there is neither. In JSON a field such as "answer" decides; in text
        a line such as "Answer: yes", else how the reply begins, else its last line, else the only one of them that is said at
        all.
    """
    said = split_thinking(text)
    if said.unended:
        return Reading(None, "the thinking was never ended, so there is no answer")
    for data in reversed(all_json(said.answer)) if "{" in said.answer else ():
        found = _said_in(data, yes, no)
        if len(found) > 1:
            return Reading(None, f"it says both {yes} and {no}")
        if found:
            return Reading(found.pop())
    value = truth(said.answer, yes, no, cut=cut)
    if value is None and re.search(rf"(?i)\b{_UNSURE}\b", said.answer):
        return Reading(None, f"it is not sure of {yes} or {no}")
    return Reading(value, "" if value is not None else f"it says neither {yes} nor {no} clearly")


def truth(value: JsonValue, yes: str = "yes", no: str = "no", *, cut: bool = False) -> bool | None:
    """What one value means: True for ``yes``, False for ``no``, None for what is not clear, as ``yes_in`` says."""
    if isinstance(value, bool):
        return value
    if isinstance(value, dict):
        found = _said_in(value, yes, no)
        return found.pop() if len(found) == 1 else None
    if not isinstance(value, str):
        return None
    words = {True: yes.strip(), False: no.strip()}
    meant = {word.casefold(): key for key, word in words.items()}
    either = "|".join(re.escape(word) for word in sorted(words.values(), key=len, reverse=True))
    lines = [plain(line) for line in value.strip().splitlines() if line.strip()]
    tagged = re.findall(rf"(?i)<(?:{'|'.join(_ASKED)})>\s*({either})\W*</", value)
    if tagged:
        return meant[tagged[-1].casefold()]
    labelled = [m for line in lines if (m := re.match(rf"{_LABEL}({either})(?!\w)(?!\W*(?:/|or\b)\s*\w)", line))]
    if labelled:
        sure = not _HEDGED_AFTER.match(labelled[-1].string, labelled[-1].end())
        return meant[labelled[-1][1].casefold()] if sure else None
    begin = value.strip().lstrip(MARKS + " [(<#>")
    follows = _NO_NOUN if words[False].casefold() == "no" else ""
    begins = re.match(rf"(?i)({either})(?!\w){follows}(?!\W*(?:/|or\b)\s*\w)", begin)
    if (
        begins
        and not _HEDGED_AFTER.match(begin, begins.end(1))
        and not _goes_back(begin, begins, lines[-1], meant, either)
    ):
        return meant[begins[1].casefold()]
    if begins:
        return None
    items = [m[1].casefold() for line in lines if (m := re.fullmatch(rf"(?i).*:\W*({either})\W*", line))]
    if len(set(items)) > 1:
        return None  # "Step 1: yes" and "Step 2: no"
    for place in [lines[-1], value] if lines and not cut else []:
        ends = re.search(rf"(?i)(?:^|[:=\u2013\u2014>|-])[\s\[(<{MARKS}]*({either})[\s.!\])>{MARKS}]*$", place)
        if ends and _HEDGED_BEFORE.search(place[: ends.start() + 1]):
            return None
        if ends:
            return meant[ends[1].casefold()]
        held = {key for key, word in words.items() if _says(place, word)}
        if len(held) == 1:
            return held.pop()
    return None


def _said_in(data: JsonValue, yes: str, no: str) -> set[bool]:
    """What the fields of JSON mean that are called "answer" and the like, else all of its fields."""
    everything = list(fields(data))
    for named in (True, False):
        values = [
            truth(v, yes, no)
            for k, v in everything
            if k.casefold().strip() in _ASKED or (not named and not _OF_FAULTS.search(k.replace("_", " ")))
        ]
        if found := {value for value in values if value is not None}:
            return found
    return set()


def _goes_back(text: str, begins: re.Match[str], last: str, meant: Mapping[str, bool], either: str) -> bool:
    """Whether a word at the beginning decides nothing: "No. 3", a condition, an adjective, or the end says the other."""
    word, rest = begins[1].casefold(), text[begins.end(1) :]
    if re.match(r"\W*(?:if|unless|provided|assuming)\b", rest) or (word == "no" and re.match(r"\.\s?\d", rest)):
        return True
    if word not in ("yes", "no") and not re.match(_OF, rest):
        return True
    ends = re.search(rf"(?i){_LAST}({either})\W*$", last)
    return ends is not None and meant[ends[1].casefold()] != meant[word]


def _says(text: str, word: str) -> bool:
    """Whether a word is said of something: not "no" before a noun, and not what is denied."""
    for found in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE):
        rest = text[found.end() :]
        noun = re.match(r"\s+\w", rest) if word.casefold() == "no" else not re.match(_OF, rest)
        hedged = _HEDGED_BEFORE.search(text[: found.start()][-80:]) or _HEDGED_AFTER.match(rest)
        if not noun and not hedged and not _DENIED.search(text[: found.start()][-80:]):
            return True
    return False
