"""Each check catches the recipes made to break it, and no other check is misled by them."""

from __future__ import annotations

from pathlib import Path

import bad_globals
import bad_recipes
import bad_torch
import pytest

from loopwright.checks import CheckResult, all_checks, check_recipe
from loopwright.core.errors import UnknownName

CAUGHT: dict[str, set[str]] = {
    "well_behaved": set(),
    "good_learner": set(),
    "good_improver": set(),
    "without_a_paper": {"card"},
    "unknown_need": {"card"},
    "untyped_option": {"options"},
    "option_of_another_type": {"options"},
    "positional_option": {"options"},
    # What it counts goes on over every run there is, so every comparison of two runs sees it.
    "counts_on_a_function": {"same-seed-same-result", "same-result-in-a-new-process", "resumes-after-a-kill"},
    "order_of_a_set": {"same-result-in-a-new-process"},
    "knows_the_replay": {"resumes-after-a-kill"},
    "around_the_engine": {"resumes-after-a-kill", "budget-holds"},
    "tries_for_ever": {"budget-holds"},
    "hides_the_reason": {"budget-holds"},
    "judges_in_secret": {"touches-what-it-declares"},
    "compares_with_nothing": {"survives-missing-judgements"},
    "swallows_the_refusal": {"refuses-feedback-it-cannot-use"},
    "does_not_listen": {"loop-is-closed"},
    "never_asks": {"loop-is-closed"},
    "writes_in_place": {"tell-changes-no-argument"},
    "minds_the_censor": {"feedback-in-any-order"},
    "learns_nothing": {"loop-is-closed"},
}


def failed(results: list[CheckResult]) -> dict[str, str]:
    return {r.check: r.message for r in results if not r.passed}


@pytest.mark.parametrize("name", CAUGHT)
def test_what_is_caught(name: str) -> None:
    found = failed(check_recipe(getattr(bad_recipes, name)))
    assert set(found) == CAUGHT[name], found


def test_clocks_and_globals_are_caught_by_their_line() -> None:
    found = failed(check_recipe(bad_globals.looks_at_the_clock))
    assert set(found) == {"no-clock-no-globals"}
    message = found["no-clock-no-globals"]
    source = Path(bad_globals.__file__).read_text().splitlines()
    for words in ("import time", "SEEN = {}"):
        assert f"line {source.index(words) + 1}:" in message
    from loopwright.checks import form

    tree = form.ast.parse(Path(bad_globals.__file__).read_text())
    whole = " ".join(what for _, what in form._forbidden(tree))
    for word in ("imports time", "SEEN", "global COUNT", "np.random.rand", "default_rng()", "hash()", "ctx.engine", "ctx._cr"):
        assert word in whole


def test_an_import_of_torch_is_caught() -> None:
    found = failed(check_recipe(bad_torch.needs_torch))
    assert set(found) == {"imports-without-torch"} and "torch was imported" in found["imports-without-torch"]


def test_every_check_has_a_sentence_and_is_broken_by_somebody() -> None:
    broken = set().union(*CAUGHT.values()) | {"no-clock-no-globals", "imports-without-torch"}
    assert set(all_checks()) == broken
    for one in all_checks().values():
        assert one.summary.endswith(".") and "\n" not in one.summary


def test_checks_run_by_name_and_tell_as_they_go() -> None:
    told: list[CheckResult] = []
    results = check_recipe("bad_recipes:well_behaved", ["card", "budget-holds"], told.append)
    assert [r.check for r in results] == ["card", "budget-holds"] and told == results
    with pytest.raises(UnknownName, match="budget-holds"):
        check_recipe("best-of-n", ["budget-hold"])
