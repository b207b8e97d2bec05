"""Which of several a judge's reply decides for: a letter, a number, or a word.

A verdict decides: a JSON field, a tag, a line such as "Better: A", a letter in double brackets or in a box, a line that is the
choice alone, a sentence that says which is better. To be mentioned decides nothing: "Answer B misses the point" is no vote for B.
Where what is read first names several, there is no choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from loopwright.blocks.json_text import all_json, strings
from loopwright.blocks.text.reading import Reading
from loopwright.core.fences import split_thinking

TIE = "tie"
MARKS = "*`_\"'\u201c\u201d\u2018\u2019"
BLANK = rf"[\s{MARKS}]*"
_RUN = re.compile(r"((?:[^\S\n]|[^\w\s]|_){40})(?:[^\S\n]|[^\w\s]|_)+")  # longer ones of marks only take time, much of it
POINT = rf"{BLANK}(?:[:=|\u2192-]|->|\bis\b:?)+{BLANK}"  # between a label and what it labels
_LABELS = (
    "better", "best", "winner", "verdict", "choice", "choose", "preferred", "preference", "prefer", "answer", "decision",
    "judgment", "judgement", "result", "conclusion", "pick", "selected", "selection", "vote",
)  # fmt: skip
_LABEL = "|".join(_LABELS)
_ANSWERS = ("answer", "result", "conclusion")
_FILL = (
    r"(?:(?:actually|wait|no|on reflection|on second thoughts?|sorry|correction|the|my|our|so|thus|therefore|"
    r"hence|overall|final|better|best|preferred|winning|chosen|is|one|in|short|and)"
    r"\W+)*"
)
_THING = (
    r"(?:answers?|responses?|options?|assistants?|candidates?|outputs?|solutions?|models?|texts?|summary|summaries|"
    r"completions?|"
    r"repl(?:y|ies)|versions?|choices?|tr(?:y|ies)|thoughts?|number|no\.)"
)
_EQUAL = (
    r"(?:(?:a|it(?:'s| is) a)?\s*(?:tie|draw)|tied?|equal(?:ly)?(?: good| bad| matched)?|"
    r"neither(?: (?:one|answer|response|is better))?|both(?: (?:are )?equal(?:ly)?(?: good| bad)?)?|same|even|"
    r"no (?:clear )?(?:difference|winner|preference))"
)
_UNCLEAR = ("neither", "both", "same", "even")  # alone, without a label, these may mean good or bad
_NOT = re.compile(
    r"(?i)\b(?:not|never|nor|neither|cannot|if|unless|whether|would|could|might|may|should|either|which|who|what|some|someone|"
    r"perhaps|maybe|at first|seems? at|hardly|claims?|says?)\b|n't\b|n\u2019t\b|\?"
)
_MORE = "(?:accurate|helpful|correct|complete|convincing)"
_BETTER = f"better|best|stronger|strongest|superior|preferable|preferred|winner|more {_MORE}"
_WORSE = f"worse|worst|weaker|weakest|inferior|less {_MORE}"
_DECIDES = "better|best|stronger|winning|superior|preferred|preferable|chosen|most promising|likeliest"
_REJECTS = "worse|worst|weaker|weakest|inferior|losing|rejected|loser"
_CHOOSES = r"prefer|choose|pick|select|favou?r|go with|went with|vote for|opt for|goes to|settle on"
_VERY = (
    r"(?:(?:clearly|much|far|slightly|somewhat|definitely|overall|therefore|thus|also|a bit|a little|significantly|marginally|"
    r"the|simply|still)\s+)*"
)
_STOP = (  # what may follow a whole statement: "A is better in tone" is none
    r"[.,;:!(\u2014]|$|[-\u2013]\s|than\b|because\b|since\b|as\b|overall\b|to\b|of the two\b|here\b|one\b|"
    r"(?:answer|response|option|choice)\b|by far\b|due\b"
)
_IF = re.compile(  # an open condition: it decides only with others that say the same
    r"(?i)\b(?:if|unless|provided|assuming|depending|whenever|"
    r"when(?! (?:i|we|it comes|compar\w+|consider\w+|look\w*|judg\w+|read\w*|weigh\w*|taken|all)\b))\b"
)
_WERE = re.compile(r"(?i)\b(?:would|were|had|could|might)\b|n't\b|\bnot\b|\?")  # a condition that does not hold
_ASPECT = re.compile(  # "For style, B is better" is said of a part
    r"(?i)(?:^|[,;:(]\s*)\W*(?:(?:but|and|while|whereas)\s+)?(?:(?:only )?(?:for|in terms of|on|as (?:for|to|far as)|regarding|"
    r"concerning|with (?:respect|regard) to|in|when it comes to|by)\s+(?!(?:me|my|our|its?|this|these|that|those|all|"
    r"the (?:end|whole)|"
    r"short|sum|summary|conclusion|general|total|fact|contrast|comparison|addition|balance|reflection|the other hand|"
    r"other words|light|view|any case|consequence|example|instance|comparing|virtue|far)\b)[^,;:]+|"
    r"(?:stylistically|grammatically|factually|structurally|technically|visually|semantically|syntactically|otherwise|else))"
    r"[,:]?\s*$"
)
_LEADS = frozenset(  # words that may stand before the choice; after any other it is part of a name: "Hepatitis B"
    "so thus therefore hence overall that think believe feel find say conclude consider judge and but or while whereas "
    "although "
    "though because since as here now then than to of is was are be the yet still again finally ultimately definitely "
    "view opinion "
    "judgment judgement assessment summary short conclusion sum general balance end whole reflection comparison clear clearly "
    "answer verdict choice decision winner result case me my no yes well ok okay both two between these reasons reason "
    "it seems "
    "looks appears how what which why where when if whether would i we means suggests makes made considering however "
    "also only just "
    "even rate call deem declare compared unlike given final better best".split()
)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+")
_CLAUSE = re.compile(r"(?<=[.!?;])\s+|,?\s+\b(?:but|while|whereas|although|though|however)\b,?\s+")
_TIES = re.compile(
    r"(?i)\b(?:it(?:'s| is)|this is|call it|declare|they are|ends? in|result is|is|as)\s+(?:\w+\s+)?(?:a\s+)?"
    r"(?:tie|draw|tied|dead heat)\b|"
    r"\b(?:are|were|both)\s+(?:\w+\s+){0,2}?(?:equal(?:ly)?|tied|identical|the same|on a par|equivalent|comparable)\b|"
    r"\bneither(?:\s+(?:\w+\s+){0,3}?)(?:is|was)\s+(?:\w+\s+)?(?:better|superior|stronger|preferable)\b|"
    r"\bno (?:clear |real |meaningful )?(?:difference|winner|preference)\b|^\W*(?:a\s+)?(?:tie|draw)\W*$"
)
_NO_TIE = re.compile(
    r"(?i)\b(?:not|if|almost|nearly)\b|n't\b|\?|\bno (?:tie|draw)\b|"
    r"\bequally\s+(?!(?:good|bad|well|strong|weak|matched|poor)\b)\w|\b(?:same|identical|equal|comparable)\s+in\b"
)


def choice_in(text: str, options: Sequence[str] = ("A", "B"), *, cut: bool = False, ties: bool = True) -> Reading[str]:
    """Which of the options a judge's reply decides for.

    Args:
        text: The reply; thinking before it is left out.
        options: What there was to choose from, such as letters, numbers, or words.
        cut: Whether the reply was cut off at its limit of tokens; then only a verdict line counts, as what was said so far need
            not be the end of it.
        ties: Whether "tie", "equal" and the like, and ``[[C]]`` where C is no option, are read as "tie". Without the
            double brackets C is what it was not asked for, and there is no choice.

    Returns:
        One of the options as it was given, "tie", or the reason why there is none.
    """
    said = split_thinking(text)
    if said.unended:
        return Reading(None, "the thinking was never ended, so there is no answer")
    reader = _Reader(options, ties)
    answer = _RUN.sub(r"\1", said.answer)
    for found, verdict in reader.tiers(answer):
        chosen = list(dict.fromkeys(found))
        if not verdict and (other := reader.not_offered(answer)):
            return Reading(None, f"it decides for {other}, which is none of {', '.join(options)}")
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
        self.letters = all(
            len(option) == 1 for option in options
        )  # or digits: a word would not be mistaken for another
        names = "|".join(re.escape(option) for option in sorted(options, key=len, reverse=True))
        self.named = rf"(?<!\w)(?:{names})(?![\w+])"
        self.third = ties and "c" not in self.by_name
        opened, closed = rf"{BLANK}[\[({{<$\\]*(?:boxed\{{|text\{{)?{BLANK}", rf"{BLANK}[\])}}>$]*{BLANK}"
        self.thing = rf"(?:the\s+)?(?:{_THING}\s*)?{opened}(?P<x>{names})(?![\w+]){closed}(?:\s+{_THING}\b)?"
        equal = _EQUAL + (r"|(?<=\[\[)C(?=\]\])" if self.third else "")
        self.equal = rf"{opened}(?P<tie>{equal}){closed}"
        value = rf"(?:{self.thing}|{self.equal})" if ties else self.thing
        label = rf"{_FILL}(?P<label>{_LABEL})(?:\s*\([^)\n]*\))?(?:\s+{_THING})?"
        self.line = re.compile(rf"{label}{POINT}(?:is\s+)?{value}(?P<rest>.*)", re.I | re.DOTALL)
        self.other = re.compile(
            rf"{label}{POINT}(?:is\s+)?(?:the\s+)?(?:{_THING}\s*)?{opened}(?P<x>[A-Za-z])(?![\w+]){closed}[.!\s]*", re.I
        )
        self.heading = re.compile(rf"{label}{BLANK}[:=|]?{BLANK}", re.I)
        self.alone = re.compile(rf"{value}[.!\s]*", re.I)
        self.alone_exactly = re.compile(rf"{value}[.!\s]*") if self.letters else self.alone
        stop = r"[.,;!\u2014]" if self.letters else r"[.,;:!\u2014]"  # "A:" begins what is said of A
        self.begins = re.compile(
            rf"{self.thing}\s*(?:{stop}|[-\u2013]\s|\bbecause\b|\bsince\b|\bas it\b)", 0 if self.letters else re.I
        )
        either = re.sub(r"\?P<\w+>", "?:", rf"(?:{self.thing}|{self.equal})")
        self.marked = re.compile(
            rf"(?i)\[\[\s*({either}{'|C' if self.third else ''})\s*\]\]|\\(?:boxed|fbox)\{{(?:\\text\{{)?\s*({either})\s*\}}|"
            rf"\[RESULT\]\s*({either})[.\s]*(?=\n|$)"
        )
        self.forms = self._forms()

    def _forms(self) -> list[re.Pattern[str]]:
        """Sentences that decide: ``x`` is the option, ``how`` what it is said to be, where that may be worse."""
        x = (
            rf"(?:the\s+)?(?:{_THING}\s*)?[\s{MARKS}(\[]*(?P<x>{self.named})[\s{MARKS})\]]*"
            rf"(?:'s\s+)?(?:{_THING}\s*)?"
        )
        other, end = re.sub(r"\?P<x>", "?:", x), rf"\s*(?:{_STOP})"
        forms = (
            rf"\b{x}\s*(?:is|was|seems|looks|appears(?: to be)?|reads)\s+{_VERY}(?P<how>{_BETTER}|{_WORSE}){end}",
            rf"\b{x}\s*(?P<how>wins|beats|outperforms|surpasses|is preferred|loses)(?:{end}|\s+{other})",
            rf"\b(?:{_DECIDES})\s*(?:{_THING}|one)?\s*(?:is|:)\s*(?:clearly\s+)?{x}{end}",
            rf"\b(?P<how>{_REJECTS})\s*(?:{_THING}|one)?\s*(?:is|:)\s*{x}{end}",
            rf"\b(?:{_CHOOSES})\s+{x}{end}",
            rf"\b(?:winner|verdict|choice|preference|pick|answer|vote)\s+(?:is|goes to|would be)\s+{x}{end}",
            rf"^(?:it is|it's|i think it is|i think|definitely|clearly)\s+{x}[.!\s]*$",
        )
        return [re.compile(form, re.I) for form in forms]

    # ---- from the surest on -------------------------------------------------------------------------------------------

    def tiers(self, text: str) -> Iterator[tuple[list[str], bool]]:
        """What decides, the surest first, and whether it is a verdict that a cut reply holds as well."""
        yield self._json(text), True
        tagged = [self._one(said, labelled=True) for said in re.findall(rf"(?i)<(?:{_LABEL})>([^<>]*)</", text)]
        yield [found for found in tagged if found][-1:], True
        lines = [plain(line) for line in text.splitlines() if line.strip()]
        for verdicts in self._verdicts(lines):
            yield verdicts, True
        yield self._bracketed(text), True
        edges = dict.fromkeys([*lines[:1], *lines[-1:]])
        yield [found for line in edges if (found := self._one(line, exactly=len(lines) > 1))], False
        yield list(self._sentences(lines)), False
        if not lines:
            return
        if not self.letters and (last := self._last_word(lines[-1])):
            yield [last], False
        begun = self.begins.match(lines[0])
        first = self._meant(begun)
        others = [self._meant(other) for line in lines[1:] if (other := self.begins.match(line))]
        if begun and first and not set(others) - {first} and not _NOT.search(lines[0][: begun.end()]):
            yield [first], False

    def not_offered(self, text: str) -> str | None:
        """A letter that a verdict line names, but that was not to be chosen from."""
        for line in text.splitlines() if self.letters else ():
            for sentence in _SENTENCE.split(plain(line)):
                found = self.other.fullmatch(sentence.lstrip(MARKS + " ([")) if len(sentence) < 200 else None
                if found and found["x"].casefold() not in self.by_name and found["x"] not in ("a", "I", "i"):
                    return found["x"]
        return None

    def _meant(self, found: re.Match[str] | None) -> str | None:
        if found is None:
            return None
        groups = found.groupdict()
        if groups.get("tie"):
            return TIE
        return self.by_name.get((groups.get("x") or "").casefold())

    def _one(self, text: str, *, exactly: bool = False, labelled: bool = False) -> str | None:
        """The option that a text is, nothing else.

        exactly: a single letter must be written as it was given. labelled: it stands where a verdict is expected.
        """
        found = self._meant((self.alone_exactly if exactly else self.alone).fullmatch(text.strip()))
        unclear = text.strip().strip(MARKS + ".!").casefold() in _UNCLEAR
        return None if found == TIE and unclear and not labelled else found

    def _json(self, text: str) -> list[str]:
        for data in reversed(all_json(text)) if "{" in text else ():
            everything = list(fields(data))
            words = [(set(re.findall(r"[a-z]+", key.casefold())), value) for key, value in everything]
            words = [(key, value) for key, value in words if not key & {*_REJECTS.split("|"), "bad", "not"}]
            named = [value for key, value in words if key & set(_LABELS) - {"answer"}]
            answers = [value for key, value in words if "answer" in key]
            for said, labelled in ((named, True), (answers, True), ([value for _, value in words], False)):
                found = [one for value in said for s in strings(value) if (one := self._one(s, labelled=labelled))]
                found += [one for value in said if isinstance(value, int) and (one := self.by_name.get(str(value)))]
                if not found and labelled:
                    parts = [part for value in said for s in strings(value) for part in self._verdicts([plain(s)])]
                    found = [one for part in parts for one in part]
                if found:
                    return found
        return []

    def _verdicts(self, lines: Sequence[str]) -> tuple[list[str], ...]:
        """Of lines that begin as a verdict: those that say nothing else, and those that go on; then those called an answer."""
        whole: list[str] = []
        partly: list[str] = []
        answers: list[str] = []  # the answer to the question, perhaps
        for i, line in enumerate(lines):
            head = self.heading.fullmatch(line) if i + 1 < len(lines) else None
            following = self._one(lines[i + 1], labelled=True) if head else None
            if head and following:
                (answers if _weak(head) else whole).append(following)
            for sentence in _SENTENCE.split(line):
                match = self.line.fullmatch(sentence.lstrip(MARKS + " (["))
                found = self._verdict(match)
                if match is not None and found is not None:
                    (answers if _weak(match) else whole if found[1] else partly).append(found[0])
        return whole[-1:], partly, answers[-1:]

    def _verdict(self, found: re.Match[str] | None) -> tuple[str, bool] | None:
        """What a line that begins as a verdict decides, and whether it says nothing else."""
        meant = self._meant(found)
        if found is None or meant is None:
            return None
        rest = found["rest"]
        if not rest.strip(MARKS + " .!)]"):
            return meant, True
        if re.match(
            rf"(?i)\s*(?:/|or\b|and\b|,|&|\|)\s*(?:{_THING}\s*)?{self.named}", rest
        ):  # "A or B", as it was asked
            return None
        if re.search(  # "A for accuracy, B for style"
            rf"(?i)\b(?:for|in|on|if|when)\b.*(?:,|;|\band|\bbut|\bwhile|\bwhereas)\s*(?:{_THING}\s*)?{self.named}\s*"
            rf"(?:for|in|on|if|when|otherwise|else)\b|^\W*(?:if|when|unless)\b",
            rest,
        ):
            return None
        if re.match(rf"(?i){BLANK}(?:is|was)\s+(?:\w+\s+)?(?:{_BETTER})\b", rest):
            return meant, False
        goes_on = r"\s*(?:[-\u2013\u2014(,;:.|]|(?:because|since|as|over|overall|than|by|for|wins)\b)"
        return (meant, False) if re.match(goes_on, rest, re.I) and not _NOT.match(rest.strip(MARKS + " .!)]")) else None

    def _bracketed(self, text: str) -> list[str]:
        """Options in double brackets or in a box; of several the last one where the reply ends with it."""
        found = [
            (
                TIE
                if self.third and (m[1] or "").strip() in ("C", "c")
                else self._meant(self.alone.fullmatch((m[1] or m[2] or m[3]).strip())),
                m.end(),
            )
            for m in self.marked.finditer(text)
        ]
        known = [(name, end) for name, end in found if name]
        names = [name for name, _ in known]
        if len(set(names)) < 2:
            return names
        ends = not text[known[-1][1] :].strip(MARKS + " .!\n$}")
        listed = re.search(r"\]\]\W*(?:or|and)?\W*\[\[[^\[\]]*\]\]\W*$", text[: known[-1][1]])
        return names[-1:] if ends and not listed else names

    def _last_word(self, line: str) -> str | None:
        """An option that is the last word of the reply, where the words before do not take it back."""
        found = re.search(rf"(?i){self.named}(?=[\s.!)\]{MARKS}]*$)", line)
        if found is None or re.search(
            r"(?i)\b(?:not|never|no|or|isn't|n't)[\s,]+(?:\w+[\s,]+)?$", line[: found.start()]
        ):
            return None
        return self.by_name[found[0].casefold()]

    def _sentences(self, lines: Sequence[str]) -> Iterator[str]:
        """What whole sentences say is better; what they say so on a condition only beside something else that is."""
        on_condition: list[str] = []
        decided: list[str] = []
        for clause in (clause for line in lines for clause in _CLAUSE.split(line)):
            if self.ties and _TIES.search(clause):
                if not _NO_TIE.search(clause):
                    decided.append(TIE)
                continue
            conditional = bool(_IF.search(clause)) and not _WERE.search(clause)
            if _NOT.search(clause) and not conditional:
                continue
            for form in self.forms:
                found = next((m for m in form.finditer(clause) if not self._in_a_name(m, clause)), None)
                name = self.by_name[found["x"].casefold()] if found else ""
                if found is None or (self.letters and found["x"] != name):  # "a" is an article
                    continue
                if _ASPECT.search(clause[: found.start()]):
                    break
                said = on_condition if conditional else decided
                if not re.fullmatch(f"{_WORSE}|{_REJECTS}|loses", found.groupdict().get("how") or "", re.I):
                    said.append(name)
                elif len(self.by_name) == 2:
                    said.append(next(option for option in self.by_name.values() if option != name))
                break
        yield from decided
        if decided:
            yield from on_condition

    def _in_a_name(self, found: re.Match[str], clause: str) -> bool:
        """Whether a letter ends a name, as in "Hepatitis B is worse": the word before it leads to no choice."""
        before = re.search(r"([\w'\u2019]+)\s*$", clause[: found.start()])
        bare = clause[found.start() : found.start("x")].strip(MARKS + " (").casefold()
        if not self.letters or before is None or bare not in ("", "the") or found.start("x") - found.start() > 40:
            return False
        word = before[1].casefold()
        return word not in _LEADS and word not in self.by_name and not word.endswith(("ly", "'d", "'s"))


def _weak(label: re.Match[str]) -> bool:
    """Whether a verdict is called an answer or a result, not the better one: it may be the answer to the question."""
    before = label.string[: label.end("label")].casefold()
    return label["label"].casefold() in _ANSWERS and not re.search("better|best|preferred|winning|chosen", before)


def fields(data: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """All fields of JSON, with those within."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield key, value
            yield from fields(value)
    elif isinstance(data, list):
        for value in data:
            yield from fields(value)


def plain(line: str) -> str:
    """A line without the marks of lists, headings, quotations, tables and emphasis."""
    bare = re.sub(r"\*\*|__|(?<!\w)[*_`](?=\w)|(?<=\w)[*_`](?!\w)", "", line).strip().strip("#>|*\u2022 \t")
    return bare.removeprefix("- ").strip(" |")
