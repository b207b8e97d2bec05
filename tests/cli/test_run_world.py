"""Running a recipe on a world by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loopwright.core.errors import InputError, UnknownName
from loopwright.worlds.named import named_world

SEVEN = """
def answer(request, index):
    return "7"
"""


def test_a_world_by_name_with_options() -> None:
    world = named_world("lab-sums:level=2,train=5,gate=3,test=4")
    assert [len(world.examples(s)) for s in ("train", "gate", "test")] == [5, 3, 4]
    assert world.model == "embedded:lab"
    assert world.fingerprint == named_world("lab-sums:level=2,train=5,gate=3,test=4").fingerprint
    assert world.spec() != named_world("lab-sums:level=1,train=5,gate=3,test=4").spec()


@pytest.mark.parametrize(
    ("spelled", "error", "said"),
    [
        ("summs", UnknownName, "Did you mean"),
        ("lab-sums:levle=2", UnknownName, "Did you mean level"),
        ("lab-sums:level", InputError, "expected options"),
        ("lab-sums:gate=0", InputError, "no examples in gate"),
        ("bandit", InputError, "a stream for learners"),
    ],
)
def test_what_is_no_such_world_is_said(spelled: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        named_world(spelled)


def test_run_on_a_world(cli, monkeypatch) -> None:
    Path("seven.py").write_text(SEVEN)
    monkeypatch.syspath_prepend(".")
    code, out, _ = cli("run", "self-consistency", "--world", "sums", "--model", "scripted:seven:answer", "--json", "--seed", "3")
    assert code == 0
    result = json.loads(out)
    assert 0 < result["baseline"]["low"] < result["baseline"]["score"] < result["baseline"]["high"]
    assert result["calls"] > 0 and Path("out/sums/result.json").is_file()
    code, _, said = cli("run", "self-consistency", "--world", "sums", "--task", "here")
    assert code == 2 and "only one thing" in said
    assert cli("run", "self-consistency")[0] == 2


def test_another_model_may_judge(cli, monkeypatch) -> None:
    Path("praising.py").write_text(SEVEN + "\n\ndef praise(request, index):\n    return 'OK'\n")
    monkeypatch.syspath_prepend(".")
    command = ["run", "self-refine", "--world", "sums", "--model", "scripted:praising:answer", "--json", "--store", "s/"]
    code, out, _ = cli(*command, "--judge-model", "scripted:praising:praise")
    alone = json.loads(cli(*command, "--out", "alone")[1])
    judged = json.loads(out)
    assert code == 0 and judged["calls"] < alone["calls"]  # praised at once, so nothing is written anew
    assert json.loads(Path("out/sums/artifact/artifact.json").read_text()).get("others") == {"judge": "scripted:praising:praise"}
    assert cli("run", "self-refine", "--world", "sums", "--judge-model", "scripted:praising:blame")[0] != 0


def test_a_device_that_is_not_there_is_said_before_anything_runs(cli) -> None:
    code, _, said = cli("run", "best-of-n", "--world", "lab-sums:level=2", "--device", "gpu")
    assert code == 2 and "device must be auto, cpu, cuda" in said
    assert not Path("out").exists()
