"""Generators by a word: as a run's model, and as what a run leaves behind."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from loopwright.core.errors import InputError, StoreCorrupt, UnknownName
from loopwright.core.model import Sampling
from loopwright.core.types import Candidate
from loopwright.improve.artifact import read_artifact, write_artifact
from loopwright.models import load
from loopwright.store.memory import MemoryStore
from loopwright.worlds.generators.model import Generator
from loopwright.worlds.named import named_world


def test_a_world_names_the_model_of_its_own() -> None:
    world = named_world("drawn-points:reward=right,train=4")
    assert world.model == "world:drawn-points"
    assert isinstance(load(world.model), Generator)


def test_worlds_without_one_are_said() -> None:
    with pytest.raises(InputError, match="no model of its own"):
        load("world:sums")
    with pytest.raises(UnknownName, match="drawn-points"):
        load("world:drawn-point")


def test_an_artifact_brings_the_weights_back(tmp_path) -> None:
    store, other = MemoryStore(), MemoryStore()
    weights = np.arange(5, dtype=np.float32).tobytes()
    candidate = Candidate(parts={"adapter": store.blobs.put(weights)})
    about = {"blobs": store.blobs, "sampling": Sampling(), "place": {"world": "drawn-points"}, "task": "t", "run": "r"}
    folder = write_artifact(tmp_path / "artifact", candidate, model="world:drawn-points", **about)
    found, manifest = read_artifact(folder, other.blobs)
    assert other.blobs.get(str(found.parts["adapter"])) == weights and manifest["model"] == "world:drawn-points"
    with pytest.raises(StoreCorrupt):
        write_artifact(tmp_path / "other", candidate, model="embedded", **about)
