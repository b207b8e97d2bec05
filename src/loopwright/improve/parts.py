"""What a run is put together from, by its spec: its task, models and methods."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from loopwright.core.model import Model
from loopwright.core.store import Store
from loopwright.core.types import Budget
from loopwright.improve.portfolio import Method, choose
from loopwright.models import load as load_model
from loopwright.worlds.files import Task, load_task
from loopwright.worlds.named import NamedWorld, named_world


def task_of(spec: Mapping[str, Any]) -> Task | NamedWorld:
    """What a run is about: of its ``folder``, else of its ``world``."""
    return load_task(spec["folder"]) if "folder" in spec else named_world(spec["world"])


@asynccontextmanager
async def models_of(spec: Mapping[str, Any], store: Store, caps: Budget) -> AsyncIterator[dict[str, Model]]:
    """The run's models by role, closed at the end; what two roles name alike is one."""
    options = {**({"priced": True} if caps.money is not None else {}), **({"device": spec["device"]} if "device" in spec else {})}
    given = {"policy": spec["model"], **spec.get("others", {})}
    # A model is named by a text or by a mapping with its options, so that alike is asked of the JSON.
    named = {role: json.dumps(model, sort_keys=True) for role, model in given.items()}
    loaded = {text: load_model(json.loads(text), blobs=store.blobs, **options) for text in dict.fromkeys(named.values())}
    try:
        yield {role: loaded[text] for role, text in named.items()}
    finally:
        for model in loaded.values():
            await model.close()


def store_folder(path: Path | str) -> str:
    """A path without a suffix is a folder, so that a new store can be made by naming one."""
    text = str(path)
    if ":" in text or Path(text).suffix or text.endswith("/"):
        return text
    return text + "/"


def methods_of(task: Task | NamedWorld, spec: Mapping[str, Any]) -> list[Method]:
    merged = {slug: dict(options) for slug, options in task.methods.items()}
    for slug, options in spec["methods"].items():
        merged[slug] = {**merged.get(slug, {}), **options}
    return choose(
        spec["change"], merged, only=spec["only"], has_critics=bool(task.critics), has_tools=bool(task.tools)
    )
