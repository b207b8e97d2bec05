"""Feedback: one tagged union of everything a judge, person, test, click or oracle can say.

Every kind is frozen, validated on construction and round-trips through JSON:
``parse_feedback(f.model_dump_json()) == f``. A judgement that failed or was refused is a ``Missing``:
there is no number in it to mistake for a score.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from loopwright.core.arrays import Numbers

Finite = Annotated[float, Field(allow_inf_nan=False)]
Unit = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class Frozen(BaseModel):
    """Immutable, closed data: an unknown field is an error, not a silent loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cost(Frozen):
    """What something took. ``seconds`` is wall time of the effect, ``money`` is in US dollars."""

    calls: int = Field(default=0, ge=0)
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    money: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            seconds=self.seconds + other.seconds,
            money=self.money + other.money,
        )

    def times(self, factor: float | Fraction) -> Cost:
        """So many times as much, whole calls and tokens rounded up; a Fraction keeps what is whole from being rounded."""
        return Cost(
            calls=math.ceil(self.calls * factor), prompt_tokens=math.ceil(self.prompt_tokens * factor),
            completion_tokens=math.ceil(self.completion_tokens * factor), seconds=self.seconds * float(factor),
            money=self.money * float(factor),
        )  # fmt: skip


FREE = Cost()


class Rater(Frozen):
    """Who said it. ``version`` is the rubric, prompt or checker version, so that changed judges are not mixed."""

    kind: Literal["human", "model", "code", "implicit"]
    name: str
    version: str = ""


CODE = Rater(kind="code", name="checker")


class _Base(Frozen):
    """What every kind carries besides its value."""

    by: Rater = CODE
    about: str = ""  # id of the rollout, hash of the candidate, or id of the example
    confidence: Unit | None = None
    cost: Cost = FREE
    status: Literal["ok", "censored"] = "ok"
    readings: tuple[Unit, ...] = ()  # what each asking said, 1 the best, of a rater who was asked more than once

    @property
    def contradicts(self) -> bool:
        """Asked more than once, the rater said what cannot both be so: two readings lie more than 1/2 apart."""
        return bool(self.readings) and max(self.readings) - min(self.readings) > 0.5

    @property
    def satisfied(self) -> bool:
        """Nothing is left to improve, as far as this feedback can tell."""
        return False

    @property
    def text(self) -> str:
        """What this feedback says, in words a model can read."""
        return ""


class Score(_Base):
    """One number, with why where the judge said. ``high`` satisfies; ``low`` and ``high`` are its range."""

    kind: Literal["score"] = "score"
    value: Finite
    low: Finite = 0.0
    high: Finite = 1.0
    aspect: str = ""
    message: str = ""

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got low={self.low} high={self.high}")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value must be within [{self.low}, {self.high}], got {self.value}")
        return self

    @property
    def unit(self) -> float:
        """The value mapped to [0, 1]."""
        return (self.value - self.low) / (self.high - self.low)

    @property
    def satisfied(self) -> bool:
        return self.value == self.high

    @property
    def text(self) -> str:
        return f"{self.aspect + ': ' if self.aspect else ''}{self.message or f'{self.value:g} of {self.high:g}'}"


class Verdict(_Base):
    """Passed or not, with what a test, checker or compiler had to say."""

    kind: Literal["verdict"] = "verdict"
    passed: bool
    message: str = ""

    @property
    def satisfied(self) -> bool:
        return self.passed

    @property
    def text(self) -> str:
        return self.message or ("passed" if self.passed else "failed")


class Critique(_Base):
    """Free text; ``direction`` says what to move towards where the critic knows. Empty text means no objection."""

    kind: Literal["critique"] = "critique"
    comment: str
    direction: str = ""

    @property
    def satisfied(self) -> bool:
        return not self.comment.strip()

    @property
    def text(self) -> str:
        return "\n".join(part for part in (self.comment, self.direction) if part)


class Span(Frozen):
    """Characters ``start`` (inclusive) to ``end`` (exclusive) of the output. ``severity`` 0 is a remark, 1 ruins it."""

    start: int = Field(ge=0)
    end: int = Field(ge=1)
    label: str = ""
    severity: Unit = 1.0
    text: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end must be after start, got start={self.start} end={self.end}")
        return self


class Spans(_Base):
    """Marked places in an output of ``length`` characters."""

    kind: Literal["spans"] = "spans"
    spans: tuple[Span, ...]
    length: int = Field(ge=0)

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for span in self.spans:
            if span.end > self.length:
                raise ValueError(f"span {span.start}:{span.end} lies outside the text of {self.length} characters")
        return self

    @property
    def satisfied(self) -> bool:
        return not self.spans

    @property
    def text(self) -> str:
        return "\n".join(f"characters {s.start} to {s.end}: {s.label} {s.text}".rstrip() for s in self.spans)


class Steps(_Base):
    """One value in [0, 1] for every step, turn or line, in order."""

    kind: Literal["steps"] = "steps"
    values: tuple[Unit, ...] = Field(min_length=1)
    unit: Literal["step", "turn", "line"] = "step"

    @property
    def satisfied(self) -> bool:
        return all(v == 1.0 for v in self.values)

    @property
    def text(self) -> str:
        return "; ".join(f"{self.unit} {i}: {v:g}" for i, v in enumerate(self.values, 1))


