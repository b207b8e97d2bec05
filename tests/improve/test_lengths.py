"""Examples that do not fit the context are found beforehand, named, and treated as the task says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.errors import InputError, PromptTooLong, TaskError
from loopwright.core.model import Request, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Candidate, Example
from loopwright.improve.lengths import GAP, fitted
from loopwright.models import scripted
from loopwright.worlds.files import load_task

BASE = Candidate(parts={"prompt": Prompt(instruction="Be brief.").model_dump(mode="json")})


class Narrow(scripted.ScriptedModel):
    """Takes prompts of so many characters."""

    def __init__(self, room: int) -> None:
        super().__init__("yes")
        self.room = room

    def too_long(self, request: Request) -> PromptTooLong | None:
        size = sum(len(turn.text) for turn in request.turns)
        return PromptTooLong(f"{size} characters of {self.room}") if size > self.room else None


@dataclass
class World:
    inputs: dict[str, list[Any]]
    name: str = "w"
    sampling: Sampling = field(default_factory=Sampling)

    def examples(self, split: str) -> list[Example]:
        return [Example(id=f"{split}{i}", input=value) for i, value in enumerate(self.inputs.get(split, []))]


def world(**more: list[Any]) -> World:
    return World({"train": ["short", "x" * 90], "gate": ["short", "short too"], "test": ["y" * 80, "short"], **more})


def ids(of: Any) -> list[str]:
    return [e.id for split in ("train", "screen", "gate", "test") for e in of.examples(split)]


def test_what_fits_is_left_alone_and_nothing_is_said() -> None:
    w = world()
    assert fitted(w, Narrow(200), BASE) == (w, "")
    assert fitted(w, scripted.ScriptedModel("yes"), BASE) == (w, ""), "a model that cannot tell"
    program = BASE.child(solver={"recipe": "self-consistency"})
    assert fitted(w, Narrow(10), program) == (w, ""), "nobody knows a program's prompts"


def test_marked_ones_stay_and_are_named() -> None:
    w = world()
    of, said = fitted(w, Narrow(60), BASE)
    assert of is w
    assert said.startswith("2 of 6 examples do not fit the context (train1, test0): 100 characters of 60. Each counts as")


def test_dropped_ones_are_gone_everywhere() -> None:
    of, said = fitted(world(), Narrow(60), BASE, "drop")
    assert ids(of) == ["train0", "gate0", "gate1", "test1"] and of.name == "w"
    assert "They are left out" in said
    with pytest.raises(InputError, match="the gate split is empty"):
        fitted(world(gate=["z" * 99]), Narrow(60), BASE, "drop")


def test_to_stop_is_to_name_them() -> None:
    with pytest.raises(InputError, match=r"\(train1, test0\).*too_long = \"mark\""):
        fitted(world(), Narrow(60), BASE, "stop")


@given(st.text(min_size=61, max_size=300), st.integers(min_value=25, max_value=60))
def test_a_cut_keeps_both_ends_and_as_much_as_fits(text: str, room: int) -> None:
    of, _ = fitted(World({"train": [text]}), Narrow(room), BASE, "truncate")
    (cut,) = of.examples("train")
    kept = len(cut.input) - len(GAP)
    head, tail = -(-kept // 2), kept // 2
    assert cut.input == text[:head] + GAP + text[len(text) - tail :]
    shown = len(Prompt(instruction="Be brief.").render(cut)[-1].text)
    assert room - 2 <= shown <= room or cut.input != cut.input.strip()  # a template may strip white space


def test_what_no_cut_makes_fit_is_marked() -> None:
    of, said = fitted(world(train=[{"page": "x" * 99}, "x" * 99]), Narrow(60), BASE, "truncate")
    assert of.examples("train")[0].input == {"page": "x" * 99}
    assert GAP in of.examples("train")[1].input
    assert "except 1 that no cut makes fit" in said


@pytest.mark.parametrize(("written", "policy"), [("", "mark"), ('too_long = "drop"\n', "drop")])
def test_the_task_says_what_becomes_of_them(written: str, policy: str, tmp_path: Path) -> None:
    folder(tmp_path, written)
    task = load_task(tmp_path)
    assert task.too_long == policy
    assert ("too_long" in task.spec()) == (policy != "mark"), "tasks of before keep their fingerprint"


@pytest.mark.parametrize(("written", "near"), [('too_long = "crop"\n', "drop"), ('to_long = "drop"\n', "too_long")])
def test_a_mistyped_policy_gets_the_near_one(written: str, near: str, tmp_path: Path) -> None:
    folder(tmp_path, written)
    with pytest.raises(TaskError, match=f"did you mean {near}"):
        load_task(tmp_path)


def folder(path: Path, written: str) -> None:
    rows = [{"input": f"{i} + {i}", "target": str(2 * i)} for i in range(60)]
    (path / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path / "task.toml").write_text(
        f'name = "t"\n[examples]\nfile = "examples.jsonl"\n[prompt]\n{written}[checker]\nkind = "exact"\n'
    )
