"""The nouns: frozen data without I/O. Content hashes are SHA-256 over canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationInfo, field_validator

from loopwright.core.arrays import Numbers, without_numpy
from loopwright.core.feedback import FREE, Cost, Feedback, Finite, Frozen, Missing, Score, Verdict
from loopwright.core.fences import without_thinking

__all__ = [
    "Budget", "Candidate", "Card", "Cost", "Example", "Frozen", "Rollout", "Trial", "Turn", "digest",
    "input_text",
]  # fmt: skip


def digest(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON: sorted keys, no spaces, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def input_text(value: JsonValue) -> str:
    """An input, or a field of one, as a model is shown it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Example(Frozen):
    """One piece of work. ``target`` is for the checker; no Solver ever sees it."""

    id: str = Field(min_length=1)
    input: JsonValue
    target: JsonValue = None
    meta: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def question(self) -> str:
        """The input as text."""
        return input_text(self.input)

    @property
    def group(self) -> str:
        """``meta["group"]``: examples of one group are not independent of each other; "" where it is in none."""
        given = self.meta.get("group")
        return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""

    def hidden(self) -> Example:
        """The same example as a Solver may see it: no target."""
        return self if self.target is None else Example(id=self.id, input=self.input, meta=self.meta)


class Turn(Frozen):
    """One message. A turn that the policy wrote keeps the very tokens of the call; nothing is tokenised again later.

    prompt_ids: token ids of everything the model was given before it wrote this turn, as the backend rendered it.
    token_ids: [T] what it wrote, the end token included when it was sampled.
    logprobs: [T] the sampler's log-probabilities at the sampling temperature, natural log.
    reasoning: what a server gave of the model's thinking, apart from the text; it is no part of the answer.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    prompt_ids: tuple[int, ...] = ()
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finish: Literal["", "stop", "length"] = ""
    reasoning: str = ""

    def said(self) -> Turn:
        """Its role and text alone."""
        more = self.finish or self.token_ids or self.prompt_ids or self.logprobs or self.reasoning
        return Turn(role=self.role, text=self.text) if more else self


class Rollout(Frozen):
    """One attempt at one example: the turns, what was said of it, what it cost.

    status: ``failed`` where the policy gave no answer (it was empty, refused, stopped by a filter, or its prompt was too long):
        its answer is "", and it is judged as such. ``lost`` where no usable reply came, so that nothing is known of the answer
        and there is no score.
    error: why there is none; of a program that raised, which is judged by its empty answer, the stack trace.
    trace: how a program came to its answer, as ``blocks.graph.Graph`` reads it; None where no program was run.
    """

    id: str
    example: Example
    turns: tuple[Turn, ...]
    candidate: str = ""
    feedback: tuple[Feedback, ...] = ()
    cost: Cost = FREE
    status: Literal["ok", "failed", "lost"] = "ok"
    error: str = ""
    trace: JsonValue = None

    @property
    def output(self) -> str:
        """The last thing the policy wrote; "" where it gave no answer, whatever it said in earlier turns."""
        if self.status != "ok":
            return ""
        return next((t.text for t in reversed(self.turns) if t.role == "assistant"), "")

    @property
    def unanswered(self) -> bool:
        """Whether the policy gave no answer: nothing, white space alone, or thinking that was never ended.

        Of a ``lost`` one nobody knows: False.
        """
        return self.status != "lost" and not without_thinking(self.output).strip()

    @property
    def cut(self) -> bool:
        """Whether the answer was ended by its limit of tokens; it is judged by its text."""
        last = next((t for t in reversed(self.turns) if t.role == "assistant"), None)
        return self.status == "ok" and last is not None and last.finish == "length"

    @property
    def prompt(self) -> tuple[Turn, ...]:
        """The turns before the policy's first."""
        first = next((i for i, t in enumerate(self.turns) if t.role == "assistant"), len(self.turns))
        return self.turns[:first]

    @property
    def score(self) -> float | None:
        """The checker's value in [0, 1], or None where there is none (not judged, or the judgement failed)."""
        for feedback in self.feedback:
            if isinstance(feedback, Score):
                return feedback.unit
            if isinstance(feedback, Verdict):
                return float(feedback.passed)
        return None

    @property
    def judged(self) -> bool:
        return bool(self.feedback) and not any(isinstance(f, Missing) for f in self.feedback)

    def told(self, *feedback: Feedback) -> Rollout:
        """The same rollout with more feedback."""
        return self.model_copy(update={"feedback": self.feedback + feedback})


