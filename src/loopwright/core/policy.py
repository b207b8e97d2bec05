"""How an example becomes a conversation: the prompt part of a candidate."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pydantic import Field, JsonValue, field_validator

from loopwright.core.errors import InputError
from loopwright.core.feedback import Frozen
from loopwright.core.templates import filled, places
from loopwright.core.types import Candidate, Example, Turn, input_text

OWN = ("question", "instruction")  # the places of a template that are no fields of an input
_ENDS = (re.compile(r"^\{(\w+)\}"), re.compile(r"\{(\w+)\}$"))


class Shot(Frozen):
    """A worked example shown in the conversation; ``example`` is the id it came from, for lineage.

    input: as the example's own: text, or an object where the template shows its fields.
    """

    input: JsonValue
    output: str
    example: str = ""


class Prompt(Frozen):
    """What the model is told. In ``template``, {question} is the example's input and {instruction} the instruction.

    Of inputs that are objects, {name} is the field of this name, and where a template has such a place, {question} is the field
    ``question`` if there is one. Without such a place {question} is the whole input, as JSON.

    tools: documentation of tools, by name; it stands where the system message says {tools}, else at its end.
    """

    system: str = ""
    instruction: str = ""
    template: str = "{question}\n{instruction}"
    shots: tuple[Shot, ...] = Field(default=())
    tools: dict[str, str] = Field(default_factory=dict)

    @field_validator("template")
    @classmethod
    def _asks(cls, value: str) -> str:
        if not set(places(value)) - {"instruction"}:
            raise ValueError("the template must contain {question}, or {name} of a field of the inputs")
        return value

    def ask(self, input: JsonValue) -> str:
        """The user's message for one input. White space at its ends that is the template's own is left out."""
        values = {"question": input_text(input), "instruction": self.instruction}
        fields = self.fields(input)
        if fields and isinstance(input, dict):
            values |= {name: input_text(input[name]) for name in fields}
        return filled(_trimmed(self.template, values), values)

    def fields(self, input: JsonValue) -> tuple[str, ...]:
        """The fields of an input that the template shows one by one; none where it shows the input as a whole."""
        if not isinstance(input, Mapping):
            return ()
        named = [name for name in places(self.template) if name in input and name not in OWN]
        if named and "question" in input and "question" in places(self.template):
            named.append("question")
        return tuple(named)

    def typed(self, text: str) -> JsonValue:
        """An input as somebody types it: an object where the template shows fields and the text is JSON of one, else the text.

        Raises:
            InputError: the template shows fields alone, and the text is no object that has one of them.
        """
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, dict) and self.fields(found):
            return found
        if "question" in places(self.template):
            return text
        named = ", ".join(f'"{name}": ...' for name in places(self.template) if name not in OWN)
        raise InputError(f"the template shows fields of an object, so type one as JSON, such as {{{named}}}, got {text[:60]!r}")

    def told(self) -> str:
        """The system message, the tools' documentation included."""
        if not self.tools:
            return self.system
        documents = "\n\n".join(f"{name}: {text}" for name, text in self.tools.items())
        if "tools" in places(self.system):
            return filled(self.system, {"tools": documents})
        return f"{self.system}\n\n{documents}".strip()

    def render(self, example: Example) -> tuple[Turn, ...]:
        """The conversation that asks the model for an answer to an example."""
        told = self.told()
        turns = [Turn(role="system", text=told)] if told else []
        for shot in self.shots:
            turns.append(Turn(role="user", text=self.ask(shot.input)))
            turns.append(Turn(role="assistant", text=shot.output))
        turns.append(Turn(role="user", text=self.ask(example.input)))
        return tuple(turns)


def _trimmed(template: str, values: Mapping[str, str]) -> str:
    """The template without the white space at its ends, and without places there that nothing is put in."""
    while True:
        template = template.strip()
        ends = (pattern.search(template) for pattern in _ENDS)
        empty = next((m for m in ends if m is not None and not values.get(m[1], "kept").strip()), None)
        if empty is None:
            return template
        template = template[: empty.start()] + template[empty.end() :]


def prompt_of(candidate: Candidate) -> Prompt:
    """The candidate's prompt, or the plain one."""
    part = candidate.parts.get("prompt")
    return Prompt.model_validate(part) if part is not None else Prompt()
