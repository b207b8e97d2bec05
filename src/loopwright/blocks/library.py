"""A library of experience: insights with a place in a taxonomy and a condition, and finding those that apply to a question."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from pydantic import Field, JsonValue

from loopwright.blocks.json_text import read_json
from loopwright.core.feedback import Frozen
from loopwright.core.templates import filled
from loopwright.core.types import Candidate, digest

GENERAL = "general"

MATCH = (
    "Here is a problem:\n{question}\n\nNotes from earlier problems are filed under these headings:\n{headings}\n\nUnder which "
    'headings may there be something that matters for this problem? Reply with those headings, one a line, or "none".'
)
CHECK = (
    "Here is a problem:\n{question}\n\nEach of these notes holds on a condition:\n{conditions}\n\nWhich of the conditions does "
    'this problem meet? Reply with their numbers, such as "1, 3", or "none".'
)


class Insight(Frozen):
    """What was learned of one failure, or several.

    taxonomy: "area/heading". condition: when it applies; an empty one always. explanation: what to do and why. example: the
    wrong and the right way beside each other. sources: ids of the examples it was learned from.
    """

    taxonomy: str = GENERAL
    condition: str = ""
    explanation: str = Field(min_length=1)
    example: str = ""
    sources: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """By what it says; another condition makes it no other insight."""
        return digest([self.taxonomy, self.explanation, self.example])[:8]


Library = tuple[Insight, ...]


def library_of(candidate: Candidate) -> Library:
    """The ``library`` part of a candidate; empty where it has none."""
    part = candidate.parts.get("library")
    return tuple(Insight.model_validate(i) for i in part) if isinstance(part, list) else ()


def as_part(library: Iterable[Insight]) -> JsonValue:
    """For ``Candidate.child(library=...)``."""
    made: list[JsonValue] = [i.model_dump(mode="json", exclude_defaults=True) for i in library]
    return made


def headings(library: Iterable[Insight]) -> list[str]:
    return sorted({i.taxonomy for i in library})


def read_insights(reply: str, sources: Sequence[str], *, loose: bool = True) -> list[Insight]:
    """Those of a reply in JSON: a list, one alone, or below any name. Without JSON the words are an explanation that always
    applies (unless ``loose`` is false); JSON without an explanation gives none."""
    found = read_json(reply)
    if isinstance(found, dict) and "explanation" not in {str(k).lower() for k in found}:
        found = next((v for v in found.values() if isinstance(v, list | dict)), [])
    if found is None:
        said = reply.strip()
        words = re.search(r"\w", said)  # an empty list has none
        return [Insight(explanation=said, sources=tuple(sources))] if words and loose else []
    items = found if isinstance(found, list) else [found]
    made = []
    for item in items:
        fields = {str(k).lower(): v for k, v in item.items()} if isinstance(item, Mapping) else {}
        texts = {name: _text(fields.get(name)) for name in ("taxonomy", "condition", "explanation", "example")}
        if texts["explanation"]:
            texts["taxonomy"] = texts["taxonomy"].lower() or GENERAL
            made.append(Insight(**texts, sources=tuple(sources)))
    return made


def _text(value: JsonValue) -> str:
    """A taxonomy may be nested, as {"area": {"heading": ...}} or lists."""
    if isinstance(value, Mapping):
        return next((f"{key}/{rest}" if (rest := _text(inner)) else str(key) for key, inner in value.items()), "")
    if isinstance(value, list):
        return _text(value[0]) if value else ""
    return " ".join(str(value).split()) if isinstance(value, str) and "\n" not in value else str(value or "").strip()


def shown(library: Sequence[Insight]) -> str:
    """Insights as a model is told them."""
    told = [
        "\n".join(filter(None, [f"- {i.condition}" if i.condition else "-", f"  {i.explanation}", i.example]))
        for i in library
    ]
    return "\n".join(told)


async def applicable(
    question: str,
    library: Sequence[Insight],
    ask: Callable[[str], Awaitable[str]],
    *,
    match: str = MATCH,
    check: str = CHECK,
) -> list[Insight]:
    """The insights that apply to a question: by heading first, then by condition; a model is asked at most twice.

    ``ask`` takes a prompt and gives what the model says. General insights need no heading, and those without a condition
    none met.
    """
    named = [h for h in headings(library) if h != GENERAL]
    chosen: set[str] = set()
    if named:
        said = await ask(filled(match, {"question": question, "headings": "\n".join(f"- {h}" for h in named)}))
        chosen = {h for h in named if h in said.lower() or h.rpartition("/")[2] in said.lower()}
    found = [i for i in library if i.taxonomy == GENERAL or i.taxonomy in chosen]
    asked = [i for i in found if i.condition]
    met: set[str] = set()
    if asked:
        numbered = "\n".join(f"{n}. {i.condition}" for n, i in enumerate(asked, 1))
        said = await ask(filled(check, {"question": question, "conditions": numbered}))
        numbers = {int(n) for n in re.findall(r"(?<![\w.])(\d{1,3})(?![\w%]|\.\d)", said)}
        met = {i.id for n, i in enumerate(asked, 1) if n in numbers}
    return [i for i in found if not i.condition or i.id in met]


def recondition(library: Sequence[Insight], id: str, condition: str) -> list[Insight]:
    """The library with another condition for one insight."""
    return [i.model_copy(update={"condition": condition}) if i.id == id else i for i in library]
