"""Numbers as people and models write them: signs, currencies, thousands, fractions, powers of ten, percent, LaTeX.

One grammar for answers under test and for judges' replies. What can be read in two ways (``1,5``, ``1.2.3``, ``5 ± 1``) is a
number without a value and with a reason, so that it is never taken for one of the two without a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Point = Literal[".", ","]

_MOST = 4000  # digits, as in the patterns below; a longer number is a way to keep a computer busy, and Python's int() refuses it
_SIGNS = {"\u2212": "-", "\u2013": "-", "\u2012": "-", "\uff0d": "-", "\u02d7": "-", "\ufe63": "-", "\uff0b": "+"}
_SPACES = dict.fromkeys("\u00a0\u202f\u2009\u2007\u2008\u200a\u2002\u2003\u205f\u3000", " ")
_PLAIN = str.maketrans(
    _SIGNS | _SPACES | {"\u2044": "/", "\u2215": "/", "\uff0c": ",", "\uff0e": ".", "\uff05": "%", "\u2019": "'"}
    | dict.fromkeys("\u00b7\u22c5\u2715", "*")
)  # fmt: skip
_SUPERSCRIPT = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-")
_SUPER = "\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207a\u207b"
_VULGAR = "\u00bc-\u00be\u2150-\u215e"
_WORDS = {
    "thousand": 3,
    "million": 6,
    "millions": 6,
    "mio": 6,
    "mn": 6,
    "billion": 9,
    "billions": 9,
    "bn": 9,
    "trillion": 12,
}
_SHORT = {"k": 3, "m": 6, "b": 9, "bn": 9, "mn": 6, "t": 12}
_CURRENCY = (
    r"(?:(?:US|C|A|CA|AU|NZ|HK|S)?\\?[$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd]|\b(?:USD|EUR|GBP|CHF|JPY|CNY|INR)\b)"
)

# The mantissas, longest first. Each group of digits is named by what parts them.
_GROUPED = {
    "comma": r"\d{1,3}(?:\{?,\}?\d{3})+", "indian": r"\d{1,2}(?:,\d{2})+,\d{3}", "space": r"\d{1,3}(?:(?: |\\[,;: ]|~)\d{3})+",
    "quote": r"\d{1,3}(?:'\d{3})+", "low": r"\d{1,3}(?:_\d{3})+", "dot": r"\d{1,3}(?:\.\d{3})+",
}  # fmt: skip
_ENDS = r"(?![\d_]|[.,'](?=\d))"
_BY: dict[str, str] = {".": "|".join(_GROUPED[n] for n in ("indian", "comma", "space", "quote", "low")),
                       ",": "|".join(_GROUPED[n] for n in ("dot", "space", "quote", "low"))}  # fmt: skip


def _mantissa(point: Point) -> re.Pattern[str]:
    mark = re.escape(point)
    whole = rf"(?:{_BY[point]}|\d+)"
    return re.compile(rf"(?:(?:{whole})(?:(?:{mark}|\{{{mark}\}})\d+)?|{mark}\d+){_ENDS}")


_MANTISSA: dict[str, re.Pattern[str]] = {".": _mantissa("."), ",": _mantissa(",")}
_LISTED = re.compile(r"\d{1,3} \d{3}(?!\d)(?: \d+(?![\d/]))*")  # groups of digits, or numbers, parted by spaces
_LIST_BEFORE = re.compile(r"(?:^|[^\w.,])\d+ $")
_ODD = re.compile(r"\d+(?:[.,'_]\d+)+|[.,]\d+")  # digits parted in a way that is neither
_SIGN = re.compile(
    rf"(?:(?P<word>\b(?:minus|negative)\s+)|(?P<sign>[-+]))?\s?(?:{_CURRENCY}\s?)?(?P<late>[-+])?", re.IGNORECASE
)
_FRAC = re.compile(
    r"\\[dtc]?frac\s*(?:\{\s*([-+]?\d{1,4000})\s*\}\s*\{\s*([-+]?\d{1,4000})\s*\}"
    r"|(\d)\s*(\d)(?!\d)|\{\s*(\d{1,4000})\s*\}\s*(\d)(?!\d))"
)
_OPAQUE = re.compile(r"\\[dtc]?frac\b|\\sqrt\b|\\pi\b|\u221a|\u03c0|\\infty\b|\u221e")
_POWER = re.compile(
    rf"\s?(?:\u00d7|\*|x|X|\\times|\\cdot)\s?10\s?(?:\^\s?(?:\{{\s*([-+]?\d+)\s*\}}|\(\s*([-+]?\d+)\s*\)|([-+]?\d+))|\*\*\s?([-+]?\d+)|([{_SUPER}]+))"
)
_RAISED = re.compile(
    rf"\s?(?:\^\s?(?:\{{\s*([-+]?\d+)\s*\}}|\(\s*([-+]?\d+)\s*\)|([-+]?\d+))|\*\*\s?([-+]?\d+)|([{_SUPER}]+))"
)
_E = re.compile(r"[eE]([-+]?\d+)(?!\w)")
_OVER = re.compile(r"\s?/\s?(\d{1,4000})(?![\d.,]*\d|\s?/\s?\d)")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+(?!\w)")
_SLASHES = re.compile(r"\d+(?:\s?/\s?\d+){2,}")
_MIXED = re.compile(r"(?: |\s?\+\s?)(\d{1,4000})\s?/\s?(\d{1,4000})(?![\d/])")
_PERCENT = re.compile(r"\s?\\?%|\s?(?:percent|per cent|pct)\b(?!\s?points?)|\s?\u2030", re.IGNORECASE)
_MAGNITUDE = re.compile(rf"[ -]?({'|'.join(_WORDS)})\b", re.IGNORECASE)
_LETTER = re.compile(r"(k|K|M|B|bn|mn|T)(?!\w)")
_SPACE = re.compile(" *")
_PLUS_MINUS = re.compile(r"\s?(?:\u00b1|\+/-|\\pm)\s?[\d.,]+")


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text.

    value: exact; None where it can be read in two ways, and ``problem`` says why. start, end: where it stands. percent: whether a
    percent sign or word follows; the value is what stands before it. bare: nothing but the number is there: no currency, percent
    sign or word such as "million". over: the denominator of a fraction written with a slash, as of "8/10".
    """

    value: Fraction | None
    start: int
    end: int
    text: str
    percent: bool = False
    bare: bool = True
    over: int | None = None
    problem: str = ""

    @property
    def values(self) -> tuple[Fraction, ...]:
        """What the number may stand for: of "5%" both 5 and 0.05."""
        if self.value is None:
            return ()
        per = 1000 if "\u2030" in self.text else 100
        return (self.value, self.value / per) if self.percent else (self.value,)

    def equals(self, other: Number, tolerance: Fraction = Fraction(0)) -> bool:
        """Whether two numbers are the same within a tolerance; a percentage is also the share that it stands for."""
        if self.value is None or other.value is None:
            return False
        if self.percent and other.percent:
            return abs(self.value - other.value) <= tolerance
        return any(abs(a - b) <= tolerance for a in self.values for b in other.values)


