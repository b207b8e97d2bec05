"""What the tests of the report and the exports share. The tiny model is made by tests/models/tiny_llama.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from run_rows import learned_rows, write_run

from loopwright.core.store import RunRow
from loopwright.store import MemoryStore

sys.path.append(str(Path(__file__).parents[1] / "models"))


@pytest.fixture
def learned() -> tuple[MemoryStore, RunRow]:
    store = MemoryStore()
    return store, write_run(store, learned_rows())
