"""What simulated people like: hidden preferences over named features of a text or of a vector.

A taste prefers x over y with log-odds

    weights . (x - y) + x' skew y,

where x and y are the features [d] of the two. The first part is a reward as in Bradley and Terry's model. The second,
for a skew-symmetric matrix, can go in circles: no reward says the same (Zhang et al. 2024, arXiv:2410.02197).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from loopwright.core.errors import InputError
from loopwright.core.types import digest
from loopwright.worlds.lab.games import Array, checked, nothing, sigmoid

Item = str | Sequence[float]
Change = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Feature:
    """A named property of an item, between ``low`` and ``high``.

    read: its value for a text; None for a coordinate of a vector. more, less: the text with more or less of it, where
    an edit is defined.
    """

    name: str
    read: Callable[[str], float] | None = None
    low: float = 0.0
    high: float = 1.0
    more: Change | None = None
    less: Change | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise InputError(f"feature {self.name}: low must be below high, got {self.low:g} and {self.high:g}")


@dataclass(frozen=True, eq=False)
class Taste:
    """``weights`` [d] over ``features`` and a skew-symmetric ``skew`` [d, d], zero where there is none.

    Either all features are read off a text, or all are coordinates of a vector; a text is then JSON for its numbers.
    """

    features: tuple[Feature, ...]
    weights: Array
    skew: Array = field(default_factory=nothing)

    def __post_init__(self) -> None:
        d = len(self.features)
        w = np.asarray(self.weights, dtype=float)
        s = np.asarray(self.skew, dtype=float) if np.size(self.skew) else np.zeros((d, d))
        if not d or len({f.name for f in self.features}) != d or len({f.read is None for f in self.features}) != 1:
            raise InputError("a taste needs features with names of their own, all of texts or all of vectors")
        if w.shape != (d,) or s.shape != (d, d) or not (np.isfinite(w).all() and np.isfinite(s).all()):
            raise InputError(f"weights are [{d}] and skew is [{d}, {d}], all finite; got shapes {w.shape} and {s.shape}")
        if np.abs(s + s.T).max() > 1e-9:
            raise InputError("skew must be skew-symmetric: skew[i, j] = -skew[j, i]")
        object.__setattr__(self, "features", tuple(self.features))
        object.__setattr__(self, "weights", w)
        object.__setattr__(self, "skew", s)

    @property
    def transitive(self) -> bool:
        """Whether a reward says all there is to say."""
        return not np.any(self.skew)

    @property
    def of_texts(self) -> bool:
        return self.features[0].read is not None

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """[d] the least and [d] the greatest values that the features can have."""
        return np.array([f.low for f in self.features]), np.array([f.high for f in self.features])

    @property
    def fingerprint(self) -> str:
        """Names and numbers; what reads a feature off a text is known by the feature's name."""
        numbers = [self.weights.tolist(), self.skew.tolist()]
        return digest([[[f.name, f.low, f.high] for f in self.features], numbers])

    def read(self, item: Item) -> Array:
        """[d] the features of an item, kept within their bounds. Raises InputError for one that cannot be read."""
        low, high = self.bounds
        if self.of_texts:
            if not isinstance(item, str):
                raise InputError(f"this taste is for texts, got {item!r}")
            values: Any = [f.read(item) for f in self.features if f.read is not None]
        else:
            try:
                values = json.loads(item) if isinstance(item, str) else item
            except ValueError as error:
                raise InputError(f"expected {len(low)} numbers as JSON, got {str(item)[:80]!r}") from error
        try:
            x = np.asarray(values, dtype=float)
        except (TypeError, ValueError) as error:
            raise InputError(f"expected {len(low)} numbers, got {str(item)[:80]!r}") from error
        if x.shape != low.shape or not np.isfinite(x).all():
            raise InputError(f"expected {len(low)} finite numbers, got {str(item)[:80]!r}")
        return np.asarray(np.clip(x, low, high))

    def log_odds(self, x: Array, y: Array) -> float:
        """Of x [d] being preferred over y [d], at temperature 1."""
        return float(self.weights @ (x - y) + x @ self.skew @ y)

    def worth(self) -> Array:
        """[d] weights of a utility: the log-odds against the middle of all features, up to a constant.

        Where the taste is transitive it is the reward itself; else it is what a rating can say of preferences in circles.
        """
        low, high = self.bounds
        return np.asarray(self.weights + self.skew @ ((low + high) / 2))

    def gaps(self, x: Array) -> Array:
        """[d] how much each feature alone could raise the log-odds over x [d]; at least 0."""
        low, high = self.bounds
        pull = self.weights + self.skew @ x
        return np.asarray(np.where(pull > 0, pull * (high - x), pull * (low - x)))

    def pull(self, x: Array) -> Array:
        """[d] which way each feature of x [d] should go."""
        return np.sign(self.weights + self.skew @ x)


