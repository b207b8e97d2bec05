"""The artifact: what a run leaves for use. Plain files: prompt.json, solver.toml, adapter/ as PEFT reads it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from loopwright.core.errors import InputError, StoreCorrupt
from loopwright.core.extras import named
from loopwright.core.model import Blobs, Exportable, Sampling
from loopwright.core.outputs import make_folder, sync
from loopwright.core.types import Candidate
from loopwright.models import without_adapter
from loopwright.models.names import ModelName

MANIFEST = "artifact.json"
UNPROVEN = "unproven.json"  # the manifest of a candidate that no gate accepted: it is no artifact, and not read as one
OWN_FORM = "weights.bin"  # weights of a model that keeps them in a form of its own, as the generators of worlds do


def build_artifact(
    building: Path, candidate: Candidate, *, blobs: Blobs, sampling: Sampling, model: ModelName, place: Mapping[str, str],
    task: str, run: str, others: Mapping[str, ModelName] | None = None, policy: object = None,
    unproven: Mapping[str, Any] | None = None,
) -> None:
    """Write the candidate into an empty folder.

    place: the task's ``folder``, or the name of a ``world``. model: as the run names it. others: models of other roles than
    the policy's. policy: the model itself. Where it can be exported, the folder ``adapter`` is all that was added to a base
    model that PEFT and transformers load from the path in it: an adapter in the model's name is included, and left out of
    the manifest's model.
    unproven: what is known of a candidate that the gate did not accept; its manifest has another name.
    """  # fmt: skip
    parts = dict(candidate.parts)
    prompt, solver, adapter = (parts.get(k) for k in ("prompt", "solver", "adapter"))
    (building / "prompt.json").write_text(json.dumps(prompt or {}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if isinstance(solver, dict):
        (building / "solver.toml").write_text(tomli_w.dumps(solver), encoding="utf-8")
        # A Solver may call the task's critics and tools, so they travel with it.
        if "folder" in place:
            shutil.copytree(place["folder"], building / "task", ignore=shutil.ignore_patterns("__pycache__", "out", ".*"))
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
        "format": 1,
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
    }
    name = MANIFEST if unproven is None else UNPROVEN
    (building / name).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


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
    """The candidate and its manifest; the adapter is put among the blobs. Raises InputError for anything else.

    unproven: read a candidate that no gate accepted.
    """
    path = folder / (UNPROVEN if unproven else MANIFEST)
    if not unproven and not path.is_file() and (folder / UNPROVEN).is_file():
        raise InputError(
            f"{folder} is a candidate that the gate did not accept: nothing proves that it is better than what the run started "
            "with; add --unproven to use it all the same"
        )
    if unproven and not path.is_file():
        raise InputError(
            f"expected the folder of a refused candidate ('unproven' in improve's --out): there is no {UNPROVEN} in {folder}"
        )
    if not path.is_file():
        raise InputError(
            f"{folder} is not an artifact: {MANIFEST} expected in it; it is the folder 'artifact' of improve's --out"
        )
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest.get("format") != 1:
        raise InputError(f"{path}: format {manifest.get('format')!r}, this version reads 1")
    parts: dict[str, Any] = {}
    prompt = json.loads((folder / "prompt.json").read_text(encoding="utf-8"))
    if prompt:
        parts["prompt"] = prompt
    if (folder / "solver.toml").is_file():
        parts["solver"] = tomllib.loads((folder / "solver.toml").read_text(encoding="utf-8"))
    if (folder / "adapter" / OWN_FORM).is_file():
        parts["adapter"] = blobs.put((folder / "adapter" / OWN_FORM).read_bytes())
    elif (folder / "adapter").is_dir():
        with named():
            from loopwright.training.lora import import_adapter

        parts["adapter"] = blobs.put(import_adapter(folder / "adapter", base=manifest.get("base")))
    return Candidate(parts=parts), manifest