def read_numbers(text: str, point: Point = ".") -> list[Number]:
    """The numbers in a text, in order.

    Args:
        text: Any text. A minus sign belongs to a number unless something stands right before it: in "5-9" it is an operation.
        point: The decimal mark. With "." thousands may be set off by commas, spaces, apostrophes or underscores; with "," by
            points instead of commas.

    Returns:
        Each number with its exact value; one that can be read in two ways has none, and says why: so has "100 200 300" with
        ordinary spaces, where no currency stands before it. Digits inside a word, an
        exponent of a unit ("m^2") and an index ("x_1") are no numbers.
    """
    plain = text.translate(_PLAIN)
    return list(_scan(plain, text, point))


def number_of(text: str, point: Point = ".") -> Number | None:
    """The number that all of a text is, white space and the marks of mathematics and emphasis around it aside; else None."""
    inside = text.strip()
    for opening, closing in (("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`")):
        if len(inside) > len(opening + closing) and inside.startswith(opening) and inside.endswith(closing):
            inside = inside[len(opening) : -len(closing)].strip()
    found = read_numbers(inside, point)
    return (
        found[0]
        if len(found) == 1 and not inside[: found[0].start].strip() and not inside[found[0].end :].strip()
        else None
    )


def last_boxed(text: str) -> str | None:
    r"""What stands in the last ``\boxed{...}`` of a text; None where there is none, or its bracket is never closed."""
    closing: dict[int, int] = {}  # by the place of a bracket: where it is closed
    open_at: list[int] = []
    for bracket in re.finditer(r"[{}]", text):
        if bracket[0] == "{":
            open_at.append(bracket.start())
        elif open_at:
            closing[open_at.pop()] = bracket.start()
    starts = [start.end() for start in re.finditer(r"\\(?:boxed|fbox)\s*\{", text)]
    last = next((at for at in reversed(starts) if at - 1 in closing), None)
    return None if last is None else text[last : closing[last - 1]]


def _scan(plain: str, text: str, point: Point) -> Iterator[Number]:
    at = 0
    while at < len(plain):
        found = _at(plain, text, at, point)
        if found is None:
            at += 1
        else:
            yield found
            at = found.end


