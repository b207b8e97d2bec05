"""Reading files that anybody may have written: an artifact is data, and each way in which it can be wrong has its message."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from loopwright.core.errors import InputError, TaskError, UnknownName
from loopwright.core.model import Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Frozen
from loopwright.core.visible import visible_line
from loopwright.critics.json_schema import strict_json
from loopwright.critics.section import Section, kind_of, near, not_plain, shown
from loopwright.models.names import BACKENDS, recorded, split_name, table_of
from loopwright.worlds.model_table import ROLES
from loopwright.worlds.toml_file import validated
from loopwright.worlds.tools import TEXT_FILES

FORMATS = (1, 2)
TEXT_BYTES = 16 << 20  # of a file that is read as a whole: a manifest, a prompt, a solver, a program
CORPUS_BYTES = 1 << 30  # of all other texts together, which a search tool reads
FILE_BYTES = 4 << 30  # of any other file but weights
ENTRIES, DEPTH = 20_000, 20  # files and folders in an artifact, and how deep they lie
AGAIN = "copy the whole folder again from where it was made, or write it again there with: loopwright resume RUN"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
_LISTED = re.compile(r"[0-9a-f]{64}")
_KINDS = {
    stat.S_IFLNK: "a link", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below a folder by its path in it.

    Raises InputError for what is neither file nor folder, for files that are too large, and where there are too many.
    """
    found, texts, waiting = 0, 0, [(folder, 0)]
    while waiting:
        here, depth = waiting.pop()
        for entry in sorted(islice(os.scandir(here), ENTRIES + 1), key=lambda entry: entry.name):
            name = Path(entry.path).relative_to(folder).as_posix()
            about = entry.stat(follow_symlinks=False)
            found += 1
            if found > ENTRIES or depth > DEPTH:
                much = f"more than {ENTRIES:,} files" if found > ENTRIES else f"folders more than {DEPTH} deep"
                raise InputError(f"{folder} holds {much}, as no artifact does; expected the folder 'artifact' of improve's --out")
            if stat.S_ISDIR(about.st_mode):
                if entry.name != "__pycache__":  # what Python keeps for itself is never read
                    waiting.append((Path(entry.path), depth + 1))
                continue
            if not stat.S_ISREG(about.st_mode):
                kind = _KINDS.get(stat.S_IFMT(about.st_mode), "neither")
                to = f" to {visible_line(os.readlink(entry.path))}" if stat.S_ISLNK(about.st_mode) else ""
                raise InputError(
                    f"{folder / visible_line(name)} is {kind}{to}; an artifact holds files and folders alone. Remove it, if you "
                    "trust the rest, or take another copy"
                )
            limit = _limit(name, texts)
            if Path(name).suffix.lower() in TEXT_FILES:
                texts += about.st_size
            if about.st_size > limit:
                place = folder / visible_line(name)
                raise InputError(
                    f"{place} has {about.st_size:,} bytes, more than the {limit:,} that are read here; {AGAIN}"
                )
            yield name, about


