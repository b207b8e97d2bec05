"""The artifact: what a run leaves for use. Plain files: prompt.json, solver.toml, adapter/ as PEFT reads it."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from loopwright.core.errors import InputError, StoreCorrupt
from loopwright.core.model import Blobs, Sampling
from loopwright.core.types import Candidate

MANIFEST = "artifact.json"
OWN_FORM = "weights.bin"  # weights of a model that keeps them in a form of its own, as the generators of worlds do


def write_artifact(
    folder: Path, candidate: Candidate, *, blobs: Blobs, sampling: Sampling, model: str, place: Mapping[str, str],
    task: str, run: str, others: Mapping[str, str] | None = None,
) -> Path:
    """Write the candidate beside the folder and move it into place, so that a reader never sees half of one.

    place: the task's ``folder``, or the name of a ``world``. others: models of other roles than the policy's.
    """  # fmt: skip
    building = folder.with_name(folder.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    parts = dict(candidate.parts)
    prompt, solver, adapter = (parts.get(k) for k in ("prompt", "solver", "adapter"))
    (building / "prompt.json").write_text(json.dumps(prompt or {}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if isinstance(solver, dict):
        (building / "solver.toml").write_text(tomli_w.dumps(solver), encoding="utf-8")
        # A Solver may call the task's critics and tools, so they travel with it.
        if "folder" in place:
            shutil.copytree(place["folder"], building / "task", ignore=shutil.ignore_patterns("__pycache__", "out", ".*"))
    if isinstance(adapter, str):
        _write_weights(blobs.get(adapter), building / "adapter", model)
    manifest = {
        "format": 1,
        "task": task,
        **({"world": place["world"]} if isinstance(solver, dict) and "world" in place else {}),
        "run": run,
        "candidate": candidate.hash,
        "parents": list(candidate.parents),
        "model": model,
        **({"others": dict(others)} if others else {}),
        "sampling": sampling.model_dump(by_alias=True, mode="json"),
        "parts": sorted(parts),
    }
    (building / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(building, folder)
    return folder


def _write_weights(blob: bytes, folder: Path, model: str) -> None:
    from loopwright.training.lora import export_adapter

    try:
        export_adapter(blob, folder)
    except StoreCorrupt:
        if not model.startswith("world:"):
            raise
        folder.mkdir()
        (folder / OWN_FORM).write_bytes(blob)


def read_artifact(folder: Path, blobs: Blobs) -> tuple[Candidate, dict[str, Any]]:
    """The candidate and its manifest; the adapter is put among the blobs. Raises InputError for anything else."""
    path = folder / MANIFEST
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
        from loopwright.training.lora import import_adapter

        parts["adapter"] = blobs.put(import_adapter(folder / "adapter"))
    return Candidate(parts=parts), manifest