def _at(plain: str, text: str, at: int, point: Point) -> Number | None:
    """The number that begins here, sign and currency included."""
    first = plain[at]
    if not (
        first.isdecimal()
        or first in "-+.,$\\\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u221a\u03c0\u221e"
        or first.isalpha()
        or _is_vulgar(first)
    ):
        return None
    before = plain[at - 1] if at else ""
    inside = before.isalnum() or before == "_" or (before in ".," and at > 1 and plain[at - 2].isdecimal())
    if first.isalpha() and not _SIGN_WORD.match(plain, at):
        return None
    inside = inside and unicodedata.category(before) != "Lo"  # scripts such as Chinese put no spaces between words
    if inside and (first.isdecimal() or first in ".,-+" or first.isalpha() or _is_vulgar(first)):
        return None
    if before in "^{" and _raised_unit(plain, at):
        return None
    sign = _SIGN.match(plain, at)
    assert sign is not None
    start = sign.end()
    if start < len(plain) and plain[start] in ".," and plain[start] != point:
        return None
    if sign["sign"] and plain[at + 1 : at + 2].isspace():  # a bullet
        return None
    if sign["word"] and re.search(r"[\d)\]}]\s*$", plain[max(at - 4, 0) : at]):  # ten minus 5
        return None
    negative = bool(sign["word"]) or "-" in (sign["sign"], sign["late"])
    currency = bool(_MONEY.search(sign[0]))
    made = _quantity(plain, text, start, point, currency)
    if made is None:
        return None
    value, end, percent, over, problem, bare = made
    if value is not None and negative:
        value = -value
    return Number(value, at, end, text[at:end], percent, bare and not currency and not sign["word"], over, problem)


_MONEY = re.compile(_CURRENCY, re.IGNORECASE)
_SIGN_WORD = re.compile(
    r"(?:minus|negative)\s+(?:[$\u20ac\u00a3]\s?)?[\d.]|(?:US|C|A|CA|AU|NZ|HK|S)\$\s?[\d-]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR)\s?[\d-]",
    re.I,
)


def _is_vulgar(letter: str) -> bool:
    return bool(re.fullmatch(f"[{_VULGAR}]", letter))


def _raised_unit(plain: str, at: int) -> bool:
    """Whether a digit is an exponent or an index of what is no number: m^2, x_{1}."""
    return bool(re.search(r"(?:\^|\^\{|_\{)\s*[-+]?$", plain[max(at - 6, 0) : at]))


_Quantity = tuple[Fraction | None, int, bool, int | None, str, bool]


def _quantity(plain: str, text: str, at: int, point: Point, currency: bool) -> _Quantity | None:
    """(value, end, percent, over, problem, bare) of the number without its sign that begins here."""
    if whole := _HEX.match(plain, at):
        return None, whole.end(), False, None, f"{_cut(whole[0])} is not a decimal number", False
    if whole := _FRAC.match(plain, at):
        top, below = [int(g) for g in whole.groups() if g is not None]
        return _finished(
            plain, whole.end(), Fraction(top, below) if below else None, "" if below else "a fraction over 0"
        )
    if whole := _OPAQUE.match(plain, at):
        end = _past(plain, whole.end())
        return None, end, False, None, f"{plain[at:end]!r:.60} is not a plain number", False
    if at < len(plain) and _is_vulgar(plain[at]):
        return _finished(plain, at + 1, _vulgar(plain[at]), "")
    if whole := _SLASHES.match(plain, at):
        return None, whole.end(), False, None, f"{_cut(whole[0])} may be a date or a fraction", False
    found = _MANTISSA[point].match(plain, at)
    odd = _ODD.match(plain, at)
    if found is None or (odd is not None and odd.end() > found.end()):
        if odd is None:
            return None
        return None, odd.end(), False, None, _both_ways(odd[0], point), True
    if len(found[0]) > _MOST:
        return None, found.end(), False, None, f"a number of {len(found[0])} characters", True
    if (listed := _LISTED.match(plain, at)) and not currency:
        written = text[at : listed.end()]
        listed_before = _LIST_BEFORE.search(plain[max(at - 64, 0) : at])
        row = len(re.split(r"[ ]", found[0])[0]) == 3 or len(listed[0]) > len(found[0]) or listed_before
        if " " in written and row:
            why = f"{written.strip()[:60]} may be one number or several; set thousands off by commas or no-break spaces"
            return None, listed.end(), False, None, why, True
    return _followed(plain, found.end(), _exact(found[0], point), currency)


