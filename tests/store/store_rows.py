"""Rows to write in tests."""

from __future__ import annotations

from typing import Any

from loopwright.core.feedback import Cost
from loopwright.core.store import EffectRow, RunRow, Store


def new_run(store: Store, **spec: Any) -> RunRow:
    return store.create_run(spec, seed=3, budget={"calls": 10}, code_version="1")


def effect(run: str, key: str = "k", status: str = "open", **more: Any) -> EffectRow:
    fields: dict[str, Any] = {"scope": "s", "kind": "generate", "content": "c", "ordinal": 0, "summary": "asks", **more}
    return EffectRow(run=run, key=key, status=status, **fields)  # type: ignore[arg-type]


PAID = Cost(calls=1, prompt_tokens=20, completion_tokens=30, seconds=0.1, money=0.25)
