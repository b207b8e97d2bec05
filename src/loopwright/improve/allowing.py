"""What an artifact would use of this machine beyond its plain data (models, keys, code), and whether the user said that it may.

An artifact is a folder that may come from anybody. Prompts, worked examples, adapters for the built-in models and the recipes of
installed packages are data. A server, a key, weights at a path and Python code are used only after somebody said so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwright.core.errors import InputError, NotAllowed
from loopwright.core.types import Candidate
from loopwright.core.visible import visible_line
from loopwright.models.access import OPENAI, Access
from loopwright.models.names import ModelName, split_name, table_of
from loopwright.models.places import LAB, roles
from loopwright.models.smollm2 import NAME
from loopwright.worlds.equipment import code_of

_HARMLESS: dict[str, tuple[str, ...]] = {  # options of a built-in model that decide how it computes
    "dtype": ("auto", "float32", "bfloat16", "float16"), "device": ("auto", "cpu", "cuda"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that an artifact asks for.

    what: in one line, with nothing in it that a terminal obeys. sends: what would go where. instead: what to type to do without.
    """

    kind: str
    what: str
    sends: tuple[str, ...] = ()
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}" + "".join(f"; {line}" for line in self.sends)


Trust = bool | Callable[[Sequence[Use]], bool]


def uses_of(
    candidate: Candidate, manifest: Mapping[str, Any], task: Path | None, *, model: ModelName | None = None,
    others: Mapping[str, ModelName] | None = None,
) -> list[Use]:  # fmt: skip
    """What an artifact that was read asks for. Nothing is loaded or run to tell.

    Args:
        candidate: as ``read_artifact`` gives it.
        manifest: the same.
        task: the folder with what its Solver needs of a task, if it has one.
        model: the user's own, instead of the artifact's. others: those of other roles.
    """
    found = [] if model is not None else _model("policy", manifest["model"], "--model SPEC")
    solver = candidate.parts.get("solver")
    if not isinstance(solver, dict):
        return found
    for role, name in manifest.get("others", {}).items():
        if role not in (others or {}):
            found += _model(role, name, f"--{visible_line(role)}-model SPEC")
    recipe = str(solver["recipe"])
    if ":" in recipe:
        found.append(_code(task, f"the program {recipe}"))
    if task is not None:
        found += [_code(task, critic) for critic in code_of(task)]
    if ":" in str(manifest.get("world", "")):
        found.append(Use("world", ascii(manifest["world"]), ("what it makes with these options runs on this machine",)))
    return found


def allow(uses: Sequence[Use], trust: Trust) -> None:
    """Go on only where the user said that all of it may be used.

    Args:
        uses: what is asked for.
        trust: True for whatever it is; a function is asked, and answers whether it may be.

    Raises:
        NotAllowed: what was asked for, and what to type.
    """
    if not uses or trust is True:
        return
    if callable(trust) and trust(uses):
        return
    instead = list(dict.fromkeys(use.instead for use in uses if use.instead))
    own = f"; or give your own with {' and '.join(instead)}" if len(instead) == len(uses) else ""
    listed = "\n".join(f"  {use}" for use in uses)
    raise NotAllowed(
        f"this artifact asks for what nobody said it may use:\n{listed}\n"
        f"If you know who made it and want that, add --trust (in Python trust=True){own}"
    )


def _model(role: str, name: ModelName, instead: str) -> list[Use]:
    backend, options = split_name(name) if isinstance(name, str) else table_of(name)
    if _built_in(backend, options):
        return []
    shown = ascii(name) if isinstance(name, str) else json.dumps(name)
    what = f"{visible_line(role)} {shown}"
    if backend == "scripted":
        return [Use("code", what, ("the module is loaded and runs with your rights",), instead)]
    if backend != "openai":
        return [Use("model", what, ("weights are read from that place",), instead)]
    base = options.get("base_url", OPENAI)
    if not isinstance(base, str):
        raise InputError(f"model: base_url: expected text, got {base!a}")
    headers, variable = options.get("headers"), options.get("api_key_env")
    if not isinstance(headers, Mapping | None) or not isinstance(variable, str | None):
        raise InputError("model: expected headers as a table and api_key_env as text")
    access = Access(base, api_key_env=variable, headers=headers)
    sends = [f"the value of {name} goes to {base!a}" for name in access.variables]
    by = ("all of it goes by way of the proxies that HTTP_PROXY and HTTPS_PROXY name",) if options.get("trust_env") else ()
    return [Use("model", what, (f"your question goes to {base!a}", *sends, *by), instead)]


def _built_in(backend: str, options: Mapping[str, Any]) -> bool:
    """Whether a model is one of our own: weights of the package, or those that ``loopwright model fetch`` brings."""
    if backend == "world":
        return set(options) == {"world"} and ":" not in str(options["world"])
    if backend != "embedded" or set(options) - {"path", "adapter", "model", *_HARMLESS}:
        return False
    if not all(options.get(key, "auto") in known for key, known in _HARMLESS.items()):
        return False
    named = [str(options[key]) for key in ("path", "model") if options.get(key) is not None]
    adapters = [str(options["adapter"])] if options.get("adapter") is not None else []
    for i, name in enumerate(named):
        if name.startswith(f"{LAB}+"):
            named[i] = LAB
            adapters.append(name.removeprefix(f"{LAB}+"))
    if adapters and (set(named) != {LAB} or not set(adapters) <= set(roles())):
        return False
    return set(named) <= {LAB, NAME}


def _code(task: Path | None, what: str) -> Use:
    files = sorted(path.relative_to(task).as_posix() for path in task.rglob("*.py")) if task is not None else []
    listed = ", ".join(map(ascii, files)) or "none in the artifact, so an installed module"
    return Use("code", ascii(what)[1:-1], (f"it runs with your rights; files: {listed}",))
