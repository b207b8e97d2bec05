"""How an example becomes a conversation: the prompt part of a candidate."""

from __future__ import annotations

from pydantic import Field, field_validator

from loopwright.core.feedback import Frozen
from loopwright.core.types import Candidate, Example, Turn


class Shot(Frozen):
    """A worked example shown in the conversation; ``example`` is the id it came from, for lineage."""

    input: str
    output: str
    example: str = ""


class Prompt(Frozen):
    """What the model is told. In ``template``, {question} is the example's input and {instruction} the instruction."""

    system: str = ""
    instruction: str = ""
    template: str = "{question}\n{instruction}"
    shots: tuple[Shot, ...] = Field(default=())

    @field_validator("template")
    @classmethod
    def _asks(cls, value: str) -> str:
        if "{question}" not in value:
            raise ValueError("the template must contain {question}")
        return value

    def ask(self, question: str) -> str:
        # Not str.format: questions and instructions may hold braces of their own.
        before, after = self.template.split("{question}", 1)
        fill = (part.replace("{instruction}", self.instruction) for part in (before, after))
        return question.join(fill).strip()

    def render(self, example: Example) -> tuple[Turn, ...]:
        turns = [Turn(role="system", text=self.system)] if self.system else []
        for shot in self.shots:
            turns.append(Turn(role="user", text=self.ask(shot.input)))
            turns.append(Turn(role="assistant", text=shot.output))
        turns.append(Turn(role="user", text=self.ask(example.question)))
        return tuple(turns)


def prompt_of(candidate: Candidate) -> Prompt:
    """The candidate's prompt, or the plain one."""
    part = candidate.parts.get("prompt")
    return Prompt.model_validate(part) if part is not None else Prompt()
