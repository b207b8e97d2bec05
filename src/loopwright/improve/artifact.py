"""The artifact: what a run leaves for use. Plain files: prompt.json, solver.toml, adapter/ as PEFT reads it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from loopwright.core.errors import InputError, StoreCorrupt
from loopwright.core.extras import named
from loopwright.core.model import Blobs, Exportable, Sampling
from loopwright.core.outfolder import digests
from loopwright.core.outputs import make_folder, sync
from loopwright.core.types import Candidate
from loopwright.core.visible import visible_line
from loopwright.improve.untrusted import (
    AGAIN,
    FORMATS,
    copy_file,
    read_bytes,
    read_manifest,
    read_object,
    read_prompt,
    read_solver,
    refuse_pickles,
    walk,
)
from loopwright.models import without_adapter
from loopwright.models.names import ModelName
from loopwright.worlds.equipment import Packed, pack
from loopwright.worlds.task import TEXT_TOKENS

FURTHER = "parts.json"  # parts of a candidate beside prompt, solver and adapter, such as a library
MANIFEST = "artifact.json"
UNPROVEN = "unproven.json"  # the manifest of a candidate that no gate accepted: it is no artifact, and not read as one
OWN_FORM = "weights.bin"  # weights of a model that keeps them in a form of its own, as the generators of worlds do


def build_artifact(
    building: Path, candidate: Candidate, *, blobs: Blobs, sampling: Sampling, model: ModelName, place: Mapping[str, str],
    task: str, run: str, others: Mapping[str, ModelName] | None = None, policy: object = None,
    unproven: Mapping[str, Any] | None = None, text_tokens: int = TEXT_TOKENS, carries: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the candidate into an empty folder.

    Args:
        building: the folder.
        candidate: what to write. blobs: where its weights are.
        sampling: how its answers are sampled.
        model: as the run names it. others: models of other roles than the policy's.
        place: the task's ``folder``, or the name of a ``world``. Of a folder, what a Solver needs is copied, and nothing else.
        task: its name. run: the run's id.
        policy: the model itself. Where it can be exported, the folder ``adapter`` is all that was added to a base model that
            PEFT and transformers load from the path in it: an adapter in the model's name is included, and left out of the
            manifest's model.
        unproven: what is known of a candidate that the gate did not accept; its manifest has another name.
        text_tokens: tokens that a text of a method's own may take. carries: what the task's program reads, as the task says.

    Returns:
        What the manifest says.

    Raises:
        InputError: a recipe that is gone. StoreCorrupt: weights that are none.
    """  # fmt: skip
    parts = dict(candidate.parts)
    prompt, solver, adapter = (parts.get(k) for k in ("prompt", "solver", "adapter"))
    _json(building / "prompt.json", prompt or {})
    if further := {name: part for name, part in parts.items() if name not in ("prompt", "solver", "adapter")}:
        _json(building / FURTHER, further)
    packed = Packed()
    if isinstance(solver, dict):
        if _in_toml(solver):
            (building / "solver.toml").write_text(tomli_w.dumps(solver), encoding="utf-8")
        else:
            _json(building / "solver.json", solver)
        if "folder" in place:
            packed = pack(
                Path(place["folder"]), solver, building / "task", text_tokens=text_tokens, carries=tuple(carries)
            )
    hash = adapter if isinstance(adapter, str) else None
    exported = policy.export_weights(hash) if isinstance(policy, Exportable) else None
    blob = exported.blob if exported is not None else blobs.get(hash) if hash is not None else None
    base = ""
    if blob is not None:
        base = _write_weights(blob, building / "adapter", model, exported.base if exported is not None else None)
        parts.setdefault("adapter", None)  # it may be that of the model's name alone
    if exported is not None:
        model = without_adapter(model)
    manifest = {
        "format": max(FORMATS),
        "task": task,
        **({"world": place["world"]} if isinstance(solver, dict) and "world" in place else {}),
        "run": run,
        "candidate": candidate.hash,
        "parents": list(candidate.parents),
        "model": model,
        **({"base": base} if base else {}),
        **({"others": dict(others)} if others else {}),
        "sampling": sampling.model_dump(by_alias=True, mode="json"),
        "parts": sorted(parts),
        **({"unproven": dict(unproven)} if unproven is not None else {}),
        "files": digests(building),
        **({"taken": packed.files} if packed.files else {}),
        **({"left_out": packed.left} if packed.left else {}),
    }
    _json(building / (MANIFEST if unproven is None else UNPROVEN), manifest)
    return manifest


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _in_toml(value: object) -> bool:
    """Whether TOML can say it: it has no null."""
    if isinstance(value, Mapping):
        return all(map(_in_toml, value.values()))
    return all(map(_in_toml, value)) if isinstance(value, list | tuple) else value is not None


