"""A local model with examples that do not fit its context: they are named, count as unanswered, and methods that train go on."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.types import Rollout
from loopwright.improve.job import resume_improve, run_improve
from loopwright.improve.report import build_report
from loopwright.store import open_store

sys.path.append(str(Path(__file__).parents[1] / "models"))
from tiny_llama import save

LONG = {3, 11, 20, 33, 47, 58}
METHODS: dict[str, dict[str, Any]] = {
    "grpo": {"rounds": 1, "prompts": 40, "samples": 2},
    "online-dpo": {"rounds": 1, "prompts": 40},
    "rest-em": {"rounds": 1, "prompts": 40, "samples": 2},
}


@pytest.fixture
def task(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    rows = [{"id": f"e{i}", "input": f"{i} " + "word " * (70 if i in LONG else i % 5)} for i in range(60)]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.toml").write_text(
        'name = "letters"\n[examples]\nfile = "examples.jsonl"\n[answer]\nmax_tokens = 6\ntemperature = 1.0\n'
        '[checker]\nkind = "regex"\npattern = "(?s).*[a-z].*"\n[split]\ntrain = 0.5\n'
    )
    return folder


@pytest.mark.parametrize("slug", METHODS)
def test_examples_too_long_for_a_local_model_are_unanswered_and_training_goes_on(slug: str, task: Path, tmp_path: Path) -> None:
    save(tmp_path / "tiny")
    told: list[tuple[str, dict[str, Any]]] = []
    result = asyncio.run(
        run_improve(
            task, model={"backend": "embedded", "model": str(tmp_path / "tiny")}, only=[slug], methods={slug: METHODS[slug]},
            out=tmp_path / "out", store_path=f"{tmp_path / 'store'}/", progress=lambda *event: told.append(event),
        )
    )  # fmt: skip
    assert (result["status"], result["failures"]) == ("done", [])
    (warning,) = [p["message"] for t, p in told if t == "warning" and "context" in p["message"]]
    assert warning.startswith("6 of 60 examples do not fit the context") and all(f"e{i}" in warning for i in LONG)
    assert any(t == "fit" for t, _ in told)
    store = open_store(f"{tmp_path / 'store'}/")
    try:
        report = build_report(store, "last")
        attempts = [Rollout.model_validate_json(r.data) for r in store.rollouts(report.run)]
    finally:
        store.close()
    long = [r for r in attempts if int(r.example.id[1:]) in LONG]
    assert long and all(r.status == "failed" and r.score in (0.0, None) for r in long)
    assert all(r.status == "ok" for r in attempts if int(r.example.id[1:]) not in LONG)
    assert not report.missing
    again = asyncio.run(resume_improve("last", store_path=f"{tmp_path / 'store'}/"))
    assert (again["baseline"], again["final"]) == (result["baseline"], result["final"])
