"""Which of several a judge's reply decides for: a letter, yes or no, or another word.

A verdict decides: a JSON field, a tag, a line such as "Better: A", a letter in double brackets or in a box, a line that is the
choice alone, a sentence that says which is better. To be mentioned decides nothing: "Answer B misses the point" is no vote for B.
Where what is read first names several, there is no choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from loopwright.blocks.json_text import all_json, strings
from loopwright.blocks.text.fences import split_thinking
from loopwright.blocks.text.reading import Reading

TIE = "tie"
_MARKS = "*`_\"'\u201c\u201d\u2018\u2019"
_B = rf"[\s{_MARKS}]*"
_VERDICTS = (
    "better", "best", "winner", "verdict", "choice", "choose", "preferred", "preference", "prefer", "answer", "decision", "judgment", "judgement",
    "result", "conclusion", "pick", "selected", "selection", "vote",
)  # fmt: skip
_FILL = "(?:the|my|our|so|thus|therefore|hence|overall|final|better|best|preferred|winning|correct|chosen|is|one|in|short|and)"
_THING = r"(?:answers?|responses?|options?|assistants?|candidates?|outputs?|solutions?|models?|texts?|summary|summaries|completions?|repl(?:y|ies)|versions?|choices?|tr(?:y|ies)|thoughts?|number|no\.)"
_EQUAL = (
    r"(?:(?:a|it(?:'s| is) a)?\s*(?:tie|draw)|tied?|equal(?:ly)?(?: good| bad| matched)?|neither(?: (?:one|answer|response|is better))?|"
    r"both(?: (?:are )?equal(?:ly)?(?: good| bad)?)?|same|even|no (?:clear )?(?:difference|winner|preference))"
)
_NOT = re.compile(
    r"(?i)\b(?:not|never|nor|neither|cannot|if|unless|whether|would|could|might|may|should|either|which|who|what|some|someone|perhaps|maybe|"
    r"at first|seems? at|hardly|claims?|says?)\b|n't\b|n\u2019t\b|\?"
)
_BETTER = "better|best|stronger|strongest|superior|preferable|preferred|winner|more (?:accurate|helpful|correct|complete|convincing)"
_WORSE = "worse|worst|weaker|weakest|inferior|less (?:accurate|helpful|correct|complete|convincing)"


def choice_in(text: str, options: Sequence[str] = ("A", "B"), *, cut: bool = False, ties: bool = True) -> Reading[str]:
    """Which of the options a judge's reply decides for.

    Args:
        text: The reply; thinking before it is left out.
        options: What there was to choose from, such as letters, numbers, or words.
        cut: Whether the reply was cut off at its limit of tokens; then only a verdict line counts, as what was said so far need
            not be the end of it.
        ties: Whether "tie", "equal" and the like, and ``[[C]]`` where C is no option, are read as "tie".

    Returns:
        One of the options as it was given, "tie", or the reason why there is none.
    """
    said = split_thinking(text)
    if said.unended:
        return Reading(None, "the thinking was never ended, so there is no answer")
    reader = _Reader(options, ties)
    for found, verdict in reader.tiers(said.answer):
        chosen = list(dict.fromkeys(found))
        if not chosen or (cut and not verdict):
            continue
        if len(chosen) == 1:
            return Reading(chosen[0])
        return Reading(None, f"it decides for several: {', '.join(chosen)}")
    if cut:
        return Reading(None, "it was cut off before a verdict line")
    return Reading(None, f"it decides for none of {', '.join(options)}")


class _Reader:
    """What in a reply decides between the options."""

    def __init__(self, options: Sequence[str], ties: bool) -> None:
        self.by_name: Mapping[str, str] = {option.casefold(): option for option in options}
        self.ties = ties
        self.letters = all(len(option) == 1 for option in options)  # or digits: a word would not be mistaken for another
        names = "|".join(re.escape(option) for option in sorted(options, key=len, reverse=True))
        self.named = rf"(?<!\w)(?:{names})(?![\w+])"
        marked = rf"(?:{names}|C)" if ties and "c" not in self.by_name else rf"(?:{names})"
        open, close = r"[\[({<$\\]*(?:boxed\{|text\{)?", r"[\])}>$]*"
        self.thing = rf"(?:the\s+)?(?:{_THING}\s*)?{_B}{open}{_B}(?P<x>{marked if ties else names})(?![\w+]){_B}{close}{_B}(?:\s+{_THING}\b)?"
        self.equal = rf"{_B}{open}{_B}(?P<tie>{_EQUAL}){_B}{close}{_B}"
        value = rf"(?:{self.thing}|{self.equal})" if ties else self.thing
        labels = "|".join(_VERDICTS)
        self.line = re.compile(
            rf"(?:{_FILL}\W+)*(?:{labels})(?:\s*\([^)\n]*\))?(?:\s+{_THING})?{_B}(?:[:=|\u2192-]|->|\bis\b:?)+{_B}(?:is\s+)?{value}(?P<rest>.*)", re.I | re.DOTALL
        )
        self.heading = re.compile(rf"(?:{_FILL}\W+)*(?:{labels})(?:\s+{_THING})?{_B}[:=|]?{_B}", re.I)
        self.alone = re.compile(rf"{value}[.!\s]*", re.I)
        self.alone_exactly = re.compile(rf"{value}[.!\s]*") if self.letters else self.alone
        self.begins = re.compile(rf"{self.thing}\s*(?:[.,;!\u2014]|[-\u2013]\s|\bbecause\b|\bsince\b|\bas it\b)")

    # ---- from the surest on -------------------------------------------------------------------------------------------

    def tiers(self, text: str) -> Iterator[tuple[list[str], bool]]:
        """What decides, the surest first, and whether it is a verdict that a cut reply holds as well."""
        yield self._json(text), True
        yield [found for m in re.finditer(rf"(?i)<(?:{'|'.join(_VERDICTS)})>([^<>]*)</", text) if (found := self._one(m[1], labelled=True))][-1:], True
        lines = [_plain(line) for line in text.splitlines() if line.strip()]
        whole, partly = self._verdicts(lines)
        yield whole[-1:], True
        yield partly, True
        yield self._bracketed(text), True
        edges = [line for line in dict.fromkeys([*lines[:1], *lines[-1:]])]
        yield [found for line in edges if (found := self._one(line, exactly=len(lines) > 1))], False
        yield list(self._sentences(lines)), False
        if lines and not self.letters:
            yield [found for found in [self._last_word(lines[-1])] if found], False
        if lines:
            begun = self.begins.match(lines[0])
            yield [found for found in [self._meant(begun)] if begun and found and not _NOT.search(lines[0][: begun.end()])], False

    def _meant(self, found: re.Match[str] | None) -> str | None:
        if found is None:
            return None
        groups = found.groupdict()
        if groups.get("tie"):
            return TIE
        letter = (groups.get("x") or "").casefold()
        return self.by_name.get(letter) or (TIE if letter == "c" and self.ties else None)

    def _one(self, text: str, exactly: bool = False, labelled: bool = False) -> str | None:
        """The option that a text is, nothing else; a single letter in a line of several must be written as it was given."""
        found = self._meant((self.alone_exactly if exactly else self.alone).fullmatch(text.strip()))
        unclear = text.strip().strip(_MARKS + ".!").casefold() in ("c", "neither", "both", "same", "even")  # good, or bad?
        return None if found == TIE and unclear and not labelled else found

    def _json(self, text: str) -> list[str]:
        for data in reversed(all_json(text)) if "{" in text else ():
            fields = list(_fields(data))
            for names in (_VERDICTS, None):
                said = [value for key, value in fields if names is None or set(re.findall(r"[a-z]+", key.casefold())) & set(names)]
                found = [one for value in said for s in strings(value) or () if (one := self._one(s, labelled=names is not None))]
                found += [one for value in said if isinstance(value, int) and (one := self.by_name.get(str(value)))]
                if found:
                    return found
                whole = [self._verdicts([_plain(s)]) for value in said for s in strings(value)] if names else []
                found = [one for pair in whole for part in pair for one in part]
                if found:
                    return found
        return []

    def _verdicts(self, lines: Sequence[str]) -> tuple[list[str], list[str]]:
        """Of lines that begin as a verdict: those that say nothing else, and those that go on."""
        whole: list[str] = []
        partly: list[str] = []
        for i, line in enumerate(lines):
            if i + 1 < len(lines) and self.heading.fullmatch(line) and (found := self._one(lines[i + 1], labelled=True)):
                whole.append(found)
            for sentence in re.split(r"(?<=[.!?;])\s+", line):
                found = self._verdict(self.line.fullmatch(sentence.lstrip(_MARKS + " ([")))
                if found is not None:
                    (whole if found[1] else partly).append(found[0])
        return whole, partly

    def _verdict(self, found: re.Match[str] | None) -> tuple[str, bool] | None:
        meant = self._meant(found)
        if found is None or meant is None:
            return None
        rest = found["rest"].strip(_MARKS + " .!)]")
        if not rest:
            return meant, True
        if re.match(rf"(?i)\s*(?:/|or\b|and\b|,|&|\|)\s*(?:{_THING}\s*)?{self.named}", found["rest"]):  # "A or B", as it was asked
            return None
        if re.match(rf"(?i)\s*{_B}(?:is|was|has|misses|lacks|does|fails|are|were|being|'s|{_WORSE})\b", found["rest"]) or _NOT.match(rest):
            better = re.match(rf"(?i)\s*{_B}(?:is|was)\s+(?:\w+\s+)?(?:{_BETTER})\b", found["rest"])
            return (meant, False) if better else None
        follows = re.match(r"\s*(?:[-\u2013\u2014(,;:.|]|because\b|since\b|as\b|over\b|overall\b|than\b|by\b|for\b|wins\b)", found["rest"], re.I)
        return (meant, False) if follows else None

    def _bracketed(self, text: str) -> list[str]:
        pattern = rf"(?i)\[\[\s*({self.thing}|{self.equal})\s*\]\]|\\(?:boxed|fbox)\{{(?:\\text\{{)?\s*({self.thing}|{self.equal})\s*\}}"
        pattern = re.sub(r"\?P<\w+>", "?:", pattern)
        found = [(self._mark(m[1] or m[2]), m.end()) for m in re.finditer(pattern, text)]
        known = [(name, end) for name, end in found if name]
        if len({name for name, _ in known}) > 1:  # the last one decides where the reply ends with it
            last, end = known[-1]
            ends, listed = not text[end:].strip(_MARKS + " .!\n$}"), re.search(r"\]\]\W*(?:or|and|/|,)?\W*\[\[[^\[\]]*\]\]\W*$", text[:end])
            return [last] if last and ends and not listed else [name for name, _ in known if name]
        return [name for name, _ in known[-1:] if name]

    def _mark(self, text: str) -> str | None:
        return self._meant(self.alone.fullmatch(text.strip()))

    def _last_word(self, line: str) -> str | None:
        """An option that is the last word of the reply, where the words before do not take it back."""
        found = re.search(rf"(?i){self.named}(?=[\s.!)\]{_MARKS}]*$)", line)
        before = line[: found.start()] if found else ""
        if found is None or re.search(r"(?i)\b(?:not|never|no|or|isn't|n't)\W*(?:\w+\W+)?$", before):
            return None
        return self.by_name[found[0].casefold()]

    def _sentences(self, lines: Sequence[str]) -> Iterator[str]:
        """What whole sentences say is better."""
        x = rf"(?:the\s+)?(?:{_THING}\s*)?[\s{_MARKS}(\[]*(?P<x>{self.named})[\s{_MARKS})\]]*(?:'s\s+)?(?:{_THING}\s*)?"
        y = re.sub(r"\?P<x>", "?P<y>", x)
        end = r"\s*(?:[.,;:!(\u2014]|$|[-\u2013]\s|than\b|because\b|since\b|as\b|overall\b|to\b|of the two\b|here\b|one\b|(?:answer|response|option|choice)\b|by far\b|due\b)"
        very = r"(?:(?:clearly|much|far|slightly|somewhat|definitely|overall|therefore|thus|also|a bit|a little|significantly|marginally|the|simply|still)\s+)*"
        forms = [
            (rf"\b{x}\s*(?:is|was|seems|looks|appears(?: to be)?|reads)\s+{very}(?P<how>{_BETTER}|{_WORSE}){end}", "how"),
            (rf"\b{x}\s*(?P<how>wins|beats|outperforms|surpasses|is preferred|loses){end[:-1]}|\s+{y})", "how"),
            (rf"\b(?:better|best|stronger|winning|superior|preferred|preferable|chosen|most promising|likeliest)\s*(?:{_THING}|one)?\s*(?:is|:)\s*(?:clearly\s+)?{x}{end}", ""),
            (rf"\b(?:prefer|choose|pick|select|favou?r|go with|went with|vote for|opt for|goes to|settle on)\s+{x}{end}", ""),
            (rf"\b(?:winner|verdict|choice|preference|pick|answer|vote)\s+(?:is|goes to|would be)\s+{x}{end}", ""),
            (rf"^(?:it is|it's|i think it is|i think|definitely|clearly)\s+{x}[.!\s]*$", ""),
        ]
        for line in lines:
            for sentence in re.split(r"(?<=[.!?;])\s+|,?\s+\b(?:but|while|whereas|although|though|however)\b,?\s+", line):
                if self.ties and _ties(sentence):
                    yield TIE
                    continue
                for form, how in forms:
                    found = re.search(form, sentence, re.I)
                    if found is None or _NOT.search(sentence):
                        continue
                    if self.letters and found["x"] != self.by_name[found["x"].casefold()]:  # "a" is an article
                        continue
                    name = self.by_name[found["x"].casefold()]
                    worse = bool(how) and re.fullmatch(f"{_WORSE}|loses", found[how], re.I) is not None
                    if worse and len(self.by_name) == 2:
                        yield next(option for option in self.by_name.values() if option != name)
                    elif not worse:
                        yield name
                    break


def _ties(sentence: str) -> bool:
    if re.search(r"(?i)\bnot\b|n't\b|\bif\b|\?", sentence):
        return False
    return bool(
        re.search(
            r"(?i)\b(?:it(?:'s| is)|this is|call it|declare|they are|ends? in|result is|is|as)\s+(?:\w+\s+)?(?:a\s+)?(?:tie|draw|tied|dead heat)\b|"
            r"\b(?:are|were|both)\s+(?:\w+\s+){0,2}?(?:equal(?:ly)?|tied|identical|the same|on a par|equivalent|comparable)\b|"
            r"\bneither(?:\s+(?:\w+\s+){0,3}?)(?:is|was)\s+(?:\w+\s+)?(?:better|superior|stronger|preferable)\b|"
            r"\bno (?:clear |real |meaningful )?(?:difference|winner|preference)\b|^\W*(?:a\s+)?(?:tie|draw)\W*$",
            sentence,
        )
    )


def _fields(data: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield key, value
            yield from _fields(value)
    elif isinstance(data, list):
        for value in data:
            yield from _fields(value)


def _plain(line: str) -> str:
    """A line without marks of lists, headings, quotations, tables and emphasis around it."""
    return re.sub(r"\*\*|__|(?<!\w)[*_`](?=\w)|(?<=\w)[*_`](?!\w)", "", line).strip().strip("#>|*\u2022 \t").removeprefix("- ").strip(" |")


# ---- yes and no -------------------------------------------------------------------------------------------------------

_ASKED = ("answer", "verdict", "met", "result", "decision", "judgment", "judgement", "conclusion", "correct", "final answer", "satisfied", "passed")
_CLAUSE = r"(?=[\s*_`\"')\]]*(?:$|[.,:;!)\]\n|(/\u2014-]|\b(?:it|the|this|that|there|they|he|she|i|we|because|since|as|answer|response|step|none|all|both|not)\b))"


def yes_in(text: str, yes: str = "yes", no: str = "no", *, cut: bool = False) -> Reading[bool]:
    """Whether a reply says one word or the other.

    Args:
        text: The reply; thinking before it is left out.
        yes, no: The two words that were asked for.
        cut: Whether the reply was cut off at its limit of tokens; then only a line such as "Answer: yes", or how it begins, counts.

    Returns:
        True for ``yes``, False for ``no``, or the reason why there is neither. In JSON a field such as "answer" decides; in text a
        line such as "Answer: yes", else how the reply begins, else its last line, else the only one of the words that is said at
        all. "no" before a noun ("no errors") is not an answer, and "not correct" is not "correct".
    """
    said = split_thinking(text)
    if said.unended:
        return Reading(None, "the thinking was never ended, so there is no answer")
    answer = said.answer
    for data in reversed(all_json(answer)) if "{" in answer else ():
        found = _said_in(data, yes, no)
        if len(found) > 1:
            return Reading(None, f"it says both {yes} and {no}")
        if found:
            return Reading(found.pop())
    value = truth(answer, yes, no, cut=cut)
    return Reading(value, "" if value is not None else f"it says neither {yes} nor {no} clearly")


def _said_in(data: JsonValue, yes: str, no: str) -> set[bool]:
    """What the fields of JSON mean that are called "answer" and the like, else all of its fields."""
    fields = list(_fields(data))
    for named in (True, False):
        values = [truth(v, yes, no) for k, v in fields if not named or k.casefold().strip() in _ASKED]
        if found := {value for value in values if value is not None}:
            return found
    return set()


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
    either = "|".join(re.escape(word) for word in sorted(words.values(), key=len, reverse=True))
    meant = {word.casefold(): key for key, word in words.items()}
    lines = [_plain(line) for line in value.strip().splitlines() if line.strip()]
    label = rf"(?i)(?:(?:the|my|final|short)\s+)*(?:{'|'.join(_ASKED)})\??{_B}(?:[:=|\u2192-]|->|\bis\b:?)+[\s\[(<{_MARKS}]*({either})(?!\w)"
    labelled = [m[1] for line in lines if (m := re.match(label, line)) and not re.match(r"\W*(?:/|or)\s*\w", line[m.end() :])]
    if labelled:
        return meant[labelled[-1].casefold()]
    plain = value.strip().lstrip(_MARKS + "[(<#> ")
    begins = re.match(rf"(?i)({either})(?!\w){_CLAUSE if _determiner(words) else ''}", plain)
    if begins and not re.match(r"\W*(?:/|or\b)\s*\w", plain[begins.end() :]):
        return meant[begins[1].casefold()]
    for place in [lines[-1], value] if lines and not cut else []:
        ends = re.search(rf"(?i)(?:^|[:=\u2013\u2014>|-])[\s\[(<{_MARKS}]*({either})[\s.!\])>{_MARKS}]*$", place)
        if ends:
            return meant[ends[1].casefold()]
        held = {key for key, word in words.items() if _says(place, word)}
        if len(held) == 1:
            return held.pop()
    return None


def _determiner(words: Mapping[bool, str]) -> bool:
    return words[False].casefold() == "no"


def _says(text: str, word: str) -> bool:
    """Whether a word is said of something: not "no" before a noun, and not what is denied."""
    for found in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE):
        if word.casefold() == "no" and re.match(r"\s+\w", text[found.end() :]):
            continue
        if re.search(r"(?i)(?:(?:\bnot|n't|n\u2019t|\bnever|\bneither)\s+(?:\w+\s+)?|\bno\s+(?:\w+\s+){1,4})$", text[: found.start()][-80:]):
            continue
        return True
    return False
