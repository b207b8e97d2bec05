"""Language-model backends. ``load`` makes one from a word; nothing heavy is imported until then."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopwright.core import extras
from loopwright.core.beside import module_named, names_beside
from loopwright.core.errors import InputError, ModelNotFound, UnknownName
from loopwright.core.model import Blobs, Model
from loopwright.models.names import BACKENDS, split_name, table_of

if TYPE_CHECKING:
    from loopwright.models.embedded import Embedded
    from loopwright.models.openai import OpenAIModel
    from loopwright.models.scripted import ScriptedModel

_INNER = ("sleep", "clock", "wall", "jitter", "prices", "blobs")  # for tests and for the parts that load models


def load(spec: str | Mapping[str, Any], *, blobs: Blobs | None = None, **options: Any) -> Model:
    """The model that ``spec`` names.

    Text is one of ``embedded``, ``embedded:/path/to/folder-or.gguf``, ``embedded:lab`` (the laboratory's model),
    ``embedded:lab+ROLE`` (with a role that it was taught), ``embedded:/path/to/folder+/path/to/adapter``, ``openai:NAME``,
    ``openai:NAME@http://host:port/v1``, ``openai:NAME@unix:/path``, ``scripted:module:function`` (the module may lie beside
    task.toml), ``world:NAME`` (the model that plays in a world of ``worlds.registry`` that has one of its own).

    A mapping says the same as {"backend": "openai", "model": NAME, "base_url": ...}, {"backend": "embedded", "path": ...,
    "adapter": ...} or {"backend": "scripted", "answer": ...}, with further options of the backend; or as ``[model]`` of a task
    does, {"name": NAME, ...}. In a text, options of a server follow its address: ``...,api_key_env=NAME``. ``blobs`` is where the
    embedded model keeps adapters; without it they stay in memory. ``priced`` says that money is capped (see OpenAIModel),
    ``device`` where the embedded model computes; both may be given for any backend. Raises UnknownName for a backend, module or
    function that does not exist, InputError for options it does not take, MissingExtra where a package is not installed.
    """
    backend, given = split_name(spec) if isinstance(spec, str) else table_of(spec)
    given.update(options)
    if backend != "openai":
        given.pop("priced", None)  # the others cost nothing
    if backend != "embedded":
        given.pop("device", None)  # the others compute elsewhere, or hardly
    try:
        with extras.named():
            if backend == "embedded":
                return _embedded(given, blobs)
            if backend == "openai":
                return _openai(given)
            if backend == "scripted":
                return _scripted(given)
            if backend == "world":
                return _world(given, blobs)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise InputError(f"model {backend}: {str(error).split('() ')[-1]}") from None
    raise UnknownName("model", _as_text(spec), _known())


def _checked(backend: str, make: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raises UnknownName for an option that the backend does not take."""
    taken = [name for name, p in inspect.signature(make).parameters.items() if p.kind is not p.VAR_KEYWORD and name not in _INNER]
    for name in given:
        if name not in taken and name not in _INNER:
            raise UnknownName(f"option of {backend} models", name, [n for n in taken if n != "model"])


def without_adapter(spec: str | Mapping[str, Any]) -> str | Mapping[str, Any]:
    """The name of the same model without the adapter that its name has; any other name as it is."""
    backend, given = split_name(spec) if isinstance(spec, str) else table_of(spec)
    if backend != "embedded":
        return spec
    path, adapter = _apart(given.get("path"))
    if isinstance(spec, str):
        return spec if adapter is None else f"{backend}:{path}"
    return {n: path if n == "path" else v for n, v in spec.items() if n != "adapter"}


def _apart(path: Any) -> tuple[Any, str | None]:
    """A path and the adapter behind its last plus sign, if any."""
    if isinstance(path, str) and "+" in path and not Path(path).expanduser().exists():
        path, _, adapter = path.rpartition("+")
        return path, adapter
    return path, None


def _embedded(given: dict[str, Any], blobs: Blobs | None) -> Embedded:
    extras.require("torch", "transformers", "safetensors")  # which it imports when it is first asked something
    from loopwright.models.embedded import Embedded

    path, adapter = _apart(given.pop("path", None))
    if adapter is not None:
        given.setdefault("adapter", adapter)
    if path is not None:
        given["model"] = path
    if path == "lab":  # so small that bfloat16 saves nothing, and claims are made of it as it was trained
        given.setdefault("dtype", "float32")
    _checked("embedded", Embedded, given)
    return Embedded(_Memory() if blobs is None else blobs, **given)


class _Memory:
    """Blobs of a model that was loaded without a store: its adapters live as long as it does."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        self._blobs[name] = data
        return name

    def get(self, hash: str) -> bytes:
        if hash not in self._blobs:
            raise ModelNotFound(f"no adapter {hash[:12]}: this model was loaded without a store to read it from")
        return self._blobs[hash]


def _openai(given: dict[str, Any]) -> OpenAIModel:
    from loopwright.models.openai import OpenAIModel
    from loopwright.models.prices import Prices

    if isinstance(given.get("prices"), str):
        given["prices"] = Prices.load(given["prices"])
    _checked("openai", OpenAIModel, given)
    return OpenAIModel(given.pop("model", ""), **given)


def _world(given: dict[str, Any], blobs: Blobs | None) -> Model:
    from loopwright.worlds.registry import known_world

    name = str(given.pop("world", ""))
    make = known_world(name).model
    if not callable(make):
        raise InputError(f"the world {name} has no model of its own; it is meant for {make or 'none'}")
    made: Model = make(_Memory() if blobs is None else blobs, **given)
    return made


def _scripted(given: dict[str, Any]) -> ScriptedModel:
    from loopwright.models.scripted import ScriptedModel

    answer = given.pop("answer", None)
    if answer is None:
        raise InputError("model scripted: expected scripted:module:function, or an 'answer': a function or the answers")
    if isinstance(answer, str):
        answer = _function(answer)
    return ScriptedModel(answer, **given)


def _function(path: str) -> Any:
    name, _, attribute = path.partition(":")
    try:
        module = module_named(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is not
        raise UnknownName("module", name, names_beside()) from None
    except ValueError:
        raise InputError(f"expected scripted:module:function, got scripted:{path}") from None
    if not hasattr(module, attribute):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UnknownName("function", attribute, known)
    return getattr(module, attribute)


def _as_text(spec: str | Mapping[str, Any]) -> str:
    return spec if isinstance(spec, str) else str(spec.get("backend"))


def _known() -> list[str]:
    from loopwright.models.prices import Prices

    hosted = Prices.load().hosts.get("api.openai.com", {})
    return [*BACKENDS, *(f"openai:{name}" for name in hosted)]


__all__ = ["BACKENDS", "Model", "load"]
