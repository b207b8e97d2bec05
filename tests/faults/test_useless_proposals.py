"""Proposals that can never be used are counted and shown, and the run ends as one that learned nothing."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loopwright.improve.html import render_html
from loopwright.improve.job import run_improve
from loopwright.improve.report import build_report
from loopwright.store import open_store

sys.path.append(str(Path(__file__).parents[1] / "fakes"))
from openai_server import Server, completion, serving

SAID = {
    "a refusal": "I am sorry, but I cannot help with that.",
    "thinking without an end": "<think>Let me see. The instruction should",
    "nothing": "",
}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.mark.fault(42)
@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("method", ["gepa", "trace-opto"])
def test_they_are_counted_and_the_run_says_why_it_learned_nothing(
    method: str, said: str, server: Server, tmp_path: Path, seen: Callable[[str], None]
) -> None:
    proposals = 0

    def act(body: dict[str, Any]) -> Any:
        nonlocal proposals
        found = re.fullmatch(r"\s*(\d+) \+ (\d+)\s*", body["messages"][-1]["content"])
        if found is None:
            proposals += body.get("n", 1)
            return completion(body, [SAID[said]])
        a, b = map(int, found.groups())
        return completion(body, [str(a + b if (7 * a + b) % 3 == 0 else a - b)])

    server.will(act)
    folder = tmp_path / "task"
    folder.mkdir()
    rows = [{"id": f"e{i}", "input": f"{10 + i} + {3 * i % 37}", "target": str(10 + i + 3 * i % 37)} for i in range(120)]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "task.toml").write_text(
        'name = "sums"\n[examples]\nfile = "examples.jsonl"\n[answer]\nmax_tokens = 16\n[checker]\nkind = "exact"\n'
    )
    store_path = f"{tmp_path}/store/"
    model = {"backend": "openai", "model": "toy", "base_url": server.url, "concurrency": 4, "attempts": 2, "backoff": 0.01}
    result = asyncio.run(
        run_improve(folder, out=tmp_path / "out", store_path=store_path, only=[method], model=model, cache=False)
    )
    assert result["status"] == "done"
    assert result["accepted"] == []
    reason = result["reason"]
    assert reason.startswith("learned nothing: ")
    counted = int(re.search(r"; (\d+) proposals could not be used \(", reason)[1])  # type: ignore[index]
    assert 0 < counted <= proposals
    store = open_store(store_path)
    try:
        report = build_report(store, "last")
    finally:
        store.close()
    assert f"{counted} proposals could not be used" in render_html(report)
    seen(f"{method}, {said}: {counted} proposals counted, learned nothing")
