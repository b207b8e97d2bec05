"""The toy as judge: right about an equation more often than not, and saying so in whatever form it is asked for.

A critic is not written for the toy, so the toy reads the request as a person would. In this order:

* a JSON schema, or a JSON object spelled out in the prompt: filled in, field by field;
* numbered questions or steps: a line for each, "1. yes";
* "A or B" with two labelled answers: the letter of the better one, "tie" where the prompt allows it;
* two words to choose from ("yes or no", "CORRECT/INCORRECT") or a range ("from 1 to 5"): whichever is named last; a number
  for a right answer lies in the upper part of its range, for a wrong one in the lower;
* asked to write questions or criteria: two of them;
* anything else: what is wrong, in words, or the word that the prompt gives for nothing being wrong ("reply 'OK' if ...").

A label before the place to fill in ("Score: <number>", "Verdict: [[A]]") is repeated, and where the prompt has such places for
reasons as well, they are filled with words. What is judged is the last equation of the text; a text without one is wrong.
A request that holds nothing but the world's own question is answered, as the toy answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from loopwright.checks.toy import EQUATION, INSTRUCTION, SUM, ToyModel, is_right, objection, share
from loopwright.core.model import Request

SKILL = 0.85  # chance that a judgement of an equation is right
HARD = 0.15  # share of equations that it mostly gets wrong, so that a vote of many replies is not always right

Opinion = Callable[[str], bool]

_PAIRS = (
    "yes/no", "true/false", "correct/incorrect", "right/wrong", "pass/fail", "passed/failed", "valid/invalid", "good/bad",
    "accept/reject", "accepted/rejected", "met/unmet", "met/not met", "supported/unsupported", "ok/wrong", "correct/wrong",
    "satisfied/unsatisfied", "sound/flawed", "+/-",
)  # fmt: skip
_BETWEEN = r"[\s\"'`*<>\[\](),/|]*(?:\bor\b)?[\s\"'`*<>\[\](),/|]*"
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_RANGE = re.compile(rf"{_NUMBER}\s*(?:\([^)]*\)\s*)?(?:to|and|-|–)\s*{_NUMBER}")
_OUT_OF = re.compile(r"(?:out of\s+|/)(\d+)\b")
_PLACE = re.compile(r"([A-Za-z][\w ]{0,24}):[ \t]*(<[^<>\n]+>|\[\[[^\]\n]*\]\]|\[[^\]\n]+\]|\{[^{}\n]+\}|\.\.\.|_{2,})")
_TAG = re.compile(r"<(\w+)>([^<>]*)</\1>")
_RESULT = re.compile(r"\[([A-Z]{3,})\]")
_REASONS = re.compile(r"(?i)reason|why|expla|analy|critique|feedback|comment|thought|thinking|evidence|justif|message|problem")
_JSON = re.compile(r"\{[^{}]*\"\w+\"\s*:[^{}]*\}")
_ITEM = re.compile(r"(?m)^[ \t]*((?:step|line|question|q)?[ \t]*\d+[.):])[ \t]+(.+)$", re.IGNORECASE)
_LETTERS = re.compile(r"\[\[A\]\].*\[\[B\]\]|\bA\b[^.\n]{0,16}(?:\bor\b|/|,|\|)[^.\n]{0,16}\bB\b", re.DOTALL)
_LABEL = re.compile(r"\b([AB])\b(?:['’]s)?[^\w\n+=]{0,4}(?:[Aa]nswer|[Rr]esponse)?\s*[:\n)\]]")
_WRITE = re.compile(r"(?i)\b(?:write|list|give|make|generate|propose)\b[^.\n]{0,60}\b(?:questions|criteria|checklist|rubric)\b")
_SAY = re.compile(r"(?i)\b(?:say|reply|write|answer|respond|return|output)\b[\w\s]{0,20}[\"'“`]([^\"'”`\n]{1,30})[\"'”`]")
_CAPITALS = re.compile(r"\b(NONE|OK|LGTM|NO ERRORS?|NO ISSUES?|NOTHING)\b")


class ToyJudge(ToyModel):
    """A ToyModel that also judges. Everything it says of one request in one sample follows from one opinion of each text."""

    def _say(self, request: Request, luck: float, p: float) -> tuple[str, float]:
        if _only_asks(request):
            return super()._say(request, luck, p)

        def opinion(text: str) -> bool:
            hard = share("hard", self.seed, EQUATION.findall(text)[-1:]) < HARD
            return is_right(text) == (share("opinion", luck, text) < (1 - SKILL if hard else SKILL))

        return _Form(request, opinion, luck).reply(), 0.5


def _only_asks(request: Request) -> bool:
    """Whether this is the world's question and nothing to judge."""
    last = request.turns[-1]
    rest = SUM.sub("", last.text).replace(INSTRUCTION, "").strip()
    return last.role == "user" and SUM.search(last.text) is not None and not rest


