"""Where a server does not say how many tokens it used, the number that is shown is said to be an upper bound."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loopwright.cli.main import app
from loopwright.core.origins import tokens_told

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import completion, serving


@pytest.mark.parametrize("says", ["always", "never", "at times"])
def test_terminal_json_and_report_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "task"
    folder.mkdir()
    lines = (json.dumps({"input": f"question {i}", "target": f"t{i}"}) for i in range(80))
    (folder / "e.jsonl").write_text("\n".join(lines))
    (folder / "task.toml").write_text('name = "t"\n[examples]\nfile = "e.jsonl"\n[checker]\nkind = "exact"\n')

    def answer(body: dict[str, Any]) -> Any:
        number = body["messages"][-1]["content"].split()[-1]
        silent = says == "never" or (says == "at times" and number in ("3", "40"))
        usage = {"usage": None} if silent else {}
        return completion(body, [f"t{number}" if number in ("1", "2", "3", "5", "8", "40") else "no"], **usage)

    with serving() as server:
        server.will(answer)
        command = [
            "task",
            "--change",
            "prompt",
            "--method",
            "few-shot",
            "--no-cache",
            "--model",
            f"openai:m@{server.url}",
        ]
        ran = CliRunner().invoke(app, ["improve", *command])
        told = CliRunner().invoke(app, ["improve", *command, "--json", "--out", "again"])
    assert ran.exit_code == 0, ran.output
    result = json.loads(told.stdout)
    page = (tmp_path / "again" / "report.html").read_text()
    shown = re.sub(r"\s+", " ", ran.output)
    replies = result["replies"]
    if says == "always":
        assert replies["bound"] == 0 and "at most" not in page.split("calls, ")[1][:20]
        assert re.search(r"calls, [\d,]+ tokens", shown)
        return
    if says == "never":
        assert replies["bound"] == replies["fresh"] > 0
    else:
        assert 0 < replies["bound"] < replies["fresh"]
    words = tokens_told(result["tokens"], replies["bound"], replies["fresh"])
    assert words.startswith("at most") and words in page
    assert re.search(r"calls, at most [\d,]+ tokens \(the server does not say how many", shown), shown
