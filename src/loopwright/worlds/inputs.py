"""What an input may be, and whether the template of a task shows it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from loopwright.core.errors import TaskError
from loopwright.core.policy import OWN, Prompt
from loopwright.core.templates import places
from loopwright.core.types import Example
from loopwright.critics.section import Section, kind_of, near

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function", "human", "gpt"})
_IMAGE_PARTS = frozenset({"image", "image_url", "input_image"})
_IMAGE_DATA = re.compile(r"data:image/[\w.+-]+[;,]", re.IGNORECASE)
_IMAGE_FILE = re.compile(r"\.(?:png|jpe?g|gif|webp|bmp|tiff?|svg|heic)(?:[?#].*)?$", re.IGNORECASE)
_IMAGE_FIELDS = frozenset({"image", "images", "image_url", "image_urls", "picture", "pictures", "photo", "img"})


def unread(value: Any) -> str:
    """Why an input is of a kind that is not read yet (chat messages, images), with what to write instead, or "".

    Shown as JSON, a model would be asked about the notation of a conversation, or of a picture, and not about what it holds.
    """
    if _has_image(value):
        return "holds an image, and images are not read yet; describe it in text, or leave the example out"
    messages = value.get("messages") if isinstance(value, dict) else value
    if isinstance(messages, list) and messages and all(map(_is_message, messages)):
        return (
            f"is a list of {len(messages)} chat messages, and conversations are not read yet; write the question as text, with "
            "what was said before it, and what always comes first into [prompt] system"
        )
    return ""


def _is_message(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    role = item.get("role", item.get("from"))
    return isinstance(role, str) and role.lower() in _ROLES and bool({"content", "value", "tool_calls", "parts"} & set(item))


def _has_image(value: Any, field: str = "") -> bool:
    if isinstance(value, str):
        return bool(_IMAGE_DATA.match(value) or (field.lower() in _IMAGE_FIELDS and _IMAGE_FILE.search(value)))
    if isinstance(value, dict):
        return value.get("type") in _IMAGE_PARTS or any(_has_image(part, str(name)) for name, part in value.items())
    return isinstance(value, list) and any(_has_image(part, field) for part in value)


def check_template(section: Section, prompt: Prompt, located: Sequence[tuple[str, Example]]) -> None:
    """Whether the template's places are fields that every input has. Raises TaskError.

    A place that is no field of any input and near to none stays as it is: braces may be part of what is asked.
    """
    named = places(prompt.template)
    fields = sorted({name for _, e in located if isinstance(e.input, dict) for name in e.input})
    shown = [name for name in named if name in fields and name not in OWN]
    for name in named:
        if name not in (*OWN, *shown) and (close := difflib.get_close_matches(name, [*OWN, *fields], n=1, cutoff=0.75)):
            raise section.fail("template", f"{{{name}}} is no field of the inputs; did you mean {{{close[0]}}}?")
    if not shown and "question" not in named:
        what = f"; {near(named[0], fields)}" if fields else " (the inputs are text, which is {question})"
        raise section.fail("template", f"must contain {{question}}, or {{name}} of a field of the inputs{what}")
    if not shown:
        return
    if "instruction" in named and "instruction" in fields:
        raise section.fail(
            "template", "{instruction} is what [prompt] instruction says, and the inputs have a field of this name too; "
            "rename that field in the examples, for instance to task"
        )  # fmt: skip
    wanted = [*shown, *(["question"] if "question" in named and "question" in fields else [])]
    for place, example in located:
        if not isinstance(example.input, dict):
            expected = f"an object with the fields {', '.join(wanted)}, which [prompt] template shows"
            raise TaskError(place, f"input: expected {expected}, got {kind_of(example.input)}")
        for name in wanted:
            if name not in example.input:
                known = near(name, list(example.input))
                raise TaskError(place, f"input: has no field {name!r}, which [prompt] template shows; {known}")
