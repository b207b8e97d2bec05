"""`loopwright doctor`: what it finds, what it says to type, and when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopwright.cli.doctor import examine
from loopwright.core.environment import holds_key, without_keys

Cli = Callable[..., tuple[int, str, str]]


def lines(cli: Cli, *arguments: str | Path, code: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    got, out, _ = cli("doctor", *arguments, "--json")
    assert got == code
    said = json.loads(out)
    assert said["ok"] is (code == 0)
    return {(line["part"], line["name"]): line for line in said["lines"]}


def test_a_store_that_cannot_be_written_is_a_failure(cli: Cli, tmp_path: Path) -> None:
    assert lines(cli, "--store", tmp_path / "runs")["store", "folder"]["state"] == "ok"
    assert not (tmp_path / "runs").exists()  # it looks and leaves nothing
    (tmp_path / "file").write_text("")
    found = lines(cli, "--store", tmp_path / "file" / "below", code=1)["store", "folder"]
    assert found["state"] == "missing" and found["needed"] and "--store" in found["next"]
    assert lines(cli, "--store", "/proc/here", code=1)["store", "folder"]["state"] == "missing"


def test_keys_are_named_and_never_shown(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret-1")
    code, out, err = cli("doctor", "--store", tmp_path)
    assert code == 0 and "SOME_API_KEY" in out
    assert "very-secret" not in out + err


def test_a_missing_extra_and_a_missing_sandbox_say_what_to_type(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopwright.core.extras.there", lambda package: package != "clingo")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = lines(cli, "--store", tmp_path)
    assert found["extras", "asp"]["next"] == "pip install 'loopwright[asp]'"
    assert found["extras", "gym"]["state"] == "ok"
    isolation = found["sandbox", "isolation"]
    assert isolation["state"] == "missing" and "bubblewrap" in isolation["told"] and "apt-get install" in isolation["next"]


def test_every_line_that_is_not_ok_tells_what_was_found(tmp_path: Path) -> None:
    found = examine(tmp_path / "loopwright.db")
    assert {line.part for line in found} >= {"python", "store", "model", "keys", "sandbox", "extras"}
    assert all(line.told for line in found) and all(line.next for line in found if line.state == "missing")


@pytest.mark.parametrize("name", "OPENAI_API_KEY HF_TOKEN AWS_SECRET_ACCESS_KEY PGPASSWORD mistral_apikey KEY".split())
def test_names_of_keys(name: str) -> None:
    assert holds_key(name)
    assert without_keys({name: "x"}) == {} and without_keys({name: "x"}, keep=[name]) == {name: "x"}


@pytest.mark.parametrize("name", "PATH HOME PWD TOKENIZERS_PARALLELISM KEYBOARD_LAYOUT LANG CUDA_VISIBLE_DEVICES MONKEY".split())
def test_names_of_others(name: str) -> None:
    assert not holds_key(name)