def _followed(plain: str, end: int, value: Fraction, currency: bool) -> _Quantity:
    """What comes right after the digits: a fraction, a power, a root, an uncertainty, a size."""
    if power := _POWER.match(plain, end) or _E.match(plain, end):
        exponent = _exponent(power)
        if abs(exponent) > _MOST:
            return None, power.end(), False, None, "a power of ten out of range", True
        return _finished(plain, power.end(), value * Fraction(10) ** exponent, "")
    if raised := _RAISED.match(plain, end):
        exponent = _exponent(raised)
        size = (value.numerator.bit_length() + value.denominator.bit_length()) // 3 + 1  # at least its digits
        if abs(exponent) * size > _MOST or (exponent < 0 and not value):
            return None, raised.end(), False, None, "a power out of range", True
        return _finished(plain, raised.end(), value**exponent, "")
    if mixed := _FRAC.match(plain, end):
        top, below = [int(g) for g in mixed.groups() if g is not None]
        if below:
            return _finished(plain, mixed.end(), value + Fraction(top, below), "")
    if root := _OPAQUE.match(plain, end + plain[end : end + 1].count(" ")):
        until = _past(plain, root.end())
        return None, until, False, None, f"{plain[end:until].strip()!r:.60} is not a plain number", False
    space = end + plain[end : end + 1].count(" ")
    if space < len(plain) and _is_vulgar(plain[space]):
        return _finished(plain, space + 1, value + _vulgar(plain[space]), "")
    if value.denominator == 1:
        mixed = _MIXED.match(plain, end)
        if mixed and 0 < int(mixed[1]) < int(mixed[2]):
            return _finished(plain, mixed.end(), value + Fraction(int(mixed[1]), int(mixed[2])), "")
    if over := _OVER.match(plain, end):
        below = int(over[1])
        made = value / below if below else None
        made_of = _finished(plain, over.end(), made, "" if below else "a fraction over 0")
        return (*made_of[:3], below, *made_of[4:])
    if spread := _PLUS_MINUS.match(plain, end):
        return None, spread.end(), False, None, "a number with an uncertainty, not one number", False
    return _finished(plain, end, value, "", currency=currency)


def _finished(plain: str, end: int, value: Fraction | None, problem: str, *, currency: bool = False) -> _Quantity:
    """With a percent sign, or a word for a size, that follows."""
    if percent := _PERCENT.match(plain, end):
        return value, percent.end(), True, None, problem, False
    size = _MAGNITUDE.match(plain, end)
    if size and value is not None:
        return value * 10 ** _WORDS[size[1].casefold()], size.end(), False, None, problem, False
    letter = _LETTER.match(plain, end)
    if letter and currency and value is not None:
        return value * 10 ** _SHORT[letter[1].casefold()], letter.end(), False, None, problem, False
    if letter and letter[1] in ("k", "bn", "mn") and value is not None:
        return value * 10 ** _SHORT[letter[1]], letter.end(), False, None, problem, False
    return value, end, False, None, problem, True


def _exponent(found: re.Match[str]) -> int:
    said = next(g for g in found.groups() if g is not None).translate(_SUPERSCRIPT)
    return int(said) if re.fullmatch(r"[-+]?\d{1,9}", said) else _MOST + 1


def _past(plain: str, at: int) -> int:
    """Behind the brackets that follow a LaTeX command, and the digits under a root sign."""
    while True:
        at = _SPACE.match(plain, at).end()  # type: ignore[union-attr]
        if plain[at : at + 1] not in ("{", "["):
            digits = re.compile(r"\d+(?:\.\d+)?").match(plain, at)
            return digits.end() if digits else at
        close = {"{": "}", "[": "]"}[plain[at]]
        depth, begin = 0, plain[at]
        for i in range(at, len(plain)):
            depth += {begin: 1, close: -1}.get(plain[i], 0)
            if not depth:
                at = i + 1
                break
        else:
            return len(plain)


def _both_ways(digits: str, point: Point) -> str:
    other = "," if point == "." else "."
    if re.fullmatch(
        rf"\d*{re.escape(other)}\d+|\d{{1,3}}(?:{re.escape(point)}\d{{3}})+(?:{re.escape(other)}\d+)?", digits
    ):
        return f"{_cut(digits)} is one number only with {other!r} as the decimal mark, which decimal = {other!r} makes it"
    return f"{_cut(digits)} is not written as one number"


def _cut(text: str) -> str:
    """The beginning of a text, for a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _exact(digits: str, point: Point) -> Fraction:
    bare = re.sub(r"[{}]", "", digits)
    whole, _, rest = bare.rpartition(point) if point in bare else (bare, "", "")
    whole = re.sub(r"\D", "", whole)
    return Fraction(int(whole + rest or "0"), 10 ** len(rest))


def _vulgar(letter: str) -> Fraction:
    top, _, below = unicodedata.normalize("NFKC", letter).partition("\u2044")
    return Fraction(int(top), int(below or 1))
