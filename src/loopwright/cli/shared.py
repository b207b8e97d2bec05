"""What the commands share: the store's place, JSON on stdout, words on stderr, and reading of options."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.visible import visible, visible_json

if TYPE_CHECKING:
    from loopwright.cli.consoles import SafeConsole
    from loopwright.core.registry import Recipe
    from loopwright.core.store import Store
    from loopwright.core.types import Budget

FOLDER = ".loopwright"
FILE = "loopwright.db"

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="PATH", envvar="LOOPWRIGHT_STORE", show_default=f"{FOLDER}/",
        help="Where runs are kept: a folder or a .db file.",
    ),
]  # fmt: skip
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and everything else on stderr.")
]


@dataclass
class State:
    """What was given before the command's name."""

    store: str | None = None


def store_path(ctx: typer.Context, given: str | None) -> Path:
    """The database file: of this command's --store, else of the one before the command, else in the current folder."""
    state = ctx.find_object(State)
    text = given or (state.store if state else None) or FOLDER
    text = text.removeprefix("sqlite:///")
    if "://" in text or text == "memory:":
        raise InputError(f"--store: expected a folder or a .db file, got {text!r}")
    path = Path(text).expanduser()
    return path if path.suffix and not path.is_dir() else path / FILE


def given_store(ctx: typer.Context, given: str | None) -> bool:
    """Whether a store was named, by this command's --store or the one before the command."""
    state = ctx.find_object(State)
    return bool(given or (state and state.store))


def new_store_path(ctx: typer.Context, given: str | None) -> Path:
    """The same for a command that begins a run: the default folder is made and kept out of version control."""
    path = store_path(ctx, given)
    if path.parent.name == FOLDER and not path.parent.exists():
        from loopwright.store.modes import private_folder

        private_folder(path.parent)
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    return path


@contextmanager
def existing_store(ctx: typer.Context, given: str | None) -> Iterator[Store]:
    """Opened and closed again. A command that only reads makes no store: a wrong folder is an error, not an empty list."""
    path = store_path(ctx, given)
    if not path.is_file():
        raise InputError(
            f"no runs here: {path} does not exist. Begin one with 'loopwright improve TASK', "
            "or say where they are with --store"
        )
    from loopwright.core.errors import StoreReadOnly
    from loopwright.store import open_store

    try:
        store = open_store(path)
    except StoreReadOnly:
        store = open_store(path, read_only=True)
    try:
        yield store
    finally:
        store.close()


def emit(document: Any) -> None:
    """One JSON document on stdout; in ASCII where the terminal or file takes no more. What a terminal obeys is escaped."""
    plain = not _unicode(sys.stdout)
    text = json_module.dumps(document, indent=2, ensure_ascii=plain, allow_nan=False)
    sys.stdout.write(visible_json(text) + "\n")
    sys.stdout.flush()


def _unicode(stream: Any) -> bool:
    return str(getattr(stream, "encoding", "") or "").lower().replace("-", "").replace("_", "").startswith("utf")


def emit_line(line: str) -> None:
    """A line of JSON on stdout, as ``emit`` writes it."""
    sys.stdout.write(visible_json(line) if _unicode(sys.stdout) else json_module.dumps(json_module.loads(line)) + "\n")


def emit_text(text: object) -> None:
    """A text alone on stdout, such as an answer or a path: exactly as it is in a pipe or file, made visible on a terminal."""
    sys.stdout.write((visible(str(text)) if sys.stdout.isatty() else str(text)) + "\n")


def console(*, stderr: bool = False, wraps: bool = False) -> SafeConsole:
    """Where words for a person are printed; see ``cli.consoles``."""
    from loopwright.cli.consoles import SafeConsole

    return SafeConsole(stderr=stderr, wraps=wraps)


def say(message: str, *, style: str = "", first_line_only: bool = False) -> None:
    """Words for a person, on stderr. Never read as markup: messages hold what users and models wrote."""
    out = console(stderr=True)
    if first_line_only and "\n" in message:
        first, rest = message.split("\n", 1)
        out.print(first, style=style, markup=False)
        out.print(rest, markup=False)
    else:
        out.print(message, style=style, markup=False)


# ---- reading options --------------------------------------------------------------------------------------------------


def parse_budget(text: str | None) -> Budget | None:
    """``seconds=300,calls=1000`` as a Budget; None where nothing is given. Raises InputError."""
    if not text:
        return None
    from pydantic import ValidationError

    from loopwright.core.types import Budget

    caps: dict[str, str] = {}
    for item in text.split(","):
        name, found, value = item.partition("=")
        name = name.strip()
        if not found:
            raise InputError(f"--budget: expected name=number pairs such as seconds=300,calls=1000, got {item.strip()!r}")
        if name not in Budget.model_fields:
            raise UnknownName("resource in --budget", name, Budget.model_fields)
        if name in caps:
            raise InputError(f"--budget: {name} is given twice")
        caps[name] = value.strip().replace("_", "")
    try:
        return Budget.model_validate(caps)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise InputError(f"--budget: {name}={caps[name]} is not a cap: {first['msg']}") from None


def split_words(text: str) -> tuple[str, ...]:
    """``a, b`` as ("a", "b")."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def parse_setting(recipe: Recipe, name: str, text: str) -> Any:
    """An option's value from the command line: as text where its type takes text, else as JSON. Raises InputError."""
    try:
        return recipe.check({name: text})[name]
    except UnknownName:
        raise
    except InputError:
        try:
            value = json_module.loads(text)
        except ValueError:
            value = None
        if value is None:
            raise
    return recipe.check({name: value})[name]


def plain(value: Any) -> Any:
    """As JSON would carry it: tuples are lists, anything else that JSON lacks is its text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def parse_settings(settings: Sequence[str], *, slug: str = "") -> dict[str, dict[str, Any]]:
    """``slug.option=value`` (or ``option=value`` of the one ``slug``) by recipe. Raises InputError or UnknownName."""
    from loopwright.core.registry import get_recipe

    found: dict[str, dict[str, Any]] = {}
    for item in settings:
        key, equals, value = item.partition("=")
        owner, dot, name = key.strip().rpartition(".")
        if not equals or (not dot and not slug):
            expected = "option=value" if slug else "recipe.option=value, such as few-shot.sets=4"
            raise InputError(f"--set: expected {expected}, got {item!r}")
        owner = owner or slug
        if slug and owner != slug:
            raise InputError(f"--set: only {slug} is run here, got an option of {owner!r}")
        recipe = get_recipe(owner)
        found.setdefault(owner, {})[name] = plain(parse_setting(recipe, name, value))
    return found
