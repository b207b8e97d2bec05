"""What each of the programs that play roles reads, and what it makes of it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from loopwright.blocks.repository import edited
from loopwright.core.types import Rollout, Turn
from loopwright.worlds.diagnosis import diagnosis, draw
from loopwright.worlds.lab import modeller, notes, panellist, repairer
from loopwright.worlds.lab.actor import Sent
from loopwright.worlds.modelling import modelling
from loopwright.worlds.repair.repository import PACKAGE
from loopwright.worlds.repair.world import repair


def sent(*texts: str, system: str = "", seed: int = 0) -> Sent:
    turns = [Turn(role="assistant" if i % 2 else "user", text=text) for i, text in enumerate(texts)]
    return Sent((*([Turn(role="system", text=system)] if system else []), *turns), random.Random(seed))


# ---- notes ------------------------------------------------------------------------------------------------------------------

ASKED = "Write an invoice. day: 2024-03-05; price: 30 euros"


def test_a_note_follows_the_first_rule_that_fits_else_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "FORGETS", 0.0)
    assert notes.write(sent(ASKED)) == "day: 2024-03-05; price: 30"
    own, every = notes.rule("invoice", "price", "cents"), notes.rule(notes.EVERY, "price", "euros")
    assert notes.rules_in(f"{own}\nBe kind.\n{every}") == [("invoice", "price", "cents"), (notes.EVERY, "price", "euros")]
    assert "price: 3000" in notes.write(sent(ASKED, system=f"{own}\n{every}"))
    assert "price: 30" in notes.write(sent(ASKED, system=f"{every}\n{own}")).split("; ")
    shown = sent("Write an invoice. day: 2024-01-02; price: 7 euros", "day: 20240102; price: 700", ASKED)
    assert notes.write(shown) == "day: 20240305; price: 3000"


def test_the_house_names_what_is_wrong_and_the_clerk_writes_it_down() -> None:
    world = notes.lab_notes(seed=5)
    example = world.examples("train")[0]

    def judged(text: str) -> Any:
        rollout = Rollout(id="r", example=example, turns=(Turn(role="assistant", text=text),))
        return asyncio.run(world.checker(rollout, None))  # type: ignore[arg-type]

    assert judged(str(example.target)).value == 1.0 and not judged(str(example.target)).message
    wrong = judged("nothing")
    assert wrong.value == 0.0
    named = notes.rules_in(wrong.message)
    assert len(named) == 3 and {kind for kind, _, _ in named} == {example.meta["kind"]}
    asked = f"<text>\nWrite the note.\n</text>\n\nAttempt 1\nFeedback: {wrong.message}"
    learned = [rule for seed in range(40) for rule in notes.rules_in(notes.rewrite(sent(asked, seed=seed)))]
    assert {rule[1:] for rule in learned} == {rule[1:] for rule in named} and any(rule[0] == notes.EVERY for rule in learned)
    assert not notes.rules_in(notes.rewrite(sent("<text>\nWrite the note.\n</text>")))


# ---- diagnosis --------------------------------------------------------------------------------------------------------------


def test_the_panellist_reads_the_case_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panellist, "OVERLOOKED", 0.0)
    case = draw(random.Random(3), 8, 2)
    found = "\n".join(f"{sign}: {'yes' if there else 'no'}." for sign, there in case.signs.items())
    seen = panellist.known(sent(f"{case.question}\n{found}"))
    assert seen is not None and seen.findings == dict(case.signs) and seen.prices == dict(case.prices)
    assert seen.ranked(random.Random(0)) == [(case.fault, 1.0)] and not seen.against(case.fault)
    other = next(fault for fault in case.handbook if fault != case.fault)
    assert seen.against(other)
    start = panellist.known(sent(case.question))
    assert start is not None and set(start.findings) == set(case.known)
    pair = [case.fault, other]
    telling = start.telling(pair, random.Random(0))
    assert telling and all(case.handbook[case.fault][s] != case.handbook[other][s] for s in telling)
    assert [start.prices[s] for s in start.cheap(pair, random.Random(0))] == sorted(
        start.prices[s] for s in telling if s in start.prices
    )[:2]
    assert panellist.decide(sent("Hello")) == "DIAGNOSIS: unknown"


def test_the_panellist_decides_by_what_the_panel_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panellist, "OVERLOOKED", 0.0)
    monkeypatch.setattr(panellist, "HASTE", 0.0)
    question = diagnosis(seed=4).items[0].question
    seen = panellist.known(sent(question))
    assert seen is not None
    (one, two), test = list(seen.handbook)[:2], next(iter(seen.prices))
    forms = "TEST: test, test, ..."
    likely = f"{question}\nDr. H: Most likely: {one} 50%, {two} 50%."
    assert panellist.decide(sent(f"{likely}\nDr. T: Find out: {test}.\n{forms}")) == f"TEST: {test}"
    assert panellist.decide(sent(f"{likely}\nDr. C: Smell speaks against {one}.\n{forms}")) == f"DIAGNOSIS: {two}"


# ---- repair -----------------------------------------------------------------------------------------------------------------


LEAP = "  tests/test_ledger.py:40: assert leap(2024)\n  AssertionError: \n19 passed, 1 failed"


def test_the_repairer_knows_what_may_have_been_there_and_what_looks_odd() -> None:
    ranks = []
    for example in repair(count=30, seed=1).items:
        files: Any = example.meta["files"]
        (path,) = [path for path in PACKAGE if files[path] != PACKAGE[path]]
        changes = list(repairer._changes({path: files[path]}, set()).values())
        around = repairer._grams(*(files[p] for p in PACKAGE))
        changes.sort(key=lambda edit, around=around: -repairer._relieved(around, edit))  # type: ignore[misc]
        ranks.append([edited(files, edit)[0][path] for edit in changes].index(PACKAGE[path]) / len(changes))
    assert sum(ranks) / len(ranks) < 0.35  # by chance it would be 0.5


def test_the_repairer_goes_where_the_tests_point() -> None:
    example = repair(count=5, seed=1).items[0]
    files: Any = example.meta["files"]
    asked = [example.question, "VIEW tests/test_ledger.py", files["tests/test_ledger.py"]]
    assert repairer.act(sent(example.question)).endswith("VIEW tests/test_ledger.py")
    assert "notes.txt" in repairer.act(sent(*asked))
    failed = f"FAILED tests/test_ledger.py::test_06\n{LEAP}"
    asked += ["This changes nothing.", failed]
    assert repairer.act(sent(*asked)) == "Failing: leap.\nVIEW ledger/days.py"
    asked += ["VIEW ledger/days.py", files["ledger/days.py"]]
    tried = [repairer.act(sent(*asked, seed=seed)) for seed in range(20)]
    assert sum("year %" in text for text in tried) > 12
    assert repairer.act(sent(*asked, tried[0], "20 passed, 0 failed")) == "All tests pass.\nFINISH"


def test_a_state_is_valued_by_the_last_run_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairer, "MISREADS", 0.0)
    head = "They did so far:\n(nothing)\n\nThe last action and what came of it:\n"
    assert repairer.value(sent(f"{head}an edit\n\n20 passed, 0 failed")).endswith("Value: 100")
    said = repairer.value(sent(f"{head}an edit\n\n{LEAP}"))
    assert said.endswith("Value: -40") and "The failing tests call leap." in said
    blind = [repairer.value(sent(f"{head}{edit}\n\n")) for edit in ("a good edit", "a bad edit")]
    assert blind[0] == blind[1] and "The failing tests" not in blind[0]  # nothing of its own tells it which is which
    chosen = "Several solutions were handed in:\n\nSolution 1:\nx\n2 tests fail.\n\nSolution 2:\ny\nAll tests pass.\n\nWhich?"
    assert repairer.debate(sent(chosen)).endswith("ID: 2")


# ---- modelling --------------------------------------------------------------------------------------------------------------


def test_the_modeller_can_write_every_program_and_see_what_a_mistake_was() -> None:
    milp = pytest.importorskip("loopwright.critics.milp")
    pytest.importorskip("highspy", reason="pip install 'loopwright[milp]'")
    for example in modelling(count=24, seed=3).items:
        write, mistakes = next(kind for words, kind in modeller.KINDS.items() if example.question.startswith(words))
        right = write(example.question, set()).text
        assert milp.same(milp.solved(right).objective, milp.solved(str(example.target)).objective)
        for mistake in mistakes:
            assert modeller.compared(write(example.question, {mistake}).text, right) == [mistake]


def test_a_remedy_is_obeyed_where_it_is_told_also_where_it_does_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeller, "IGNORED", 0.0)
    monkeypatch.setattr(modeller, "MISTAKEN", 1.0)
    questions = {str(e.meta["kind"]): e.question for e in modelling(count=12, seed=3).items}
    told = "\n".join(modeller.REMEDIES[r][0] for r in ("binary", "link"))
    assert "integer" in modeller.formulate(sent(questions["knapsack"]))
    assert "binary" in modeller.formulate(sent(questions["knapsack"], system=told))
    assert "binary" in modeller.formulate(sent(questions["depots"], system=told))
    assert "binary" not in modeller.formulate(sent(questions["diet"]))
    assert "binary" in modeller.formulate(sent(questions["diet"], system=told))


def test_notes_of_the_modeller_are_narrowed_by_the_problems_that_it_is_shown() -> None:
    questions = {str(e.meta["kind"]): e.question for e in modelling(count=12, seed=3).items}
    text = modeller.REMEDIES["integer"][0]
    asked = (
        f'A note applies on a condition.\nCondition: the problem says "euros"\nNote: {text}\n\nso the condition must leave them '
        f"out:\n- {questions['diet']}\n\nIt was missed in these, where it would have helped:\n- {questions['production']}\n\nGo"
    )
    first = modeller.refine(sent(asked)).split('", "')[0]
    assert any(phrase in first for phrase in ("in whole pieces", "How many of each", "earns", "At least"))
    conditions = f'{questions["diet"]}\n\nEach of these notes holds\n1. the problem says "camp"\n2. the problem says "workshop"'
    assert sum(modeller.check(sent(conditions, seed=seed)) == "1" for seed in range(40)) > 30
