"""loopwright watch: figures, files, and what it refuses."""

import json
from pathlib import Path

import pytest

from loopwright.cli.main import execute


def test_figures_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "seen.svg"
    code = execute(["watch", "replay", "--world", "blobs:examples=20", "--every", "4", "--plot", str(plot), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == 0 and {"ACC", "WC-ACC", "stability gap"} <= set(told["figures"])
    assert len(told["matrix"]) == len(told["steps"]) and len(told["ends"]) == 2
    assert plot.read_bytes().startswith(b"<?xml") and (tmp_path / "seen-heat.svg").is_file()


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["watch", "naive-sgd", "--world", "blobs:examples=20", "--every", "4"]) == 0
    assert "WC-ACC" in capsys.readouterr().out


def test_figures_of_another_measure(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["watch", "replay", "--world", "blobs:examples=20", "--steps", "84", "--measure", "lifelong-metrics", "--json"]
    assert execute(asked) == 0
    told = json.loads(capsys.readouterr().out)["figures"]
    assert {"performance maintenance", "relative performance", "sample efficiency", "performance recovery"} <= set(told)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gepa"], "shape improver"),
        (["replay", "--world", "arms"], "held-out questions"),
        (["replay", "--world", "sums"], "not a stream"),
        (["replay", "--plot", "x.pdf"], ".png or .svg"),
        (["replay", "--measure", "pass-at-k"], "stability-gap and lifelong-metrics have"),
        (["replay", "--measure", "ewc"], "ewc is no measure"),
        (["replay", "--measure", "lifelong"], "lifelong-metrics"),
        (["replay", "--world", "blobs", "--set", "memory=-1"], "memory"),
    ],
)
def test_what_it_refuses(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["watch", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_report_of_a_run_shows_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world, store = ["replay", "--world", "blobs:examples=20", "--json"], ["--store", f"{tmp_path}/s/"]
    assert execute(["run", *world, *store, "--out", str(tmp_path / "out")]) == 0
    kept = json.loads(capsys.readouterr().out)["knowledge"]
    assert execute(["watch", *world]) == 0
    assert {k: v for k, v in json.loads(capsys.readouterr().out).items() if k in kept} == kept
    assert execute(["report", "last", *store, "--out", str(tmp_path / "page.html")]) == 0
    assert "What is still known of every task" in (tmp_path / "page.html").read_text()
    assert {"page-accuracy.png", "page-accuracy-heat.svg"} <= {path.name for path in tmp_path.iterdir()}
