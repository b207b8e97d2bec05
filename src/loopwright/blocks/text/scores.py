"""The score in a judge's reply: which of its numbers is the one that was asked for.

What is read, in this order: a JSON field or a tag of exactly that name; a line, or a sentence, that begins with the name ("Final
score: 7", "Score (0-10): 7", "| Score | 7 |"), one that holds nothing else first; a number in the form of a result (``[[7]]``,
``\\boxed{7}``, ``[RESULT] 7``); the name in a sentence ("I give it a score of 7"); "7/10" and "7 out of 10"; a line
that is a number alone. A range behind the name is no score, and neither is the greatest score that there could be. Where what is
read first allows two values, there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import JsonValue

from loopwright.blocks.json_text import all_json, every_json
from loopwright.blocks.text.numbers import read_numbers
from loopwright.blocks.text.reading import Reading
from loopwright.core.fences import split_thinking

_ALSO = {"score": ("rating", "grade", "mark")}  # words for the same thing
_WHOLE = frozenset(
    "final overall total the my our its a an so thus therefore hence finally and combined aggregate resulting answer judge "
    "judges assigned given numeric numerical as actually wait no on reflection second thought thoughts revised updated "
    "adjusted corrected reconsidered new sorry correction hmm".split()
)  # in front of the name they leave it the score of all of the answer
_SUMS = ("overall", "total", "verdict")
_BOUNDS = frozenset(
    "max maximum min minimum highest lowest best worst perfect possible top full passing pass threshold average mean previous "
    "prior last old baseline target expected range low high other initial starting preliminary provisional tentative original "
    "before confidence certainty".split()
)
_END = "\ue000"  # put at the end of a reply that was cut off: a number that it follows may lack digits
_SCALE = (
    r"(?:\s*(?:\([^()\n]*\)|\[[^\[\]\n]*\d[^\[\]\n]*\]|(?:out of|from|between|on a scale)\b[^:=|\n]{0,40}?|/\s?\d+))?"
)
_MARKS = "*`_\"'\u201c\u201d"
_BETWEEN = rf"[\s{_MARKS}]*"
_POINT = rf"(?:{_BETWEEN}(?:[:=|\u2192]|->|\b(?:is|was|would be|equals)\b:?|\s[-\u2013\u2014](?=\s)))"
_OF = re.compile(
    r"\W{0,3}\s*(?:(?:points?|stars?|marks?)\s+)?(?:\(|\[)?\s*(?:out of|of|/)\s*(?:a possible\s*)?(\d+(?:\.\d+)?)", re.I
)
_AND = re.compile(
    r"\s*(?:-|\u2013|\u2014|to|or|and|~|&|[+*x\u00d7=]|->|=>|\u2192|,?\s*(?:minus|plus|less)\b|\s)\s*[-+]?\.?\d|"
    r"[^\n\d]*(?:->|=>|\u2192|\b(?:so|no|actually|wait|rather|hence|therefore|final(?:ly)?|now|then)\b)\W*\d",
    re.I,
)
_COUNT = re.compile(  # "3 errors", "2 points off", "3rd", "7B", "13+": a number of something else
    r"(?!(?:pts?|points?|stars?|th?e)\b)[^\W\d_]|\+(?!/)|\s+(?:\w+\s+)?(?:errors?|mistakes?|issues?|flaws?|problems?|"
    r"faults?|requirements?|"
    r"criteria|criterion|steps?|items?|tests?|cases?|sentences?|words?|goals?)\b|"
    r"\s*(?:points?|pts?)\s+(?:\w+\s+)?(?:off|deducted|lost|less|deductions?|short|below)\b",
    re.I,
)
_NOTHING = re.compile(
    rf"(?:\s|[\])}}>.,;!|$*`_\"'\u201c\u201d]|\(?\s*(?:out of|of|/)\s*\d+(?:\.\d+)?\)?|points?\b|stars?\b|\\[\])])*{_END}?",
    re.I,
)
_BEFORE = re.compile(
    r"(?i)\b(?:says|said|reports?|mentions|states|if|unless|whether|than|below|above|under|over|between|least|most|"
    r"up to|not|n't|"
    r"never|no|to (?:get|reach|earn|deserve|merit)|for an?|worth an?|like an?)\b[^.;:]*$|n't\b[^.;:]*$"
)
_AFTER = re.compile(
    r"(?i)^[^.;\n]{0,30}\b(?:is too|would|could|might|should|requires?|needs?|means?|is (?:for|reserved)|if|unless)\b"
)

_CORRECTS = re.compile(  # "... actually 5", "On reflection, I lower it to 5", "Hmm, 5 is fairer"
    r"(?:^|[.!?;:,(\n\u2026\u2013\u2014}>-])[\s*_]*"
    r"(?:(?:oh|well|hm+|ah|or|but|and|so|then|ok|okay)\b[\s,.\u2026]*)*"
    r"(?:actually|wait|rather|hm+|no|correction|sorry|scratch that|on (?:further |more )?(?:reflection|consideration|thought)|"
    r"on second thoughts?|thinking again|reconsidering|in hindsight|make (?:it|that)|let me|let's (?:say|make)|"
    r"i (?:take|change|lower|"
    r"raise|revise|correct|would (?:now|rather|lower|raise))|(?:lowered|raised|changed|revised|reduced) to)\b"
    r"[\s,.\u2026]*[^.;:\n\d]{0,60}?:?[\s*_]*(?P<number>(?<![\w.,/-])\d+(?:\.\d+)?)"
    r"(?=[\s*_\"')]*(?:$|[.,;!?)\n\u2026\u2014]|/\s?\d|out of\b|points?\b|instead\b|rather\b|"
    r"(?:is|seems|would be|feels) (?:\w+ )?(?:fair|fairer|right|better|more)\b|at (?:most|best)\b|(?:because|since|as|for)\b))",
    re.I,
)


class _Found(NamedTuple):
    value: float | None
    alone: bool
    problem: str = ""


def score_in(text: str, name: str = "score", *, high: float | None = None, cut: bool = False) -> Reading[float]:
    """The number that a judge's reply gives under a name.

    Args:
        text: The reply; thinking before it is left out.
        name: What the number was asked for as: "score" also finds a rating, a grade and a mark.
        high: The best score that could be given. With it "4/5" is no score of 10, and a percentage is read where it is 1 or 100.
        cut: Whether the reply was cut off at its limit of tokens; a number at its very end is then not read.

    Returns:
        The number as it was written ("7/10" is 7), or the reason why there is none: nothing was found, or several differ.
    """
    said = split_thinking(text)
    if said.unended:
        return Reading(None, "the thinking was never ended, so there is no answer")
    reply = said.answer + (_END if cut else "")
    names = (name, *_ALSO.get(name, ()))
    for candidates, last_counts in _tiers(said.answer, reply, names, high):
        found = list(candidates)
        if not found:
            continue
        read = [f for f in found if f.value is not None]
        if not read:
            return Reading(None, found[-1].problem)
        values = {f.value for f in read}
        if len(values) == 1 or last_counts:
            later = _taken_back(said.answer, names, read[-1].value, high)
            if later is not None:
                return Reading(None, f"{read[-1].value:g} seems to be taken back by what follows: {later!r:.80}")
            return Reading(read[-1].value)
        shown = ", ".join(f"{value:g}" for value in sorted(v for v in values if v is not None))
        return Reading(None, f"several numbers could be the {name}: {shown}")
    return Reading(None, f"no {name} was found")


def _tiers(answer: str, reply: str, names: tuple[str, ...], high: float | None) -> Iterator[tuple[list[_Found], bool]]:
    """What could be the score, best first, and whether of several that differ the last one counts."""
    data = _fields(answer, names, high)
    yield data, False
    yield [_value(m[1], high) for m in re.finditer(rf"(?i)<{names[0]}>([^<>]*)</{names[0]}>", reply)], False
    labelled = list(_labelled(reply, names))
    own = [_value(rest, high) for kind, rest in labelled if kind == "own"]
    yield [f for f in own if f.alone], True
    yield own, False
    if names[0] == "score":
        forms = r"\[\[([^\[\]]*)\]\]|\\(?:boxed|fbox)\{([^{}]*)\}|\[RESULT\]([^\n]*)"
        marked = [m[1] or m[2] or m[3] or "" for m in re.finditer(forms, reply)]
        yield [f for said in marked if (f := _value(said, high)).value is not None], False
    yield [_value(rest, high) for kind, rest in labelled if kind == "sum"], False
    yield [_value(rest, high) for kind, rest in labelled if kind == "part"], False
    lines = [f for line in _lines(reply) if (f := _value(line, high)).alone and (f.value is not None or f.problem)]
    said = list(_in_sentences(reply, names, high))
    if names[0] == "score":
        shares = [
            _value(reply[m.start() :], high)
            for m in re.finditer(r"(?<![\w./-])\d+(?:\.\d+)?\s*(?:/|out of)\s*\d+", reply, re.I)
        ]
        if said:  # what was said in passing must not differ from a number that stands alone
            yield [*said, *(f for f in [*shares, *lines[-1:]] if f.value is not None)], False
        yield [f for f in shares if f.value is not None or high is not None], False
    yield said, False
    yield lines, False


def _taken_back(answer: str, names: tuple[str, ...], value: float | None, high: float | None) -> str | None:
    """What says another number instead of the score, as "Score: 7... actually 5", with no score named behind it."""
    for found in _CORRECTS.finditer(answer):
        number = _value(found["number"], None)
        if number.value is None or number.value == value or (high is not None and number.value > high):
            continue
        rest = answer[found.end() :]
        again = [kind for kind, said in _labelled(rest, names) if kind != "part" and _value(said, None).value == value]
        if not again and not re.search(rf"(?i)\[\[|\\boxed|\[RESULT\]|<{names[0]}>|\{{[^{{}}]*{names[0]}", rest):
            return found[0].strip(" .,;:!?(\n\u2026\u2014-")
    return None


# ---- one value --------------------------------------------------------------------------------------------------------


def _value(fragment: str, high: float | None) -> _Found:
    """The number that a text begins with, once marks are taken off, and whether the text is nothing but it."""
    plain = re.sub(r"^[\s$*]*\\boxed\{", "", fragment).lstrip(" \t:=" + _MARKS + "[({<$\\")
    numbers = read_numbers(plain)
    if not numbers or numbers[0].start != 0:
        return _Found(None, False, f"no number where one was expected: {fragment.strip(_END)[:60]!r}")
    number = numbers[0]
    rest = plain[number.end :]
    if rest.startswith(_END):
        return _Found(None, False, "the reply was cut off at the number")
    if number.value is None:
        return _Found(None, True, number.problem)
    alone = _NOTHING.fullmatch(rest) is not None
    if re.match(rf"[\s:={_MARKS}]*[<\u2264]=?\s*\d[\d.]*(?![\d.]*\s*>)|[\s:={_MARKS}]*[>\u2265]=?\s*\d", fragment):
        return _Found(None, alone, f"a bound, not a number: {fragment.strip()[:40]!r}")
    if (
        _COUNT.match(rest)
        or "\u2030" in number.text
        or re.search(r"\d\s?[^\W\d_]", re.sub(r"(?i)\d\s?(?:percent|per cent|pct|e[-+]?\d+|x\s?10)", "", number.text))
    ):
        return _Found(None, alone, f"not a score alone: {plain.strip(_END)[:40]!r}")
    if _AND.match(rest) or (re.search(r"\d \d", number.text) and (high is None or high < 1000)):
        return _Found(None, alone, f"a range or a sum, not one number: {plain[:40]!r}")
    of = _OF.match(rest)
    try:
        most = float(number.over) if number.over is not None else float(of[1]) if of else None
        value = float(number.value * (number.over or 1))
    except OverflowError:
        return _Found(None, alone, f"a number larger than any score: {number.text[:40]!r}")
    if number.percent:
        if high not in (1, 100):
            return _Found(None, alone, f"{number.text} is a percentage, and the scale is another")
        return _Found(value / 100 if high == 1 else value, alone)
    if most is not None and high is not None and most != high:
        return _Found(None, alone, f"{value:g} of {most:g}, where the best score is {high:g}")
    return _Found(value, alone)


# ---- JSON -------------------------------------------------------------------------------------------------------------


def _fields(text: str, names: tuple[str, ...], high: float | None) -> list[_Found]:
    """Values of the JSON fields of that name: exactly, else with a word such as final, else the only one that ends so."""
    found = [given for data in reversed(all_json(text)) if (given := _fields_of(data, names, high))]
    if not found:
        return []
    others = [given for data in every_json(text) if (given := _fields_of(data, names, high))]
    values = {number.value for given in others for number in given if number.value is not None}
    if len(values) > 1 and any(number.value is not None for number in found[0]):
        shown = ", ".join(f"{value:g}" for value in sorted(values))
        return [_Found(None, True, f"several JSON objects give a {names[0]}: {shown}")]
    return found[0]


def _fields_of(data: JsonValue, names: tuple[str, ...], high: float | None) -> list[_Found]:
    for fits in (_exactly, _of_the_whole, _in_part):
        for name in names:
            found = [(depth, _number(value, high)) for depth, key, value in _items(data) if fits(_words(key), name)]
            if not found:
                continue
            nearest = found[0][0]
            sums = [  # where the parts have one each, their sum further out
                _number(value, high)
                for depth, key, value in _items(data)
                if depth < nearest and " ".join(_words(key)) in (*_SUMS, *names, "final", "final score")
                if not isinstance(value, dict | list)
            ]
            outermost = [number for depth, number in found if depth == nearest]
            if sums or not nearest or len(outermost) == 1:
                return sums or outermost
            return [_Found(None, True, f"{len(outermost)} parts have a {name} each, and there is none of the whole")]
    return []


def _items(data: JsonValue) -> Iterator[tuple[int, str, JsonValue]]:
    """All fields with their depth, those further out first."""
    level, depth = [data], 0
    while level:
        inner: list[JsonValue] = []
        for value in level:
            if isinstance(value, dict):
                yield from ((depth, key, field) for key, field in value.items())
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        level, depth = inner, depth + 1


def _words(key: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).casefold())


def _exactly(words: list[str], name: str) -> bool:
    return words == [name]


def _of_the_whole(words: list[str], name: str) -> bool:
    return name in words and all(w == name or w in _WHOLE for w in words)


def _in_part(words: list[str], name: str) -> bool:
    return words[-1:] == [name] and not _BOUNDS & set(words)


def _number(value: JsonValue, high: float | None) -> _Found:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return _Found(None, True, f"expected a number, got {value!r:.60}")
    if isinstance(value, str):
        return _value(value, high)
    return _Found(float(value), True)


# ---- text -------------------------------------------------------------------------------------------------------------


def _lines(text: str) -> list[str]:
    return [
        line.strip().lstrip("#>|*- \t\u2022") if not re.match(r"\s*-[\d.]", line) else line.strip()
        for line in text.splitlines()
        if line.strip(" \t|-:")
    ]


def _labelled(text: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What stands behind the name where it begins a line or a sentence, and of what it is the score.

    "own": of all of the answer. "sum": it is called overall or total. "part": of one side of it ("Clarity score: 3").
    """
    word = "|".join(map(re.escape, names))
    label = re.compile(
        rf"(?P<before>(?:[\w'\u2019,/-]+\s+){{0,5}}?)(?P<name>{word}){_SCALE}(?P<of>(?:\s+(?:for|of|on)\s+[^:=|"
        rf"\n\d]{{1,40}}?)?){_POINT}+{_BETWEEN}"
        rf"{_SCALE}(?P<rest>.*)",
        re.I | re.DOTALL,
    )
    bare = re.compile(
        rf"(?P<before>(?:[\w'-]+\s+){{0,2}}?)(?P<name>{word}){_SCALE}{_BETWEEN}(?P<rest>[-+]?[.\d\u2212].*|)",
        re.I | re.DOTALL,
    )
    sums = re.compile(rf"(?:{'|'.join(_SUMS)}){_SCALE}{_POINT}+{_BETWEEN}(?P<rest>\S.*)", re.I | re.DOTALL)
    lines = _lines(text)
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        for sentence in re.split(r"(?<=[.!?;])\s+", line):
            plain = sentence.lstrip(_MARKS + " ([")
            found = label.match(plain) or bare.fullmatch(plain)
            if found is None:
                if names[0] == "score" and (summed := sums.match(plain)):
                    yield "sum", summed["rest"]
                continue
            rest = found["rest"].strip(_MARKS + " :")
            if found.re is bare and re.match(r"[-\u2212]", rest) and plain[: found.start("rest")].endswith(" "):
                continue  # "Score -7": a sign or a dash
            if not rest:  # a heading
                if _value(following, None).alone:
                    rest = following
                else:
                    continue
            words = set(_words(found["before"]))
            if words & (_BOUNDS if names[0] == "score" else _BOUNDS - {"best"}) or _hedged(found["before"], rest):
                continue
            yield ("own" if words <= _WHOLE and not found.groupdict().get("of") else "part"), rest


def _hedged(before: str, rest: str) -> bool:
    number = re.match(r"\W*[\d.]+", rest)
    return bool(_BEFORE.search(before)) or (
        number is not None and bool(_AFTER.match(rest[number.end() :].split("(")[0]))
    )


def _in_sentences(text: str, names: tuple[str, ...], high: float | None) -> Iterator[_Found]:
    """Numbers behind the name within a sentence that says neither what if nor how many there could be."""
    word = "|".join(map(re.escape, names))
    for sentence in re.split(r"(?<=[.!?;])\s+|\n", text):
        for found in re.finditer(
            rf"(?i)\b(?:{word})\b{_BETWEEN}(?:of|is|was|:|=|at)\s*{_BETWEEN}([-+\u2212]?[.\d].*)", sentence
        ):
            before = sentence[: found.start()]
            if set(_words(before)[-2:]) & _BOUNDS or _hedged(before, found[1]):
                continue
            yield _value(found[1], high)
