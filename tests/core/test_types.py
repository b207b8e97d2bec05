"""The nouns: what they hold, what they hide, and what makes two of them the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from loopwright.core.feedback import Critique, Missing, Score, Verdict
from loopwright.core.types import Budget, Candidate, Card, Example, Rollout, Trial, Turn, digest

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_a_digest_does_not_depend_on_the_order_of_keys_or_on_a_trip_through_json(value: object) -> None:
    assert digest(json.loads(json.dumps(value))) == digest(value)
    if isinstance(value, dict):
        assert digest(dict(reversed(value.items()))) == digest(value)


def test_a_digest_is_the_same_in_another_process() -> None:
    value = {"b": [1, 2.5, None, "é\ud800"], "a": {"z": True, "y": -0.1}}
    code = "import sys, json; from loopwright.core.types import digest; print(digest(json.loads(sys.stdin.read())))"
    run = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(value), capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PYTHONHASHSEED": "99"},
    )  # fmt: skip
    assert run.stdout.strip() == digest(value)


def test_what_has_no_json_has_no_digest() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))


@given(plain, plain)
def test_a_hidden_example_has_all_but_its_target(question: object, target: object) -> None:
    example = Example(id="e", input=question, target=target, meta={"k": 1})  # type: ignore[arg-type]
    hidden = example.hidden()
    assert hidden.target is None
    assert (hidden.id, hidden.input, hidden.meta) == (example.id, example.input, example.meta)
    assert isinstance(example.question, str)
    assert Example.model_validate_json(example.model_dump_json()).question == example.question


def test_a_rollout_finds_its_output_prompt_and_score() -> None:
    turns = (
        Turn(role="system", text="s"), Turn(role="user", text="q"), Turn(role="assistant", text="first"),
        Turn(role="user", text="again"), Turn(role="assistant", text="last"),
    )  # fmt: skip
    rollout = Rollout(id="r", example=Example(id="e", input="q"), turns=turns)
    assert (rollout.output, [t.text for t in rollout.prompt]) == ("last", ["s", "q"])
    assert (rollout.score, rollout.judged) == (None, False)
    assert rollout.told(Critique(comment="hm"), Score(value=1, low=0, high=4)).score == 0.25
    assert rollout.told(Verdict(passed=True), Score(value=0)).score == 1.0
    failed = rollout.told(Missing(expected="score", message="gone"))
    assert (failed.score, failed.judged) == (None, False)
    assert rollout.feedback == ()
    assert Rollout.model_validate_json(failed.model_dump_json()) == failed


def test_a_candidate_is_its_parts_alone() -> None:
    base = Candidate(parts={"prompt": {"system": "s"}, "adapter": "a"}, by="x", note="n")
    assert base.hash == Candidate(parts={"adapter": "a", "prompt": {"system": "s"}}, parents=("p",)).hash
    child = base.child(by="y", adapter=None, solver={"recipe": "best-of-n", "options": {}})
    assert (set(child.parts), child.parents) == ({"prompt", "solver"}, (base.hash,))
    assert child.hash != base.hash
    assert base.parts["adapter"] == "a"


@pytest.mark.parametrize("cap", [{"calls": 0}, {"tokens": -1}, {"seconds": float("inf")}, {"money": float("nan")}, {"cals": 3}])
def test_a_budget_that_caps_nothing_sensible_is_refused(cap: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Budget(**cap)  # type: ignore[arg-type]


def test_a_propensity_is_a_probability_above_zero() -> None:
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(ValidationError):
            Trial(id="t", proposal=1, propensity=wrong)


def test_a_card_needs_a_summary_of_one_line() -> None:
    for wrong in ("", "  ", "two\nlines"):
        with pytest.raises(ValidationError, match="first line of the recipe's docstring"):
            Card(slug="s", family="f", shape="solver", summary=wrong)
    with pytest.raises(ValidationError):
        Card(slug="Not A Slug", family="f", shape="solver", summary="fine")
