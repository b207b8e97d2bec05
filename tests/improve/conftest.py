"""What the tests of the report and the exports share."""

from __future__ import annotations

import pytest
from run_rows import learned_rows, write_run

from loopwright.core.store import RunRow
from loopwright.store import MemoryStore


@pytest.fixture
def learned() -> tuple[MemoryStore, RunRow]:
    store = MemoryStore()
    return store, write_run(store, learned_rows())
