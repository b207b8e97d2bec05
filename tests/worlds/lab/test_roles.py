"""Roles of the lab model: the lessons, the script that teaches them, in a smoke version, and the committed adapters."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from loopwright.critics.asp import HARNESS, PROGRAM, read_outcome, solve_facts
from loopwright.worlds.lab.dialogues import part_of
from loopwright.worlds.lab.roles.formaliser import Formaliser, formalised
from loopwright.worlds.lab.roles.proposer import ASKED, SEEN, Proposer, cases_of, output, unexplained
from loopwright.worlds.lab.roles.role import lesson
from loopwright.worlds.rules import rules
from loopwright.worlds.spatial import KNOWLEDGE, spatial

pytest.importorskip("clingo", reason="pip install 'loopwright[asp]'")

ROOT = Path(__file__).parents[3]
ROLES = (Formaliser(), Proposer())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_solutions_are_right_and_slips_are_found(role):
    rng = random.Random(3)
    for i in range(40):
        task = role.draw(rng, taught=i % 2 == 0, done=i / 40)
        solution, slip = role.solution(task), role.spoil(task, rng)
        assert role.right(task, solution) and role.again(task, solution) is None
        told = role.again(task, slip)
        assert told is not None and not role.right(task, slip)
        assert told[0].text == task.question and told[-1].role == "user" and told[-1].text


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_lesson_is_on_what_is_asked_later(role):
    rng = random.Random(4)
    for _ in range(60):
        dialogue = lesson(role, rng, {})
        assert part_of(dialogue[0].text) == "teach"
        assert [said.learn for said in dialogue] == [0.0] * (len(dialogue) - 1) + [1.0]
        assert part_of(role.draw(rng, taught=False).question) != "teach"
        assert part_of(role.other(rng, taught=False)[1][0].text) != "teach"


def test_worlds_can_leave_out_what_was_taught():
    for make in (lambda **options: spatial(count=60, **options), lambda **options: rules(count=60, told=False, **options)):
        parts = [{part_of(e.question) == "teach" for e in make(unseen=unseen).items} for unseen in (False, True)]
        assert parts == [{True, False}, {False}]


def test_the_facts_of_a_story_are_its_answer():
    for example in spatial(hops=4, noise=2, count=20, unseen=True).items:
        found = solve_facts(formalised(example.question), KNOWLEDGE)
        assert found is not None and found.sets == ((f"answer({str(example.target).replace('-', '_')})",),)


def test_the_target_of_a_world_is_what_the_rule_gives():
    rng = random.Random(5)
    task = Proposer().draw(rng)
    lines = task.question.split("\n")
    assert len(lines) == 1 + SEEN + ASKED and len(cases_of(task.question)) == SEEN
    assert unexplained("no rule", task.question)[0][2] == "" == output("no rule", "[1]")


@pytest.mark.parametrize(
    "facts", ["is(a,left,b).\nquery(a,b).", "is(a,left,b)\nquery(a,b).", "is(A,left,b).", "is(a,top,b).", "query(a,b).", "is(a"]
)
def test_facts_are_solved_as_the_harness_solves_them(facts, tmp_path):
    (tmp_path / PROGRAM).write_text(f"{KNOWLEDGE}\n{facts}\n")
    done = subprocess.run([sys.executable, "-c", HARNESS], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    outcome = {"status": "error" if done.returncode else "ok", "stdout": done.stdout, "stderr": done.stderr}
    here, there = solve_facts(facts, KNOWLEDGE), read_outcome(outcome)
    assert here is not None and (here.verdict, here.sets) == (there.verdict, there.sets)


@pytest.mark.parametrize("text", ["a :- b.", "#include <x>.", "p(1..99).", "p(1).", "a;b.", "is(a..b)."])
def test_only_facts_are_solved_without_a_sandbox(text):
    assert solve_facts(text, KNOWLEDGE) is None


# ---- the adapters -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("roles") / "proposer"
    script = ROOT / "scripts" / "lab_roles.py"
    command = [sys.executable, str(script), "proposer", "--out", str(folder), "--lessons", "48", "--smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return folder


def ask(model, text):
    from loopwright.core.model import Request, Sampling
    from loopwright.core.types import Turn

    request = Request(turns=(Turn(role="user", text=text),), sampling=Sampling(max_tokens=12, temperature=0.0))
    (reply,) = asyncio.run(model.generate([request]))
    asyncio.run(model.close())
    return reply.choices[0]


def test_what_was_taught_loads_by_path_and_in_peft(taught):
    peft = pytest.importorskip("peft")
    import torch
    from transformers import AutoModelForCausalLM

    from loopwright.models import load
    from loopwright.models.loading import LAB_FOLDER

    model = load(f"embedded:lab+{taught}")
    assert model.fingerprint != load("embedded:lab").fingerprint
    turn = ask(model, "Find the rule.")
    base = AutoModelForCausalLM.from_pretrained(LAB_FOLDER, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(base, taught).eval()
    with torch.inference_mode():
        logits = theirs(torch.tensor([[*turn.prompt_ids, *turn.token_ids]])).logits[0]
    said = logits.log_softmax(-1)[len(turn.prompt_ids) - 1 : -1]
    best = said.argmax(-1).tolist()
    assert best == list(turn.token_ids)
    assert said.gather(1, torch.tensor(turn.token_ids)[:, None])[:, 0].tolist() == pytest.approx(turn.logprobs, abs=1e-3)


def test_lessons_are_encoded_as_the_chat_template_gives_them():
    pytest.importorskip("transformers")
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import lab_roles
    finally:
        sys.path.pop(0)
    pupil = lab_roles.Pupil(Formaliser(), 0, 2)
    rng = random.Random(0)
    for _ in range(4):
        dialogue = lesson(Formaliser(), rng, {})
        sample = pupil.sample(dialogue)
        assert sample.prompt_ids == tuple(pupil.model.prompt_ids(lab_roles.turns(dialogue[:-1])))
        assert sample.token_ids == tuple(pupil.model.answer_ids(dialogue[-1].text))


def test_a_role_that_does_not_exist_is_told():
    pytest.importorskip("torch")
    from loopwright.core.errors import ModelNotFound
    from loopwright.models import load

    with pytest.raises(ModelNotFound, match=r"nobody.*a role of the lab"):
        load("embedded:lab+nobody")


def committed():
    return sorted(path.parent for path in (ROOT / "src/loopwright/worlds/lab/adapters").glob("*/rates.json"))


@pytest.mark.parametrize("folder", committed(), ids=lambda folder: folder.name)
def test_the_committed_adapter_is_the_one_that_was_measured_and_small(folder):
    weights = (folder / "adapter_model.safetensors").read_bytes()
    measured = json.loads((folder / "rates.json").read_text())
    assert hashlib.sha256(weights).hexdigest() == measured["sha256"]
    assert len(weights) <= 600_000 and measured["sha256"] in (folder.parent / "README.md").read_text()


@pytest.mark.parametrize("role", [r for r in ROLES if r.name in {f.name for f in committed()}], ids=lambda role: role.name)
def test_the_committed_role_is_played(role):
    """Far below the rate that was measured, so that no other rounding of another machine can fail it."""
    pytest.importorskip("transformers")
    from loopwright.core.model import Request, Sampling
    from loopwright.core.types import Turn
    from loopwright.models import load
    from loopwright.models.loading import ROLES_FOLDER

    rates = json.loads((ROLES_FOLDER / role.name / "rates.json").read_text())["rates"]
    rng = random.Random(6)
    tasks = [role.draw(rng, taught=False) for _ in range(40)]
    sampling = Sampling(max_tokens=100, temperature=0.0)
    requests = [Request(turns=tuple(Turn(role=s.role, text=s.text) for s in role.ask(t)), sampling=sampling) for t in tasks]
    model = load(f"embedded:lab+{role.name}")
    replies = asyncio.run(model.generate(requests))
    asyncio.run(model.close())
    right = sum(role.right(t, r.choices[0].text) for t, r in zip(tasks, replies, strict=True))
    assert right >= 40 * rates["first try"]["rate"] * 0.5
