"""Reading ``task.toml`` so that every mistake can name its line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from loopwright.core.errors import TaskError
from loopwright.critics.section import Section, kind_of, near, not_plain, shown

M = TypeVar("M", bound=BaseModel)
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


def read_text(path: Path, missing: str) -> str:
    """A file's text. Raises TaskError for a file that is not there (``missing`` says what to do) or is not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
        raise TaskError(str(path), f"{reason}; {missing}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise TaskError(f"{path}:{line}", f"not UTF-8: byte 0x{byte:02x}; save the file with UTF-8 encoding") from None


class TomlFile:
    """A parsed task file and its text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = read_text(path, 'a task folder needs a task.toml that begins with name = "..."')
        try:
            self.data: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            message = str(error)
            found = _AT.search(message)
            line = int(found[1]) if found else self.text.count("\n") + 1
            problem = _AT.sub("", message).strip()
            source = (self.text.split("\n")[line - 1 : line] or [""])[0].strip()
            problem = f"not TOML: {problem}, near {shown(source)}; texts go in quotes"
            raise TaskError(f"{path}:{line}", problem) from None
        except RecursionError:
            raise TaskError(str(path), "not TOML that can be read: its lists or tables are nested too deeply") from None

    def line(self, header: str, field: str, number: int = 0) -> int | None:
        """Line of a field under the ``number``-th ``header`` (as ``[answer]``; "" is the top), else of the header."""
        inside, seen, best = header == "", 0, None
        wanted = re.compile(rf"\s*[\"']?{re.escape(field)}[\"']?\s*=") if field else None
        for i, text in enumerate(self.text.split("\n"), 1):
            stripped = text.split("#", 1)[0].strip()
            if stripped.startswith("["):
                if inside:
                    break
                if re.sub(r"[\s\"']", "", stripped) == header:
                    seen += 1
                    inside = seen == number + 1
                    best = i if inside else best
            elif inside and wanted is not None and wanted.match(text):
                return i
        return best

    def place(self, header: str, number: int = 0) -> Callable[[str], str]:
        def find(field: str) -> str:
            line = self.line(header, field, number)
            return f"{self.path}:{line}" if line is not None else str(self.path)

        return find

    def section(self, name: str) -> Section:
        """The table ``[name]``; empty where it is not written. ``name`` "" is the whole file."""
        if not name:
            return Section("", self.data, self.place(""))
        data = self.data.get(name, {})
        header = f"[{name}]"
        if not isinstance(data, dict):
            raise TaskError(
                self.place("")(name), f"{name}: expected a table, got {kind_of(data)} {shown(data)}; write {header}"
            )
        return Section(header, data, self.place(header))


def validated(model: type[M], section: Section, fields: Mapping[str, Any] | None = None) -> M:
    """The section as a core model, strictly: ``calls = true`` is not one call. ``fields`` are defaults."""
    known = {info.alias or name for name, info in model.model_fields.items()}
    for field, value in section.data.items():
        if field not in known:
            raise section.fail(field, f"unknown field; {near(field, known)}")
        if problem := not_plain(value):
            raise section.fail(field, problem)
    try:
        return model.model_validate_json(json.dumps({**(fields or {}), **section.data}), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        at = str(first["loc"][0]) if first["loc"] else ""
        problem = first["msg"].removeprefix("Value error, ")
        got = section.data.get(at)
        raise section.fail(at, f"{problem}, got {kind_of(got)} {shown(got)}") from None