class Candidate(Frozen):
    """One version of what is being improved.

    ``parts`` holds plain data by kind, so that versions compose (a prompt found first, weights trained under it):
    ``prompt`` (see core.policy.Prompt), ``adapter`` (hash of a LoRA blob), ``solver`` ({recipe, options}),
    ``program`` (text), ``params`` (numbers and choices). Its identity is the hash of the parts alone.

    origins: where each piece of a text came from, by the text's name (see blocks.lineage); no part of the identity.
    """

    parts: dict[str, JsonValue] = Field(default_factory=dict)
    parents: tuple[str, ...] = ()
    by: str = ""  # the recipe that proposed it
    note: str = ""
    origins: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def hash(self) -> str:
        return digest(self.parts)

    def child(self, *, by: str = "", note: str = "", **parts: JsonValue) -> Candidate:
        """A version with these parts replaced; a part set to None is removed."""
        merged: dict[str, JsonValue] = {k: v for k, v in {**self.parts, **parts}.items() if v is not None}
        return Candidate(parts=merged, parents=(self.hash,), by=by, note=note)


class Trial(Frozen):
    """What a Learner asks the world to try. ``propensity`` is the probability with which it was chosen, logged at once.

    proposal: JSON data; a batch of vectors may be Numbers [n, d], which read as lists of lists in JSON.
    """

    id: str
    proposal: Annotated[JsonValue | Numbers, Field(union_mode="left_to_right")]
    context: JsonValue = None  # what the learner was shown, so that feedback may come late and to another process
    propensity: float | None = Field(default=None, gt=0.0, le=1.0)
    fidelity: float | None = Field(default=None, gt=0.0, le=1.0)
    parents: tuple[str, ...] = ()

    @field_validator("proposal", "context", mode="before")
    @classmethod
    def _without_numpy(cls, value: Any, info: ValidationInfo) -> Any:
        """Whole numbers of numpy stay whole: as Numbers they would become floats."""
        return without_numpy(value, floats=info.field_name == "context")


class MadeBy(NamedTuple):
    """Which recipe made a Learner: its slug, every option as JSON data, and the kinds of feedback it learns from."""

    recipe: str = ""
    options: Mapping[str, JsonValue] = MappingProxyType({})
    learns_from: tuple[str, ...] = ()


class Budget(Frozen):
    """Caps on a run; None is no cap. ``tokens`` counts prompt and completion, ``seconds`` is wall time over all resumes."""

    calls: int | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    seconds: Finite | None = Field(default=None, gt=0)
    money: Finite | None = Field(default=None, gt=0)


Shape = Literal["solver", "critic", "improver", "learner", "measure"]


class Options(Frozen):
    """A group of options that many recipes share: outside a recipe each field is an option of its own."""


class Card(Frozen):
    """A recipe's metadata; the catalogue is made from it."""

    slug: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    family: str
    shape: Shape
    summary: str
    paper: str = ""
    needs: tuple[str, ...] = ()  # capabilities of the context it touches: model, critic, tools, search, sandbox, fit, ...
    learns_from: tuple[str, ...] = ()  # kinds of feedback
    improves: str = ""  # weights, prompt, choice, ... for Improvers and Learners
    torch: bool = False  # whether importing the recipe needs torch
    packages: tuple[str, ...] = ()  # of extras, that it imports when it runs, as in core.extras
    baseline: bool = False  # a reference method rather than a catalogued system

    @field_validator("summary")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.strip() or "\n" in value:
            raise ValueError("the summary is the first line of the recipe's docstring and must not be empty")
        return value