def _limit(name: str, texts: int) -> int:
    """How large a file may be, after so many bytes of texts."""
    kind = Path(name).suffix.lower()
    if name.startswith("adapter/") and kind not in TEXT_FILES:  # weights, which are read as a whole: half of the memory
        return max(1 << 30, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    if kind in (".toml", ".py") or (kind in TEXT_FILES and not name.startswith("task/")):
        return TEXT_BYTES
    return CORPUS_BYTES - texts if kind in TEXT_FILES else FILE_BYTES


def read_bytes(path: Path, limit: int = TEXT_BYTES) -> bytes:
    """A file's content, through no link. Raises InputError where it is none, or larger than ``limit``."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; {AGAIN}") from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError(f"{path} is no file; {AGAIN}")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InputError(f"{path} has more than the {limit:,} bytes that are read here; {AGAIN}")
    return data


def copy_file(path: Path, target: Path) -> None:
    """Copy a file, through no link. Raises InputError where it is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; {AGAIN}") from None
    with os.fdopen(handle, "rb") as source, target.open("xb") as copy:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError(f"{path} is no file; {AGAIN}")
        shutil.copyfileobj(source, copy, 1 << 20)


def read_text(path: Path) -> str:
    """A file's text. Raises InputError where it is empty, or no UTF-8."""
    data = read_bytes(path)
    if not data.strip():
        raise InputError(f"{path} is empty; {AGAIN}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text: byte 0x{data[error.start]:02x} at {error.start} is not UTF-8; {AGAIN}") from None


def read_object(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object. Raises InputError for everything else, repeated fields and NaN included."""
    text = read_text(path)
    try:
        found = strict_json(text)
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {visible_line(str(error))[:300]}; {AGAIN}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected an object, {{...}}, got {kind_of(found)} {shown(found)}; {AGAIN}")
    if (deep := _deeper(found)) > 64:
        raise InputError(f"{path}: nested {deep} deep, expected at most 64; {AGAIN}")
    if problem := not_plain(found):
        raise InputError(f"{path}: {visible_line(problem)}; {AGAIN}")
    return found


def _deeper(value: object) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        if isinstance(one, dict | list):
            waiting += [(inner, depth + 1) for inner in (one.values() if isinstance(one, dict) else one)]
    return deepest


@contextmanager
def _said_what_to_do() -> Iterator[None]:
    try:
        yield
    except TaskError as error:
        raise InputError(f"{visible_line(str(error))}; {AGAIN}") from None


@_said_what_to_do()
def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of an artifact, every field of it checked. Raises InputError."""
    data = read_object(path)
    fields = Section("", data, lambda field: str(path))
    form = data.get("format")
    fields.has("format")
    if type(form) is not int or form not in FORMATS:
        newer = type(form) is int and form > max(FORMATS)
        todo = "it was written by a newer version of Loopwright: pip install --upgrade loopwright" if newer else AGAIN
        got = "none" if form is None else shown(form)
        raise InputError(f"{path}: format: expected {' or '.join(map(str, FORMATS))}, got {got}; {todo}")
    fields.text("task")
    for field in ("run", "candidate", "base", "world"):
        fields.text(field, "")
    fields.texts("parents", [])
    parts = fields.texts("parts")
    fields.table("unproven", {})
    fields.texts("left_out", [])
    fields.table("taken", {})
    checked(fields, "sampling", Sampling)
    for name, digest in fields.table("files", {}).items():
        if not isinstance(digest, str) or not _LISTED.fullmatch(digest):
            raise fields.fail("files", f"{visible_line(name)}: expected a SHA-256 of 64 hex digits, got {shown(digest)}")
        if name.startswith("/") or not name or any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
            raise fields.fail("files", f"{shown(name)} is no path in the artifact's own folder")
    if not fields.has("model"):
        raise fields.fail("model", "missing; expected what the run's model is called, such as \"embedded\"")
    _model(fields, "model", data["model"])
    for role, name in fields.table("others", {}).items():
        if role not in ROLES:
            raise fields.fail("others", f"unknown role {shown(role)}; {near(role, ROLES)}")
        _model(fields, f"others {visible_line(role)}", name)
    fields.close()
    if doubled := [part for part in set(parts) if parts.count(part) > 1]:
        raise fields.fail("parts", f"{doubled[0]!r} is named twice")
    return data


def checked(fields: Section, name: str, kind: type[Frozen]) -> None:
    """A table that is to be one of our own types."""
    validated(kind, Section(name, fields.table(name), lambda field: fields.fail(name, "").where))


def _model(fields: Section, field: str, value: object) -> None:
    """A model's name, as far as it can be told without loading anything."""
    if not isinstance(value, str | Mapping) or not value:
        raise fields.fail(field, f"expected a model's name, text or a table, got {kind_of(value)} {shown(value)}")
    if len(str(value)) > 4000:
        raise fields.fail(field, f"expected a model's name, got {len(str(value)):,} characters")
    try:
        name = recorded(value)
        backend, _ = split_name(name) if isinstance(name, str) else table_of(name)
        if backend not in BACKENDS:
            raise UnknownName("kind of model", visible_line(backend), BACKENDS)
    except InputError as error:
        raise fields.fail(field, str(error)) from None


@_said_what_to_do()
def read_prompt(path: Path) -> dict[str, Any]:
    """The prompt part, checked; {} for none. Raises InputError."""
    data = read_object(path)
    validated(Prompt, Section("", data, lambda field: str(path)))
    return data


@_said_what_to_do()
def read_solver(path: Path) -> dict[str, Any]:
    """The solver part: the recipe's name and its options. What they name is not looked up. Raises InputError."""
    text = read_text(path)
    try:
        data: dict[str, Any] = tomllib.loads(text) if path.suffix == ".toml" else read_object(path)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {visible_line(str(error))[:200]}; {AGAIN}") from None
    fields = Section("", data, lambda field: str(path))
    if not fields.text("recipe", hint='recipe = "best-of-n"').strip():
        raise fields.fail("recipe", "expected the name of a recipe, got an empty one")
    fields.table("options", {})
    fields.close()
    return data


def refuse_pickles(folder: Path, names: Collection[str]) -> None:
    """Weights are safetensors alone: a pickle runs code when it is read. Raises InputError."""
    for name in names:
        if Path(name).suffix.lower() in PICKLES:
            raise InputError(
                f"{folder / visible_line(name)} may be a pickle, which runs code when it is read; adapters "
                "are read from .safetensors alone. Save the adapter again with PEFT's save_pretrained"
            )
