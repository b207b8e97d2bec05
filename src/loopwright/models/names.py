"""How models are named: a text such as ``openai:NAME@http://host/v1``, or a table of the same with its options.

A name is written into stores, reports and artifacts, so it may say where a secret is, and never hold one.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from loopwright.core.errors import InputError, UnknownName
from loopwright.models.access import FROM_ENVIRONMENT, checked_variable, looks_secret
from loopwright.models.replies import Redactor

BACKENDS = ("embedded", "openai", "scripted", "world")
ModelName = str | Mapping[str, Any]
_OPTIONS = re.compile(r",(?=[a-z_]+=)")  # of a server, behind its address
_ADDRESS = re.compile(  # what stands behind an @ where an address without its scheme was meant
    r"//.*|(localhost|\[[0-9a-f:.]+\]|\d{1,3}(\.\d{1,3}){3})(:\d+)?(/.*)?|[\w.-]+:\d{2,5}(/.*)?|[\w.-]+\.[a-z][\w-]*(:\d+)?/.*"
    r"|[\w-]+/v\d+/?|([\w-]+\.)+(com|org|net|ai|io|dev|cloud|local|internal|lan)",
    re.I,
)


def split_name(text: str) -> tuple[str, dict[str, Any]]:
    """The backend that a text names, with what it says of it.

    Raises InputError for an address without a scheme: as part of a name it would go to another server.
    """
    backend, _, rest = text.partition(":")
    if not rest:
        return backend, {}
    if backend == "embedded":
        return backend, {"path": rest}
    if backend == "world":
        return backend, {"world": rest}
    if backend == "openai":
        return backend, _server(rest)
    return backend, {"answer": rest}


def table_of(spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The same of a table: {"name": ..., options} as under ``[model]``, or {"backend": ..., "model": ...}.

    A name without a backend before it is that of a model at a server. Raises InputError or UnknownName.
    """
    given = dict(spec)
    backend, name = given.pop("backend", None), given.pop("name", None)
    if isinstance(name, str) and "model" not in given:
        said, _, _ = name.partition(":")
        if backend is None and said in BACKENDS:
            backend, parsed = split_name(name)
            if both := set(parsed) & set(given):
                raise InputError(f"model: {min(both)} is given twice, in the name and beside it")
            return backend, {**parsed, **given}
        mistyped = backend is None and name != said and "base_url" not in given
        if mistyped and (near := difflib.get_close_matches(said, BACKENDS, n=1, cutoff=0.75)):
            raise UnknownName("kind of model", said, near)
        return str(backend or "openai"), {**given, "path" if backend == "embedded" else "model": name}
    if not isinstance(backend, str):
        raise InputError(f"model: expected a 'name' or a 'backend', one of {', '.join(BACKENDS)}, got the fields {sorted(given)}")
    return backend, given


def recorded(spec: ModelName) -> str | dict[str, Any]:
    """The name as it may be written down.

    Args:
        spec: a text or a table.

    Returns:
        The same as plain data.

    Raises:
        InputError: it holds something that opens a server, or something that is no plain data.
    """
    if isinstance(spec, str):
        if Redactor()(spec) != spec:
            raise InputError("model: its name holds a key; put it in an environment variable and name that: api_key_env=NAME")
        _refuse_values(split_name(spec)[1])
        return spec
    if not isinstance(spec, Mapping):
        raise InputError(f"model: expected a text or a table, got {type(spec).__name__}")
    for field in spec:
        if looks_secret(str(field)) and field != "api_key_env":
            raise InputError(
                f"model: {field}: a run records what its model is called, so no key may stand there. Put it in an environment "
                'variable and write api_key_env = "NAME"'
            )
    checked_variable(spec.get("api_key_env"))
    name = spec.get("name")
    _refuse_values({**(split_name(name)[1] if isinstance(name, str) else {}), **spec})
    try:
        text = json.dumps(dict(spec), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"model: expected plain data, which can be recorded: {error}") from None
    if Redactor()(text) != text:
        raise InputError("model: one of its options holds a key; put it in an environment variable")
    made: dict[str, Any] = json.loads(text)
    return made


def _refuse_values(given: Mapping[str, Any]) -> None:
    """Raises InputError for a header whose value stands in a model's name or table: which of them open something, only the server
    knows, and all would stand in the store, the artifact and the report.
    """
    headers = given.get("headers") or {}
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        if isinstance(value, str) and not value.startswith(FROM_ENVIRONMENT):
            raise InputError(
                f"model: headers: {name}: a run records what its model is called, and values of headers may be secrets, so none "
                f'may stand there. Put it in an environment variable and write {name} = "{FROM_ENVIRONMENT}NAME"'
            )


def shown_model(spec: object) -> str:
    """The name for a person, in one line."""
    if not isinstance(spec, Mapping):
        return str(spec or "")
    backend, given = table_of(spec)
    name = str(given.get("model") or given.get("path") or given.get("world") or given.get("answer") or "")
    address = f"@{given['base_url']}" if given.get("base_url") else ""
    return f"{backend}:{name}{address}" if name else backend


def _server(rest: str) -> dict[str, Any]:
    first, *options = _OPTIONS.split(rest)
    found = re.search(r"@((?:https?://|unix:).*)", first, re.I)
    name = first[: found.start()] if found else first
    given: dict[str, Any] = {"model": name}
    if found:
        scheme, colon, address = found[1].partition(":")
        given["base_url"] = scheme.lower() + colon + address
    elif "@" in first:
        tail = first.rpartition("@")[2]
        if not tail or "://" in tail or _ADDRESS.fullmatch(tail):
            # What stands before may hold a password, so only the address is repeated.
            tail = re.sub(r"^[\w+.-]*:?//", "", tail) or "127.0.0.1:8000/v1"
            raise InputError(
                "model: the address has no scheme that is known, so it would count as a part of the name and be sent to OpenAI; "
                f"write openai:MODEL@http://{tail} (or https://)"
            )
    for option in options:
        key, _, value = option.partition("=")
        if key in given:
            raise InputError(f"model: {key} is given twice")
        given[key] = _value(value)
    return given


def _value(text: str) -> Any:
    """As JSON where it is JSON, else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
