"""The kinds of critic that a task file can name: how each reads its options."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from loopwright.core.errors import InputError
from loopwright.critics import match, programs
from loopwright.critics.json_schema import schema, strict_json
from loopwright.critics.judges import checklist_parts, judge_parts
from loopwright.critics.parts import Parts, no_answer, target_text
from loopwright.critics.python import PythonCritic
from loopwright.critics.reward_model import reward_parts
from loopwright.critics.section import Section, kind_of, near
from loopwright.critics.sql import sql_parts
from loopwright.critics.worker import Function


def _exact(section: Section, folder: Path, role: str) -> Parts:
    strip, casefold = section.flag("strip", True), section.flag("casefold", False)
    return Parts(
        match.exact(strip=strip, casefold=casefold), {"strip": strip, "casefold": casefold},
        needs_target=True, problem=match.exact_problem, answer=match.exact_answer, graded=False,
    )  # fmt: skip


def _number(section: Section, folder: Path, role: str) -> Parts:
    tolerance = float(section.number("tolerance", 0.0, low=0.0))
    strict, which = section.flag("strict", False), section.choice("which", ("last", "only"), "last")
    decimal = section.choice("decimal", (".", ","), ".")
    return Parts(
        match.number(tolerance=tolerance, strict=strict, which=which, decimal=decimal),
        {"tolerance": tolerance, "strict": strict, "which": which, **({"decimal": decimal} if decimal != "." else {})},
        needs_target=True, problem=match.number_problem(decimal), graded=False,
    )  # fmt: skip


def _regex(section: Section, folder: Path, role: str) -> Parts:
    pattern, flags, strip = section.text("pattern", None), section.texts("flags", []), section.flag("strip", True)
    for flag in flags:
        if flag not in match.FLAGS:
            raise section.fail("flags", f"unknown flag {flag!r}; {near(flag, match.FLAGS)}")
    try:
        judge = match.regex(pattern, flags=tuple(flags), strip=strip)
    except InputError as error:
        raise section.fail("pattern", f"{error}; in TOML write patterns in single quotes") from None
    return Parts(
        judge, {"pattern": pattern, "flags": flags, "strip": strip},
        needs_target=pattern is None, instead="give it a pattern = '...'",
        problem=match.regex_problem if pattern is None else None, answer=no_answer if pattern is None else target_text,
        graded=False,
    )  # fmt: skip


def _python(section: Section, folder: Path, role: str) -> Parts:
    function = Function.of(section, "function", folder, example="check.py:check")
    seconds = float(section.number("seconds", 10.0, low=0.0, above=True))
    environment = section.texts("environment", [])
    hashed = hashlib.sha256(function.file.read_bytes()).hexdigest()
    return Parts(
        PythonCritic(function, seconds=seconds, version=hashed, environment=environment),
        {"function": function.name, "seconds": seconds, **({"environment": environment} if environment else {})},
        files={function.name: hashed},
    )  # fmt: skip


def _schema(section: Section, folder: Path, role: str) -> Parts:
    if section.has("schema") == section.has("file"):
        raise section.fail(
            "schema", 'expected schema or file, one of them; write schema = {type = "object"} or file = "schema.json"'
        )
    if section.has("schema"):
        wanted = section.table("schema")
    else:
        path = folder / section.text("file")
        try:
            wanted = strict_json(path.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
            raise section.fail("file", f"{path}: {reason}; expected a file with a JSON schema") from None
        except ValueError as error:
            raise section.fail("file", f"{path}: not JSON: {error}") from None
        if not isinstance(wanted, dict):
            raise section.fail("file", f"{path}: expected a JSON schema, an object, got {kind_of(wanted)}")
    try:
        return Parts(schema(wanted), {"schema": wanted}, graded=False)
    except InputError as error:
        raise section.fail("schema" if section.has("schema") else "file", str(error)) from None


def _tests(section: Section, folder: Path, role: str) -> Parts:
    source: programs.Source = "visible" if role == "critic" else "target"
    score = section.choice("score", ("all", "share"), "all")
    seconds = float(section.number("seconds", 5.0, low=0.0, above=True))
    memory = section.whole("memory_mb", 256, low=16)
    return Parts(
        programs.unit_tests(source=source, score=score, seconds=seconds, memory_mb=memory),
        {"source": source, "score": score, "seconds": seconds, "memory_mb": memory},
        problem=programs.tests_problem(source), answer=no_answer, graded=score == "share", sandbox=True,
    )


KINDS: dict[str, Callable[[Section, Path, str], Parts]] = {
    "checklist": checklist_parts,
    "exact": _exact,
    "judge": judge_parts,
    "number": _number,
    "python": _python,
    "regex": _regex,
    "reward-model": reward_parts,
    "schema": _schema,
    "sql": sql_parts,
    "tests": _tests,
}
TARGETLESS = ("checklist", "judge", "python", "regex", "reward-model", "schema", "sql", "tests")