# ---- tastes -----------------------------------------------------------------------------------------------------------


def coordinates(names: Sequence[str], low: float = -1.0, high: float = 1.0) -> tuple[Feature, ...]:
    """Features of abstract vectors [d], one a name."""
    return tuple(Feature(name, None, low, high) for name in names)


def linear(**weights: float) -> Taste:
    """A reward over the features of ``TEXT``, by name: ``linear(courtesy=2.0, brevity=1.0)``. Raises InputError."""
    unknown = sorted(set(weights) - set(TEXT))
    if unknown or not weights:
        raise InputError(f"no feature {', '.join(unknown) or 'given'}; there are {', '.join(sorted(TEXT))}")
    return Taste(tuple(TEXT[name] for name in weights), np.array(list(weights.values())))


def of_classes(matrix: Any, classes: Sequence[str]) -> Taste:
    """Preferences between texts by class alone: P[i, j] in (0, 1) is the probability that class i is preferred over j.

    A text belongs to the class whose name stands in it first; a text of none is as good as any. An edit puts another
    class's name in its place.
    """
    p = checked(matrix)
    if len(p) != len(classes) or not ((p > 0) & (p < 1)).all():
        raise InputError(f"{len(classes)} classes need probabilities [{len(classes)}, {len(classes)}] between 0 and 1")
    skew = np.log(p) - np.log1p(-p)
    word = re.compile(r"\b(?:" + "|".join(map(re.escape, classes)) + r")\b", re.IGNORECASE)

    def feature(name: str) -> Feature:
        def read(text: str) -> float:
            found = word.search(text)
            return float(found is not None and found[0].casefold() == name.casefold())

        def more(text: str) -> str:
            return word.sub(lambda m: name, text, count=1) if word.search(text) else f"{text} {name}".strip()

        return Feature(name, read, more=more)

    return Taste(tuple(map(feature, classes)), np.zeros(len(classes)), (skew - skew.T) / 2)


def probability(taste: Taste, first: Item, second: Item, temperature: float = 1.0) -> float:
    """The truth: that ``first`` is preferred over ``second`` by somebody without biases who sees all of both."""
    odds = taste.log_odds(taste.read(first), taste.read(second))
    return float(sigmoid(odds / temperature)) if temperature else 0.5 * (1.0 + float(np.sign(odds)))


# ---- features of texts ------------------------------------------------------------------------------------------------

_WORD = re.compile(r"[\w']+")
_COURTESY = re.compile(r"\s*\b(?:please|thank you|thanks)\b[.!,]?", re.IGNORECASE)


def words(text: str) -> list[str]:
    return _WORD.findall(text)


def mentions(word: str) -> Feature:
    """1 where the word stands in the text, as a whole word in any case."""
    whole = re.compile(rf"\b{re.escape(word)}\b", re.IGNORECASE)
    without = re.compile(rf"\s*\b{re.escape(word)}\b", re.IGNORECASE)
    return Feature(
        f"mention of {word}", lambda text: float(bool(whole.search(text))),
        more=lambda text: f"{text} {word}".strip(), less=lambda text: without.sub("", text).strip(),
    )  # fmt: skip


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _varied(text: str) -> str:
    first: dict[str, str] = {}
    for w in text.split():
        first.setdefault(" ".join(words(w)).casefold() or w, w)
    return " ".join(first.values())


TEXT: dict[str, Feature] = {
    f.name: f
    for f in (
        Feature(
            "courtesy", lambda t: float(bool(_COURTESY.search(t))),
            more=lambda t: f"{t} Thank you.".strip(), less=lambda t: _COURTESY.sub("", t).strip(),
        ),
        Feature(  # 1 for no word, 0 from twenty on
            "brevity", lambda t: max(0.0, 1.0 - len(words(t)) / 20),
            more=lambda t: " ".join(t.split()[: len(t.split()) // 2]),
        ),
        Feature(  # 1 from three exclamation marks on
            "emphasis", lambda t: min(1.0, t.count("!") / 3), more=lambda t: t + "!", less=lambda t: t.replace("!", "."),
        ),
        Feature(  # share of words that were not said before
            "variety", lambda t: _share(len({w.casefold() for w in words(t)}), len(words(t))), more=_varied,
        ),
        Feature(
            "capitals", lambda t: _share(sum(c.isupper() for c in t), sum(c.isalpha() for c in t)),
            more=str.upper, less=str.lower,
        ),
        Feature(
            "punctuation", lambda t: float(t.rstrip().endswith(".")),
            more=lambda t: t.rstrip() + ".", less=lambda t: t.rstrip().rstrip("."),
        ),
        Feature(  # 1 where every fifth character is one
            "digits", lambda t: min(1.0, 5 * _share(sum(c.isdigit() for c in t), len(t))),
            less=lambda t: "".join(c for c in t if not c.isdigit()),
        ),
    )
}  # fmt: skip
