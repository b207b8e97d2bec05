"""The table ``[model]`` of a task: who answers, and who judges and proposes where that is another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.core.errors import InputError, TaskError, UnknownName
from loopwright.critics.section import Section, kind_of, near, shown
from loopwright.models.names import BACKENDS, ModelName, recorded, split_name, table_of
from loopwright.worlds.toml_file import TomlFile

ROLES = ("judge", "proposer")
_TABLES = ("options", "headers")
_TEXTS = ("base_url", "api_key_env", "adapter", "dtype", "device")
_NUMBERS = ("timeout", "deadline", "backoff", "longest_wait", "cooldown", "max_reply_mb")
_WHOLE = ("concurrency", "attempts", "circuit", "batch_rows", "threads")


def read_models(file: TomlFile) -> tuple[ModelName, dict[str, ModelName]]:
    """The task's model and those of other roles.

    Args:
        file: a task file, with ``model = "..."``, or a table ``[model]`` that may have ``[model.judge]`` and
            ``[model.proposer]``, or none of it.

    Returns:
        The model's name, "" where none is given, and the other names by role.

    Raises:
        TaskError: for what is no model, and for a key that was written into the file.
    """
    given = file.data.get("model", "")
    if isinstance(given, str):
        return _checked(given, file.section("").fail) if given else "", {}
    if not isinstance(given, dict):
        place = file.place("[[model]]")("") if isinstance(given, list) else file.place("")("model")
        raise TaskError(place, f'model: expected text in quotes or a table, got {kind_of(given)}; write [model]')
    others: dict[str, ModelName] = {}
    for role in ROLES:
        if role not in given:
            continue
        if isinstance(given[role], str):
            others[role] = _checked(given[role], Section("[model]", given, file.place("[model]")).fail, role)
        elif isinstance(given[role], dict):
            others[role] = _table(Section(f"[model.{role}]", given[role], file.place(f"[model.{role}]")), required=True)
        else:
            raise Section("[model]", given, file.place("[model]")).fail(role, f"expected a table; write [model.{role}]")
    own = {k: v for k, v in given.items() if k not in ROLES}
    for field, value in own.items():
        if isinstance(value, dict) and field not in _TABLES:
            place = file.place(f"[model.{field}]")("")
            raise TaskError(place, f"[model.{field}]: unknown table; {near(field, (*ROLES, *_TABLES))}")
    return _table(Section("[model]", own, file.place("[model]")), required=not others), others


def _table(section: Section, *, required: bool) -> ModelName:
    if not section.data and not required:
        return ""
    name = section.text("name", hint='name = "gpt-4o-mini"')
    made: dict[str, Any] = {"name": name}
    for field in _TEXTS:
        if section.has(field):
            made[field] = section.text(field)
    for field in _NUMBERS:
        if section.has(field):
            made[field] = section.number(field, low=0.0)
    for field in _WHOLE:
        if section.has(field):
            made[field] = section.whole(field, low=1)
    if section.has("trust_env"):
        made["trust_env"] = section.flag("trust_env")
    if section.has("omit"):
        made["omit"] = section.texts("omit")
    if section.has("price"):
        made["price"] = _price(section)
    for field in _TABLES:
        if section.has(field):
            made[field] = section.table(field)
    if "api_key" in section.data:
        raise section.fail("api_key", 'a key does not belong in a file; put it in an environment variable and write '
                           'api_key_env = "NAME"')  # fmt: skip
    section.close()
    if set(made) == {"name"} and name.partition(":")[0] in BACKENDS:
        return _checked(name, section.fail, "name")
    return _checked(made, section.fail)


def _price(section: Section) -> list[float]:
    value = section.data["price"]
    if isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) and v >= 0 for v in value):
        return value
    raise section.fail("price", f"expected two prices in dollars per million tokens, as in [0.15, 0.6], got {shown(value)}")


def _checked(name: ModelName, fail: Any, field: str = "") -> ModelName:
    """The name, after making what can be made of it without reading weights or calling anyone."""
    try:
        made = recorded(name)
        backend, options = table_of(made) if isinstance(made, Mapping) else split_name(made)
        if backend not in BACKENDS:
            raise UnknownName("model", str(made), [*BACKENDS, f"openai:{made}"])
        if backend == "openai":
            from loopwright.models import load

            load({"backend": backend, **options})
        return made
    except TaskError:
        raise
    except UnknownName as error:
        raise fail(field or ("name" if "kind of model" in str(error) else ""), str(error)) from None
    except InputError as error:
        said = str(error).removeprefix("model: ")
        first = said.split(":", 1)[0]  # messages about one field begin with its name
        raise fail(field or (first if isinstance(name, Mapping) and first in name else ""), said) from None