class Item(Frozen):
    """``answer`` is None where the question could not be answered: it then carries no weight."""

    question: str
    answer: bool | None
    weight: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)


class Checklist(_Base):
    kind: Literal["checklist"] = "checklist"
    items: tuple[Item, ...] = Field(min_length=1)

    @property
    def satisfied(self) -> bool:
        return all(item.answer is True for item in self.items)

    @property
    def text(self) -> str:
        words = {True: "yes", False: "NO", None: "unclear"}
        return "\n".join(f"{item.question} {words[item.answer]}" for item in self.items)


class Preference(_Base):
    """``chosen`` over ``rejected`` (ids). With ``tie`` the two are equal and their order means nothing."""

    kind: Literal["preference"] = "preference"
    chosen: str
    rejected: str
    strength: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    tie: bool = False
    shown: tuple[str, str] | None = None  # order in which the rater saw them: position bias can be measured

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.chosen == self.rejected:
            raise ValueError(f"a preference needs two different items, got {self.chosen!r} twice")
        if self.shown is not None and set(self.shown) != {self.chosen, self.rejected}:
            raise ValueError(f"shown must hold the two compared ids, got {self.shown}")
        return self


class Ranking(_Base):
    """Ids from best to worst; ids inside one group are tied."""

    kind: Literal["ranking"] = "ranking"
    groups: tuple[tuple[str, ...], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> Self:
        ids = [i for group in self.groups for i in group]
        if len(set(ids)) != len(ids):
            raise ValueError(f"an id may stand in a ranking once, got {ids}")
        if len(ids) < 2 or any(not group for group in self.groups):
            raise ValueError(f"a ranking needs at least two ids and no empty group, got {self.groups}")
        return self


class Demonstration(_Base):
    """An output to imitate."""

    kind: Literal["demonstration"] = "demonstration"
    output: str

    @property
    def text(self) -> str:
        return self.output


class Edit(_Base):
    """What somebody made of the output."""

    kind: Literal["edit"] = "edit"
    before: str
    after: str

    @property
    def satisfied(self) -> bool:
        return self.before == self.after

    @property
    def text(self) -> str:
        return self.after


class Signal(_Base):
    """An implicit event. ``propensity`` is the probability with which the logging policy showed what was acted on.

    items: of a list, what was acted on: the ids of what was clicked, taken or bought, in order. propensities: for each of them,
    the probability that it was looked at where it stood, where the world knows that; empty where it does not.
    """

    kind: Literal["signal"] = "signal"
    event: str
    value: Finite = 1.0
    propensity: float | None = Field(default=None, gt=0.0, le=1.0)
    items: tuple[str, ...] = ()
    propensities: tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...] = ()

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if len(set(self.items)) != len(self.items):
            raise ValueError(f"an item is acted on once in a signal, got {self.items}")
        if self.propensities and len(self.propensities) != len(self.items):
            raise ValueError(f"a propensity for each item or none, got {len(self.propensities)} for {len(self.items)} items")
        return self


class Measures(_Base):
    """Several objectives or behaviour descriptors, by name: a number each.

    Of a trial that proposed a batch, Numbers each (any list or array becomes them), in the order of the batch; None or NaN for a
    member that failed.
    """

    kind: Literal["measures"] = "measures"
    values: dict[str, Finite | Numbers] = Field(min_length=1)


class Gradient(_Base):
    """A numerical oracle's vector at the point asked about; ``value`` is the objective there."""

    kind: Literal["gradient"] = "gradient"
    vector: tuple[Finite, ...] = Field(min_length=1)
    value: Finite | None = None


class Missing(Frozen):
    """A judgement that did not come: it failed, or the judge refused. Never a zero, always counted."""

    kind: Literal["missing"] = "missing"
    expected: str
    message: str
    by: Rater = CODE
    about: str = ""
    cost: Cost = FREE
    status: Literal["failed", "refused"] = "failed"

    @property
    def satisfied(self) -> bool:
        return False

    @property
    def text(self) -> str:
        return ""


Feedback = Annotated[
    Score
    | Verdict
    | Critique
    | Spans
    | Steps
    | Checklist
    | Preference
    | Ranking
    | Demonstration
    | Edit
    | Signal
    | Measures
    | Gradient
    | Missing,
    Field(discriminator="kind"),
]
KINDS: tuple[str, ...] = (
    "score", "verdict", "critique", "spans", "steps", "checklist", "preference", "ranking",
    "demonstration", "edit", "signal", "measures", "gradient",
)  # fmt: skip

_adapter: TypeAdapter[Feedback] = TypeAdapter(Feedback)


def parse_feedback(data: str | bytes | dict[str, object]) -> Feedback:
    """Feedback from its JSON text or plain data. Raises pydantic.ValidationError, which names the field."""
    return _adapter.validate_python(data) if isinstance(data, dict) else _adapter.validate_json(data)