class _Form:
    """One request as the toy reads it."""

    def __init__(self, request: Request, opinion: Opinion, luck: float) -> None:
        system = " ".join(t.text for t in request.turns if t.role == "system")
        self.last = request.turns[-1].text
        self.prompt = f"{system}\n{self.last}"
        self.whole = "\n".join(t.text for t in request.turns if t.role != "system")
        self.schema = request.sampling.schema_
        self.opinion = opinion
        self.luck = luck
        items = _ITEM.findall(self.last)
        self.items = [(label, text) for label, text in items if text.rstrip().endswith("?") or EQUATION.search(text)]
        judged = self.whole
        for _, text in self.items:  # a list of steps is judged step by step, and is the answer too
            judged = judged.replace(text, "") if not EQUATION.search(text) else judged
        self.judged = judged
        self.good = opinion(judged)

    def reply(self) -> str:
        if self.schema is not None:
            return json.dumps(self._fill(self.schema, ""))
        spelled = _JSON.findall(self.prompt)
        if spelled:
            fields = re.findall(r"\"(\w+)\"\s*:\s*([^,}]*)", spelled[-1])
            return json.dumps({key: self._field(key, hint) for key, hint in fields})
        if self.items:
            return "\n".join(
                f"{label} {self._value(self.opinion(text) if EQUATION.search(text) else self.good)}" for label, text in self.items
            )
        if _WRITE.search(self.last):
            return "1. Is the equation right?\n2. Is that the sum of the two numbers?"
        return self._framed()

    # ---- the places to fill in ------------------------------------------------------------------------------------

    def _framed(self) -> str:
        tags = _TAG.findall(self.prompt)
        if tags:
            return "\n".join(f"<{tag}>{self._in_place(tag, hint)}</{tag}>" for tag, hint in tags)
        places = _PLACE.findall(self.prompt)
        if places:
            lines = []
            for label, place in places:
                said = self._in_place(label, place)
                lines.append(f"{label.strip()}: {f'[[{said}]]' if place.startswith('[[') else said}")
            return "\n".join(lines)
        value = self._value(self.good)
        mark = _RESULT.findall(self.prompt.replace("[[", "").replace("]]", ""))
        if mark:
            return f"{self._words(self.good)} [{mark[-1]}] {value}"
        return f"[[{value}]]" if _LETTERS.search(self.prompt) and "[[" in self.prompt else value

    def _in_place(self, label: str, hint: str) -> str:
        return self._words(self.good) if _REASONS.search(f"{label} {hint}") else self._value(self.good, hint)

    def _field(self, key: str, hint: str) -> Any:
        """One field of a JSON object that the prompt spells out."""
        if "true" in hint and "false" in hint:
            return self.good
        if _REASONS.search(f"{key} {hint}"):
            return self._words(self.good)
        value = self._value(self.good, hint)
        return value if hint.strip().startswith('"') or not re.fullmatch(_NUMBER, value) else json.loads(value)

    def _fill(self, schema: Any, key: str) -> Any:
        kind = schema.get("type") if isinstance(schema, dict) else None
        if kind == "object":
            return {k: self._fill(v, k) for k, v in schema.get("properties", {}).items()}
        if kind == "array":
            count = max(len(self.items), schema.get("minItems", 1))
            return [self._fill(schema.get("items", {}), key)] * min(count, schema.get("maxItems", count))
        if kind == "boolean":
            return self.good
        if kind in ("number", "integer"):
            low, high = schema.get("minimum"), schema.get("maximum")
            value = self._number(self.good, (low, high) if low is not None and high is not None else self._range(self.prompt))
            return int(float(value)) if kind == "integer" else float(value)
        if isinstance(schema, dict) and "enum" in schema:
            return self._one_of(schema["enum"])
        return self._words(self.good) if _REASONS.search(key) else self._value(self.good)

    def _one_of(self, allowed: list[Any]) -> Any:
        if all(isinstance(v, int | float) for v in allowed):
            return max(allowed) if self.good else min(allowed)
        said = self._value(self.good, " or ".join(map(str, allowed)))
        return said if said in allowed else allowed[0 if self.good else -1]

    # ---- what is said ---------------------------------------------------------------------------------------------

    def _value(self, good: bool, hint: str = "") -> str:
        """A letter, a word or a number, as the hint or else the prompt names them; words where neither does."""
        for text in (hint, self.prompt):
            if _LETTERS.search(text):
                return self._letter()
            found = _words_in(text)
            number = _last(_RANGE, text)
            if found is not None and (number is None or found[0] > number.start()):
                return found[1] if good else found[2]
            if number is not None or _OUT_OF.search(text):
                return self._number(good, self._range(text))
        if re.search(r"(?i)number|score|rating|grade|integer|probability|confidence", hint):
            return self._number(good, (0, 1) if re.search(r"(?i)probab|confid", hint) else (0, 10))
        return self._words(good)

    def _range(self, text: str) -> tuple[float, float]:
        found, out_of = _last(_RANGE, text), _last(_OUT_OF, text)
        if found is not None and float(found[1]) < float(found[2]):
            return float(found[1]), float(found[2])
        return 0.0, float(out_of[1]) if out_of is not None else 10.0

    def _number(self, good: bool, bounds: tuple[float, float]) -> str:
        low, high = bounds
        value = low + (high - low) * ((0.75 if good else 0.05) + 0.2 * share("grade", self.luck))
        return f"{value:.2f}" if high - low <= 1 else f"{round(value)}"

    def _letter(self) -> str:
        """Of the better answer; what stands under a label goes to the next one."""
        pieces: dict[str, str] = {}
        marks = list(_LABEL.finditer(self.whole))
        ends = [mark.start() for mark in marks[1:]] + [len(self.whole)]
        for mark, end in zip(marks, ends, strict=False):  # without marks there is one end too many
            piece = self.whole[mark.end() : end]
            if EQUATION.search(piece) or mark[1] not in pieces:
                pieces[mark[1]] = piece
        a, b = (self.opinion(pieces.get(label, "")) for label in "AB")
        if a == b:
            tie = "C" if "[[C]]" in self.prompt else "tie"
            return tie if re.search(r"(?i)\btie\b|\bequal", self.prompt) else "AB"[share("letter", self.luck) < 0.5]
        return "A" if a else "B"

    def _words(self, good: bool) -> str:
        if not good:
            found = EQUATION.findall(self.judged)
            if not found:
                return "There is no equation."
            a, b, c = found[-1]
            return objection(self.judged) or f"{a} + {b} is more than {c}."
        said = _last(_SAY, self.prompt) or _last(_CAPITALS, self.prompt)
        return said[1] if said is not None else "Nothing is wrong with it."


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = list(pattern.finditer(text))
    return found[-1] if found else None


def _words_in(text: str) -> tuple[int, str, str] | None:
    """Where the last pair of words to choose from stands, and the pair as it is written there, the good word first."""
    best: tuple[int, str, str] | None = None
    for pair in _PAIRS:
        good, bad = pair.split("/")
        for first, second in ((good, bad), (bad, good)):
            pattern = re.compile(rf"(?<!\w)({re.escape(first)}){_BETWEEN}({re.escape(second)})(?!\w)", re.IGNORECASE)
            found = _last(pattern, text)
            if found is not None and (best is None or found.start() > best[0]):
                best = (found.start(), found[1], found[2]) if first == good else (found.start(), found[2], found[1])
    return best
