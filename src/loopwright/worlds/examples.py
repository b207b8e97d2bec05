"""Examples from a JSON-lines file or a generator; every mistake names its line and field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loopwright.core.errors import TaskError
from loopwright.core.types import Example, digest
from loopwright.critics.section import Section, kind_of, near, not_plain, shown
from loopwright.critics.worker import CallFailed, Function, Worker
from loopwright.worlds.inputs import unread
from loopwright.worlds.split import question_key

FIELDS = ("id", "input", "target", "group", "meta")
Located = tuple[str, Example]  # where it stands, for messages, and the example
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
            raise _Refused(f"{key}: unknown field (what is extra goes into meta); {near(str(key), FIELDS)}")
    if problem := not_plain(data):
        raise _Refused(problem)
    if "input" not in data:
        fields = ", ".join(data) or "none"
        raise _Refused(f"input: missing; expected the question, as in {_SHAPE}, got the fields {fields}")
    given = data["input"]
    if given is None or (isinstance(given, str) and not given.strip()):
        raise _Refused(f"input: expected a question, got {'null' if given is None else shown(given)}")
    if problem := unread(given):
        raise _Refused(f"input: {problem}")
    meta = data.get("meta", {})
    if not isinstance(meta, dict):
        raise _Refused(f'meta: expected an object such as {{"level": 1}}, got {kind_of(meta)} {shown(meta)}')
    meta = _with_group(data, meta)
    content = {"input": given, "target": data.get("target"), "meta": meta}
    name = data.get("id", digest(content)[:16])
    if not isinstance(name, str) or not name.strip():
        raise _Refused(
            f'id: expected text such as "a1", got {kind_of(name)} {shown(name)}; leave it out to have one made'
        )
    return Example(id=name, **content)


def _with_group(data: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    """``meta`` with the group of the example, which may be given beside it or in it."""
    given = [(name, table["group"]) for name, table in (("group", data), ("meta.group", meta)) if "group" in table]
    for name, group in given:
        if isinstance(group, bool) or not isinstance(group, str | int) or not str(group).strip():
            raise _Refused(
                f"{name}: expected the name of a group, text or a whole number, got {kind_of(group)} {shown(group)}; examples of "
                "one group stay in one split and count as one"
            )
    if len(given) == 2 and str(given[0][1]) != str(given[1][1]):
        raise _Refused(f"group: {shown(given[0][1])} here and {shown(given[1][1])} in meta.group; keep one")
    return {**meta, "group": given[0][1]} if given else meta


def _collect(items: Iterable[tuple[str, str, Any]]) -> list[Located]:
    """Examples from (place, short name of the place, raw line or data); refuses an id or a question that comes twice."""
    located: list[Located] = []
    ids: dict[str, str] = {}
    questions: dict[str, str] = {}
    for place, here, data in items:
        try:
            example = example_of(_parse(data) if isinstance(data, bytes) else data)
        except _Refused as refused:
            raise TaskError(place, str(refused)) from None
        key = question_key(example.input)
        if key in questions:
            raise TaskError(
                place,
                f"input: the same question as in {questions[key]} (upper case and spaces aside): {shown(example.input)}. "
                f"Remove {here} or {questions[key]}",
            )
        if example.id in ids:
            raise TaskError(
                place, f"id: {example.id!r} is already the id of {ids[example.id]}; give {here} another id, or none"
            )
        questions[key], ids[example.id] = here, here
        located.append((place, example))
    return located


def read_examples(path: Path) -> list[Located]:
    """Examples of a JSON-lines file, in order; empty lines are skipped. Raises TaskError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
        raise TaskError(str(path), f"{reason}; [examples] file = ... must name a file of lines {_SHAPE}") from None
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    located = _collect((f"{path}:{i}", f"line {i}", line) for i, line in enumerate(lines, 1) if line.strip())
    if not located:
        raise TaskError(str(path), f"holds no example; expected lines such as {_SHAPE}")
    return located


def generated_examples(section: Section, folder: Path) -> list[Located]:
    """Examples from ``generate(count=..., seed=..., **options)``, called in a process of its own.

    It returns, or yields, dicts with the fields of a line; what comes after ``count`` of them is not read. Its process is given
    no keys but those in the variables that ``environment`` names.
    """
    function = Function.of(section, "generator", folder, example="make.py:generate")
    count, seed = section.whole("count", low=1, hint="count = 200"), section.whole("seed", 0)
    options, seconds = section.table("options", {}), section.number("seconds", 120.0, low=0.0, above=True)
    environment = section.texts("environment", [])
    section.close()
    for name in ("count", "seed"):
        if name in options:
            raise section.fail("options", f"{name} stands beside options, not in it; write {name} = ... under [examples]")
    worker = Worker(function, seconds=seconds, environment=environment)
    try:
        items = worker.call_now(kwargs={"count": count, "seed": seed, **options}, take=count)
    except CallFailed as error:
        raise section.fail(
            "generator", f"{function.file}: {function.function} {error}. Expected {function.function}"
            f"(count, seed, **options) to give dicts such as {_SHAPE}"
        ) from None  # fmt: skip
    finally:
        worker.close()
    if len(items) < count:
        raise section.fail(
            "count", f"{function.name} made {len(items)} examples, fewer than count = {count}; write count = {len(items)}"
        )
    where = f"{function.file}: {function.function}"
    return _collect((f"{where}, item {i}", f"item {i}", item) for i, item in enumerate(items, 1))
