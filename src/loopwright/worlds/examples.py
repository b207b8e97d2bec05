"""Examples from a JSON-lines file or a generator; every mistake names its line and field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from loopwright.core.errors import TaskError
from loopwright.core.types import Example, digest
from loopwright.critics.section import Section, kind_of, near, not_plain, shown
from loopwright.worlds.split import question_key

FIELDS = ("id", "input", "target", "meta")
_SHAPE = '{"input": ..., "target": ...}'


class _Refused(Exception):
    """What is wrong with a line; the caller knows where it stands."""


def _constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON; write a number, or null")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _Refused(f"{key}: stands twice in one object; keep one")
        made[key] = value
    return made


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode(), parse_constant=_constant, object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError as error:
        raise _Refused(f"not UTF-8: byte 0x{raw[error.start]:02x}; save the file with UTF-8 encoding") from None
    except json.JSONDecodeError as error:
        raise _Refused(
            f"not JSON: {error.msg} at column {error.colno}, near {shown(error.doc[error.pos : error.pos + 20])}; "
            f"write one object a line, such as {_SHAPE}"
        ) from None
    except RecursionError:
        raise _Refused("nested too deeply; expected at most some hundred levels") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise _Refused(f"not JSON that can be read: {error}") from None


def example_of(data: Any) -> Example:
    """One example from plain data. An example without an id gets one from the hash of its content."""
    if not isinstance(data, dict):
        raise _Refused(f"expected an object such as {_SHAPE}, got {kind_of(data)}: {shown(data)}")
    for key in data:
        if key not in FIELDS:
            raise _Refused(f"{key}: unknown field; {near(str(key), FIELDS)}. What is extra goes into meta")
    if problem := not_plain(data):
        raise _Refused(problem)
    if "input" not in data:
        raise _Refused(f'input: missing; expected the question, as in {_SHAPE}, got the fields {", ".join(data) or "none"}')
    given = data["input"]
    if given is None or (isinstance(given, str) and not given.strip()):
        raise _Refused(f"input: expected a question, got {'null' if given is None else shown(given)}")
    meta = data.get("meta", {})
    if not isinstance(meta, dict):
        raise _Refused(f'meta: expected an object such as {{"level": 1}}, got {kind_of(meta)} {shown(meta)}')
    content = {"input": given, "target": data.get("target"), "meta": meta}
    name = data.get("id", digest(content)[:16])
    if not isinstance(name, str) or not name.strip():
        raise _Refused(f'id: expected text such as "a1", got {kind_of(name)} {shown(name)}; leave it out to have one made')
    return Example(id=name, **content)


def _collect(items: Iterable[tuple[str, Any]], where: str, counted: str) -> list[Example]:
    """Examples from (place, raw line or data) pairs; refuses the same id or the same question twice."""
    examples: list[Example] = []
    ids: dict[str, str] = {}
    questions: dict[str, str] = {}
    for place, data in items:
        try:
            example = example_of(_parse(data) if isinstance(data, bytes) else data)
        except _Refused as refused:
            raise TaskError(f"{where}{place}", str(refused)) from None
        key = question_key(example.input)
        at = place.lstrip(":")
        if key in questions:
            raise TaskError(
                f"{where}{place}",
                f"input: the same question as in {counted} {questions[key]} (case and spaces aside): {shown(example.input)}. "
                f"Remove {counted} {at} or {questions[key]}",
            )
        if example.id in ids:
            raise TaskError(
                f"{where}{place}",
                f"id: {example.id!r} is already the id of {counted} {ids[example.id]}; give {counted} {at} another, or none",
            )
        questions[key], ids[example.id] = at, at
        examples.append(example)
    return examples


def read_examples(path: Path) -> list[Example]:
    """Examples of a JSON-lines file, in order; empty lines are skipped. Raises TaskError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
        raise TaskError(str(path), f"{reason}; [examples] file = ... must name a file of lines {_SHAPE}") from None
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    examples = _collect(((f":{i}", line) for i, line in enumerate(lines, 1) if line.strip()), str(path), "line")
    if not examples:
        raise TaskError(str(path), f"holds no example; expected lines such as {_SHAPE}")
    return examples


def generated_examples(items: Sequence[Any], count: int, section: Section, where: str) -> list[Example]:
    """What a generator returned, checked like lines of a file."""
    if len(items) < count:
        raise section.fail("count", f"{where} made {len(items)} examples, fewer than count = {count}; lower count")
    return _collect(((f": item {i}", item) for i, item in enumerate(items[:count], 1)), where, "item")
