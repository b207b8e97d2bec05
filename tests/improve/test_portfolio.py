"""Which methods a job tries."""

from __future__ import annotations

import pytest

from loopwright.core.errors import InputError, UnknownName
from loopwright.improve.portfolio import changes, choose


def slugs(*change: str, critics: bool = False, tools: bool = False, **options: dict[str, object]) -> list[str]:
    named = {slug.replace("_", "-"): given for slug, given in options.items()}
    return [m.slug for m in choose(change, named, has_critics=critics, has_tools=tools)]


def test_order_is_the_portfolios_whatever_was_typed() -> None:
    assert changes(["answers", "prompt", "weights"]) == ["weights", "prompt", "answers"]


def test_solvers_that_need_what_the_task_lacks_are_left_out() -> None:
    assert slugs("answers") == ["self-consistency"]
    assert slugs("answers", critics=True) == ["self-consistency", "best-of-n"]
    assert slugs("answers", critics=True, tools=True) == ["self-consistency", "best-of-n", "critic-tools"]


def test_a_method_can_be_left_out_or_added() -> None:
    assert slugs("answers", critics=True, self_consistency={"enabled": False}) == ["best-of-n"]
    assert slugs("answers", critics=True, iad={"calls": 4})[-1] == "iad"
    assert "iad" not in slugs("prompt", critics=True, iad={})


def test_options_are_checked_before_anything_runs() -> None:
    with pytest.raises(UnknownName, match="Did you mean epochs"):
        choose(["weights"], {"rest-em": {"epoch": 3}}, has_critics=False, has_tools=False)
    with pytest.raises(InputError, match="expected int"):
        choose(["weights"], {"rest-em": {"epochs": "many"}}, has_critics=False, has_tools=False)
    with pytest.raises(UnknownName, match="Did you mean prompt"):
        changes(["prompts"])
    with pytest.raises(InputError, match="nothing may change"):
        changes([])
    with pytest.raises(InputError, match=r"best-of-n needs \[\[critics\]\]"):
        choose(["answers"], {}, only=["best-of-n"], has_critics=False, has_tools=True)
    with pytest.raises(InputError, match=r"critic-tools needs \[tools\]"):
        choose(["answers"], {}, only=["critic-tools"], has_critics=True, has_tools=False)
    with pytest.raises(InputError, match="lin-ucb is a learner"):
        choose(["answers"], {}, only=["lin-ucb"], has_critics=False, has_tools=False)