def write_artifact(folder: Path, candidate: Candidate, **about: Any) -> Path:
    """Write an artifact whole or not at all, into a folder that is not there yet.

    Args:
        folder: the artifact's.
        candidate: what it is of.
        about: the rest of what ``build_artifact`` takes.

    Returns:
        The folder.

    Raises:
        InputError: something is there already.
    """
    if os.path.lexists(folder):
        raise InputError(f"{folder} is there already, and is not replaced; give another name")
    make_folder(folder.parent)
    building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        build_artifact(building, candidate, **about)
        for path in building.rglob("*"):
            sync(path)
        os.rename(building, folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync(folder.parent)
    return folder


def _write_weights(blob: bytes, folder: Path, model: ModelName, base: str | None) -> str:
    """Returns the name of their model that the weights have, which a path in the folder takes the place of."""
    with named():
        from loopwright.training.blob import from_bytes
        from loopwright.training.lora import export_adapter

    try:
        export_adapter(blob, folder, base=base)
        return from_bytes(blob).base
    except StoreCorrupt:
        if not str(model).startswith("world:"):
            raise
        folder.mkdir()
        (folder / OWN_FORM).write_bytes(blob)
        return ""


def read_artifact(folder: Path, blobs: Blobs, *, unproven: bool = False) -> tuple[Candidate, dict[str, Any]]:
    """The candidate and its manifest; the adapter is put among the blobs.

    The folder may come from anybody: nothing in it is run, no model that it names is loaded, and no link is followed.

    Args:
        folder: the artifact's.
        blobs: where its weights are put.
        unproven: read a candidate that no gate accepted.

    Returns:
        The candidate and what its manifest says.

    Raises:
        InputError: it is no artifact, or one that is damaged, incomplete or changed; the message says in which way.
    """
    path = manifest_of(folder, unproven=unproven)
    there = {name: about.st_size for name, about in walk(folder)}
    manifest = read_manifest(path)
    for name, expected in manifest.get("files", {}).items():
        if name not in there:
            raise InputError(f"{folder / visible_line(name)} is missing, which {path.name} lists; {AGAIN}")
        if _hash(folder / name) != expected:
            raise InputError(
                f"{folder / visible_line(name)} is not as the run wrote it: it was changed, or damaged on the way. "
                f"{AGAIN[0].upper()}{AGAIN[1:]}. To use a change of your own, remove the file's line from 'files' in {path.name}"
            )
    parts: dict[str, Any] = {}
    if prompt := read_prompt(folder / "prompt.json"):
        parts["prompt"] = prompt
    if FURTHER in there:
        further = read_object(folder / FURTHER)
        if taken := sorted({"prompt", "solver", "adapter"} & set(further)):
            raise InputError(f"{folder / FURTHER}: {taken[0]} has a file of its own and does not belong here; {AGAIN}")
        parts |= further
    solvers = [name for name in ("solver.toml", "solver.json") if name in there]
    if len(solvers) > 1:
        raise InputError(f"{folder}: expected one solver, got {' and '.join(solvers)}; {AGAIN}")
    for name in solvers:
        parts["solver"] = read_solver(folder / name)
    weights = [name for name in there if name.startswith("adapter/")]
    own = f"adapter/{OWN_FORM}"
    refuse_pickles(folder, [name for name in weights if name != own])
    if own in there:
        if not str(manifest["model"]).startswith("world:"):
            raise InputError(f"{folder / own} belongs to a world's model, and this one's is another; {AGAIN}")
        parts["adapter"] = blobs.put(read_bytes(folder / own, there[own]))
    elif weights:
        with named():
            from loopwright.training.lora import import_adapter

        parts["adapter"] = blobs.put(import_adapter(folder / "adapter", base=manifest.get("base")))
    said, found = set(manifest["parts"]), {*parts, *(["prompt"] if "prompt" in manifest["parts"] else [])}
    if said != found:
        lost, more = sorted(said - found), sorted(found - said)
        what = f"{lost[0]} is missing" if lost else f"{more[0]} is there, and the manifest does not name it"
        raise InputError(f"{path}: parts: expected just what is in the folder, but {visible_line(what)}; {AGAIN}")
    return Candidate(parts=parts), manifest


@contextmanager
def staged(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Path | None]:
    """A copy of what an artifact's Solver needs of its task, in a folder that nobody else can write to; None where there is none.

    Where the manifest lists its files, these alone are copied, and each is compared with its digest after it was.
    """
    if not (folder / "task").is_dir():
        yield None
        return
    listed = manifest.get("files")
    names = [name for name, _ in walk(folder) if name.startswith("task/") and not name.endswith(".pyc")]
    with tempfile.TemporaryDirectory(prefix="loopwright-artifact-") as place:
        for name in names if listed is None else [name for name in names if name in listed]:
            target = Path(place) / name
            make_folder(target.parent)
            copy_file(folder / name, target)
            if listed is not None and _hash(target) != listed[name]:
                raise InputError(f"{folder / visible_line(name)} was changed while it was read; {AGAIN}")
        yield Path(place) / "task" if (Path(place) / "task" / "task.toml").is_file() else None


def manifest_of(folder: Path, *, unproven: bool = False) -> Path:
    """The manifest of the artifact in a folder. Raises InputError where there is none of this kind."""
    path = folder / (UNPROVEN if unproven else MANIFEST)
    if os.path.lexists(path):
        return path
    if not unproven and os.path.lexists(folder / UNPROVEN):
        raise InputError(
            f"{folder} is a candidate that the gate did not accept: nothing proves that it is better than what the run started "
            "with; add --unproven to use it all the same"
        )
    if unproven:
        raise InputError(
            f"expected the folder of a refused candidate ('unproven' in improve's --out): there is no {UNPROVEN} in {folder}"
        )
    raise InputError(f"{folder} is not an artifact: {MANIFEST} expected in it; it is the folder 'artifact' of improve's --out")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
