"""What methods take: counted on the toy, and shown."""

from __future__ import annotations

import pytest

from loopwright.claims.costs import method_cost, overview, read_costs, sentence, write_costs
from loopwright.core.registry import get_recipe


def test_calls_are_those_of_the_method():
    pytest.importorskip("numpy")
    one, five = (method_cost(get_recipe(slug)) for slug in ("best-of-n", "try-again"))
    assert one.calls == 1 and five.calls == 5 and five.tokens > one.tokens > 0
    gepa = method_cost(get_recipe("gepa"))
    assert gepa.per == "run" and gepa.calls > 24 and gepa == method_cost(get_recipe("gepa")).model_copy(
        update={"seconds": gepa.seconds}
    )
    assert "rounds" not in gepa.cut and "5 calls" in sentence(five)


def test_what_is_measured_again_replaces_the_old(tmp_path):
    cost = method_cost(get_recipe("ucb1"))
    assert read_costs(tmp_path) == {}
    write_costs(tmp_path, [cost, method_cost(get_recipe("best-of-n"))])
    write_costs(tmp_path, [cost.model_copy(update={"seconds": 9.0, "slug": "ucb1"}), cost.model_copy(update={"slug": "gone"})])
    known = read_costs(tmp_path)
    assert list(known) == ["best-of-n", "ucb1"] and known["ucb1"].seconds == 9.0
    shown = overview(known)
    assert "[best-of-n](best-of-n.md)" in shown and "Per 1000 decisions" in shown
