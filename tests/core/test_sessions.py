"""Sessions in a service: kinds of feedback, numpy, ids, snapshots of other recipes, numbers that are not finite, expiry."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import loopwright
from loopwright.checks.bench import short, stream_for
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import (
    KINDS,
    Checklist,
    Critique,
    Demonstration,
    Edit,
    Feedback,
    Gradient,
    Item,
    Measures,
    Missing,
    Preference,
    Ranking,
    Score,
    Signal,
    Span,
    Spans,
    Steps,
    Verdict,
)
from loopwright.core.learner import Learner, encode_state
from loopwright.core.learner import Session as PlainSession
from loopwright.core.registry import all_recipes, get_recipe
from loopwright.core.state import not_finite
from loopwright.core.types import Trial

LEARNERS = sorted(slug for slug, recipe in all_recipes().items() if recipe.card.shape == "learner")
OF_EACH_KIND: list[Feedback] = [
    Score(value=0.5), Verdict(passed=True), Critique(comment="too long"), Spans(spans=(Span(start=0, end=1),), length=3),
    Steps(values=(0.5,)), Checklist(items=(Item(question="?", answer=True),)), Preference(chosen="a", rejected="b"),
    Ranking(groups=(("a",), ("b",), ("c",))), Demonstration(output="x"), Edit(before="x", after="y"),
    Signal(event="click", items=("1",)), Measures(values={"strange": 1.0}), Gradient(vector=(1.0,)),
]  # fmt: skip
ARMS = {"arms": 3, "dimensions": 2}


def lin_ucb(**options: Any) -> Learner:
    made: Learner = get_recipe("lin-ucb")(**options)
    return made


def state_of(session: PlainSession) -> str:
    return json.dumps(encode_state(session.state))


def test_there_is_one_feedback_of_each_kind() -> None:
    assert {f.kind for f in OF_EACH_KIND} == set(KINDS)


@pytest.mark.parametrize("face", [loopwright.Session, PlainSession])
@pytest.mark.parametrize("slug", LEARNERS)
def test_feedback_of_any_kind_teaches_or_is_refused_and_never_vanishes(slug: str, face: type[PlainSession]) -> None:
    """Of a kind that it does not learn from and that cannot become one, it is an error, and the trial stays open."""
    recipe = get_recipe(slug)
    stream = stream_for(recipe)
    kinds = recipe.card.learns_from
    session = face(recipe(**short(recipe)), stream.spec, seed=1)
    taught = not set(kinds) - {"preference", "demonstration"}  # those here are of other ids, and no labels
    for feedback in OF_EACH_KIND:
        trial, before = session.ask(stream.context(1, 0)), state_of(session)
        try:
            session.tell(feedback.model_copy(update={"about": trial.id}))
            refused = None
        except InputError as error:
            refused = error
        assert (trial.id in session.open) == (refused is not None)
        if refused is not None:
            assert state_of(session) == before
        if isinstance(refused, NoConversion):
            assert len(kinds) != 1 or feedback.kind not in kinds
            assert len(kinds) != 1 or (feedback.kind in str(refused) and kinds[0] in str(refused))
        elif refused is None and kinds:
            taught |= state_of(session) != before  # a score of 0 may leave a state as it is
            assert feedback.kind in kinds or face is loopwright.Session, "without a conversion it is refused"
        session.open.clear()
    assert taught or slug in BY_CONTENT


# Who refuses these for what they hold: measures of other names, gradients of another length, a click beside the list, seconds
# above 0.
BY_CONTENT = {
    "cma-es", "cma-me", "map-elites", "random-search", "qdhf", "random-projection", "compressed-gradient", "ef21",
    "ef21-weighted", "corocchio", "oas-censored", "oas-unaware",
}  # fmt: skip


def test_what_can_become_a_score_is_one_in_a_service() -> None:
    for feedback, expected in ((Verdict(passed=True), 1.0), (Steps(values=(0.25, 0.75)), 0.25)):
        session, told = loopwright.Session(lin_ucb(), ARMS, seed=2), loopwright.Session(lin_ucb(), ARMS, seed=2)
        for one, said in ((session, feedback), (told, Score(value=expected))):
            trial = one.ask([1.0, 0.5])
            one.tell(said.model_copy(update={"about": trial.id}))  # type: ignore[attr-defined]
        assert state_of(session) == state_of(told)
    trial = session.ask([1.0, 0.5])
    with pytest.raises(NoConversion, match="demonstration to score"):
        session.tell(Demonstration(output="1", about=trial.id))
    plain = PlainSession(lin_ucb(), ARMS)
    trial = plain.ask([1.0, 0.0])
    with pytest.raises(NoConversion, match="lin-ucb learns from score, got verdict"):
        plain.tell(Verdict(passed=True, about=trial.id))


# ---- numpy -----------------------------------------------------------------------------------------------------------------

floats = st.floats(-1e6, 1e6)
numpys = (
    floats.map(np.float64) | floats.map(np.float32) | st.integers(-9, 9).map(np.int64) | st.booleans().map(np.bool_)
    | hnp.arrays(st.sampled_from(["<f8", "<f4", "<i4", "|b1", "<U2"]), hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
                 elements={"allow_nan": False, "allow_infinity": False}, fill=st.nothing())
)  # fmt: skip
contexts = st.recursive(
    numpys | floats | st.text(max_size=3) | st.none(),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=2), part, max_size=3) | st.tuples(part, part)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(contexts, numpys)
def test_numpy_in_a_context_or_a_specification_is_plain_in_a_snapshot(context: Any, extra: Any) -> None:
    session = loopwright.Session(get_recipe("ucb1")(), {"arms": np.int64(3), "more": extra})
    trial = session.ask(context)
    told = json.loads(json.dumps(session.snapshot(), allow_nan=False))
    back = loopwright.Session.restore(get_recipe("ucb1")(), told)
    assert back.open == session.open == {trial.id: trial}
    assert back.snapshot() == told


@pytest.mark.parametrize(
    ("context", "says"),
    [
        ({"x": [1.0, np.nan]}, r"a context\['x'\]\[1\] is nan"), (np.array([np.inf]), "not finite"), ({1: 2}, "the key 1, a int"),
        ({"x": {1, 2}}, r"a context\['x'\] is a set"), ([np.array([object()])], "array of object"), (1j, "complex"),
    ],
)  # fmt: skip
def test_a_context_that_json_cannot_hold_is_refused_when_it_is_asked(context: Any, says: str) -> None:
    session = loopwright.Session(get_recipe("ucb1")(), {"arms": 2})
    with pytest.raises(InputError, match=says):
        session.ask(context)
    assert session.asked == 0 and not session.open


@pytest.mark.parametrize("proposal", [np.int64(1), [np.int64(0), np.int32(1)], np.array([1, 0]), {"play": np.int64(1)}])
def test_whole_numbers_of_numpy_in_a_proposal_stay_whole(proposal: Any) -> None:
    learner = Learner(lambda spec: (), lambda state, context, rng: Trial(id="", proposal=proposal), lambda s, t, f: s)
    session = loopwright.Session(learner, {})
    trial = session.ask()
    assert json.loads(json.dumps(session.snapshot()))["open"][0]["proposal"] == trial.proposal
    assert "." not in json.dumps(trial.proposal)


# ---- numbers that are not finite -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["lin-ucb", "lin-ts", "epsilon-greedy"])
def test_unix_times_and_other_large_features_leave_finite_and_right_beliefs(slug: str) -> None:
    session = loopwright.Session(get_recipe(slug)(), {"arms": 2, "dimensions": 2}, seed=3)
    for t in range(400):
        trial = session.ask([1.0, 1.7e9 + 60.0 * t])
        session.tell(Score(value=[0.2, 0.8][int(str(trial.proposal))], about=trial.id))
    session.snapshot()
    assert np.isfinite(session.state.root).all()
    predicted = session.state.coefficients @ [1.0, 1.7e9 + 60.0 * 400]
    assert predicted == pytest.approx([0.2, 0.8], abs=0.02)


def test_a_state_that_would_not_be_finite_is_refused_and_the_trial_stays_open() -> None:
    session = loopwright.Session(lin_ucb(), {"arms": 2, "dimensions": 2})
    session.state = session.state._replace(
        coefficients=np.full((2, 2), -1.7e308)
    )  # so far off that the difference overflows
    trial = session.ask([1e-5, 1.0])
    before = state_of(session)
    with np.errstate(over="ignore"), pytest.raises(InputError, match=r"not finite \(in coefficients\)"):
        session.tell(Score(value=1.7e308, high=1.7e308, about=trial.id))
    assert state_of(session) == before and trial.id in session.open
    session.tell(Score(value=0.0, about=trial.id))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["array", "number", "list", "dict", "scalar"])
def test_no_learner_gets_a_number_into_its_state_that_is_not_finite(bad: float, where: str) -> None:
    made = {
        "array": np.array([1.0, bad]), "number": bad, "list": [1, (2.0, bad)], "dict": {"a": {"b": bad}},
        "scalar": np.float32(bad),
    }  # fmt: skip
    learner = Learner(
        lambda spec: {"value": 0.0, "least": np.inf}, lambda state, context, rng: Trial(id="", proposal=0),
        lambda state, trial, feedback: {**state, "value": made[where]},
    )  # fmt: skip
    session = loopwright.Session(learner, {})
    trial = session.ask()
    with pytest.raises(InputError, match="not finite"):
        session.tell(Score(value=1.0, about=trial.id))
    assert session.state["value"] == 0.0 and trial.id in session.open


# ---- ids -------------------------------------------------------------------------------------------------------------------


def test_a_service_that_begins_again_gives_other_ids_so_late_feedback_is_not_taken_for_anothers() -> None:
    before = loopwright.Session(lin_ucb(), ARMS)
    saved = json.loads(json.dumps(before.snapshot()))
    late = before.ask([1.0, 0.0])
    for after in (loopwright.Session(lin_ucb(), ARMS), loopwright.Session.restore(lin_ucb(), saved)):
        other = after.ask([0.0, 1.0])
        assert other.id != late.id
        with pytest.raises(InputError, match="no open trial"):
            after.tell(Score(value=1.0, about=late.id))
        assert list(after.open) == [other.id]


def test_runs_have_the_same_ids_again() -> None:
    first, second = (PlainSession(lin_ucb(), ARMS, seed=7).ask([1.0, 0.0]) for _ in range(2))
    assert first == second
    assert PlainSession(lin_ucb(), ARMS, seed=7, ids="b").ask([1.0, 0.0]).id != first.id


def test_ids_of_ones_own() -> None:
    session = loopwright.Session(lin_ucb(), ARMS)
    assert session.ask([1.0, 0.0], id="visit 17").id == "visit 17"
    with pytest.raises(InputError, match="'visit 17' is open already"):
        session.ask([1.0, 0.0], id="visit 17")
    for bad in ("", "x" * 201, 17):
        with pytest.raises(InputError, match="text of 1 to 200 characters"):
            session.ask([1.0, 0.0], id=bad)  # type: ignore[arg-type]
    session.tell(Score(value=1.0, about="visit 17"))
    assert not session.open


# ---- snapshots -------------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_restored_by_the_recipe_and_options_that_made_it() -> None:
    saved = json.loads(json.dumps(loopwright.Session(lin_ucb(alpha=0.7), ARMS).snapshot()))
    assert saved["recipe"] == "lin-ucb" and saved["options"] == {"alpha": 0.7, "ridge": 1.0} and saved["version"] == 2
    assert loopwright.Session.restore(lin_ucb(alpha=0.7), saved).snapshot() == saved
    with pytest.raises(InputError, match=r"of lin-ucb, got lin-ts; restore it with get_recipe\('lin-ucb'\)"):
        loopwright.Session.restore(get_recipe("lin-ts")(), saved)
    with pytest.raises(InputError, match=r"alpha=0.7, here 1.0; restore it with get_recipe\('lin-ucb'\)\(alpha=0.7"):
        loopwright.Session.restore(lin_ucb(), saved)
    with pytest.raises(InputError, match="newer Loopwright"):
        loopwright.Session.restore(lin_ucb(alpha=0.7), {**saved, "version": 99})
    with pytest.raises(InputError, match="lacks state"):
        loopwright.Session.restore(lin_ucb(alpha=0.7), {k: v for k, v in saved.items() if k != "state"})
    with pytest.raises(InputError, match="is not one of lin-ucb"):
        loopwright.Session.restore(lin_ucb(alpha=0.7), {**saved, "state": {"state": [1.0]}})


def test_snapshots_of_before_they_told_recipe_and_version_are_read() -> None:
    session = loopwright.Session(lin_ucb(), ARMS, seed=5)
    for t in range(12):
        trial = session.ask([1.0, t / 7])
        session.tell(Score(value=t % 2, about=trial.id))
    saved = session.snapshot()
    inverse = encode_state(session.state.gram_inverse)
    old = {k: saved[k] for k in ("spec", "seed", "asked", "open")}
    old["state"] = {"state": [inverse, encode_state(session.state.coefficients)]}
    back = loopwright.Session.restore(lin_ucb(), old)
    assert back.state.gram_inverse == pytest.approx(session.state.gram_inverse)
    assert back.ask([1.0, 0.3]).proposal == session.ask([1.0, 0.3]).proposal


def test_a_portfolio_of_before_it_said_who_was_told_of_is_read() -> None:
    spec = {"arms": 2, "dimensions": 2, "cap": 5.0}
    session = loopwright.Session(get_recipe("oas-censored")(), spec)
    trial = session.ask([1.0, 0.5])
    session.tell(Score(value=-2.0, low=-5.0, high=0.0, about=trial.id))
    known, told, cap = session.state
    regression = {"state": [encode_state(known.gram_inverse), encode_state(known.coefficients)]}
    old = {**{k: v for k, v in session.snapshot().items() if k in ("spec", "seed", "asked", "open")},
           "state": {"tuple": [regression, cap]}}  # fmt: skip
    back = loopwright.Session.restore(get_recipe("oas-censored")(), old)
    assert back.state.told.tolist() == told.tolist() and back.state.known.gram_inverse == pytest.approx(
        known.gram_inverse
    )


def test_a_snapshot_that_was_spoilt_is_refused() -> None:
    session = loopwright.Session(get_recipe("ucb1")(), {"arms": 2})
    session.state = session.state._replace(total=np.array([np.nan, 1.0]))
    with pytest.raises(InputError, match=r"not finite \(in total\)"):
        loopwright.Session.restore(get_recipe("ucb1")(), session.snapshot())


def test_every_learner_begins_with_finite_numbers() -> None:
    for slug in LEARNERS:
        session = PlainSession(get_recipe(slug)(), stream_for(get_recipe(slug)).spec)
        assert not_finite(session.state) == "", slug


def test_a_range_that_began_infinite_is_read() -> None:
    learner, spec = get_recipe("learning-to-relax")(), {"arms": 2, "dimensions": 1}
    fit = PlainSession(learner, spec).state.fit
    regression = {"state": [encode_state(fit.gram_inverse), encode_state(fit.coefficients)]}
    state = {"state": [regression, 0.0, {"float": "inf"}, {"float": "-inf"}, 0]}
    back = PlainSession.restore(learner, {"spec": spec, "seed": 0, "asked": 0, "open": [], "state": state})
    assert back.state[2:] == (0.0, 0.0, 0)


def test_rankings_of_before_their_tables_are_read() -> None:
    from loopwright.blocks import tables

    ease, spec = get_recipe("ease")(), {"items": 4, "shown": 2}
    session = PlainSession(ease, spec)
    for user in range(50):
        trial = session.ask({"user": f"u{user}", "history": [user % 4]})
        session.tell(Signal(event="taken", items=(str((user + 1) % 4),), about=trial.id))
    state = session.state
    rows = {f"u{u}": tables.get(state.rows, f"u{u}") for u in range(50)}
    flat = {"dict": {k: encode_state(v) for k, v in rows.items()}}
    old = {**{k: v for k, v in session.snapshot().items() if k in ("spec", "seed", "asked", "open")},
           "state": {"state": [4, 2, 50, flat, flat]}}  # fmt: skip
    back = PlainSession.restore(get_recipe("ease")(), old)
    assert back.state.popular.tolist() == state.popular.tolist()
    assert back.ask([0]).proposal == session.ask([0]).proposal


# ---- trials that nobody answers --------------------------------------------------------------------------------------------


def test_trials_expire_by_the_clock_and_silence_may_mean_something() -> None:
    now = [100.0]
    session = loopwright.Session(get_recipe("ucb1")(), {"arms": 2}, clock=lambda: now[0])
    first = session.ask(id="first")
    now[0] = 150.0
    session.ask(id="second")
    now[0] = 170.0
    back = loopwright.Session.restore(
        get_recipe("ucb1")(), json.loads(json.dumps(session.snapshot())), clock=lambda: now[0]
    )
    assert back.expire(60.0) == [first] and list(back.open) == ["second"] and back.state.answers.sum() == 0
    with pytest.raises(InputError, match="expired"):
        back.tell(Score(value=1.0, about="first"))
    assert [t.id for t in session.expire(10.0, Score(value=0.0))] == ["first", "second"]
    assert session.state.answers.sum() == 2 and session.state.total.sum() == 0 and not session.open
    with pytest.raises(InputError, match="keeps no times"):
        PlainSession(get_recipe("ucb1")(), {"arms": 2}).expire(1.0)


def test_a_judgement_that_did_not_come_still_closes_its_trial() -> None:
    session = loopwright.Session(lin_ucb(), ARMS)
    trial, before = session.ask([1.0, 0.0]), state_of(session)
    session.tell(Missing(expected="score", message="timeout", about=trial.id))
    assert not session.open and state_of(session) == before


@pytest.mark.parametrize(
    ("slug", "options", "spec", "feedback", "says"),
    [
        ("cma-es", {"batch": 3}, {"dimensions": 2, "low": 0, "high": 1}, Score(value=1.0), "3 numbers of each of objective"),
        ("map-elites", {"cells": 3}, {"dimensions": 2, "low": 0, "high": 1, "measures": {"x": [0, 1]}},
         Preference(chosen="1", rejected="2"), "objective, x"),
        ("switching-cost-feedback", {"horizon": 10, "extra": 0}, {"arms": 2}, Measures(values={"0": 1.0, "1": 0.0}),
         "looks at no other"),
        ("popularity", {}, {"items": 4, "shown": 2}, Score(value=1.0), "signal that names what was taken"),
    ],
)  # fmt: skip
def test_of_the_kinds_it_learns_from_a_trial_may_take_one_alone(
    slug: str, options: dict[str, Any], spec: dict[str, Any], feedback: Feedback, says: str
) -> None:
    session = PlainSession(get_recipe(slug)(**options), spec)
    trial, before = session.ask(), state_of(session)
    with pytest.raises(NoConversion, match=f"{says}|learns from"):
        session.tell(feedback.model_copy(update={"about": trial.id}))
    assert trial.id in session.open and state_of(session) == before


def test_what_is_no_learner_feedback_snapshot_or_time_is_named() -> None:
    for wrong in (get_recipe("ucb1"), "ucb1", None):
        with pytest.raises(InputError, match="expected what a recipe makes"):
            loopwright.Session(wrong, {"arms": 2})  # type: ignore[arg-type]
    session = loopwright.Session(get_recipe("ucb1")(), {"arms": 2})
    session.ask()
    for said in (1.0, {"value": 1.0}, None):
        with pytest.raises(InputError, match="expected feedback, such as Score"):
            session.tell(said)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"the dict that Session\.snapshot gave"):
        loopwright.Session.restore(get_recipe("ucb1")(), json.dumps(session.snapshot()))  # type: ignore[arg-type]
    for seconds in (-1.0, float("nan"), "1h"):
        with pytest.raises(InputError, match="0 or more"):
            session.expire(seconds)  # type: ignore[arg-type]
    assert len(session.open) == 1


@pytest.mark.parametrize("context", [[10**400, 1], [1, -(10**400)]])
def test_a_whole_number_that_no_float_can_hold_is_refused(context: list[int]) -> None:
    session = loopwright.Session(get_recipe("lin-ucb")(), {"arms": ["a", "b"], "dimensions": 2})
    with pytest.raises(InputError, match="a context is 2 numbers"):
        session.ask(context)
    session.ask([1.0, 2.0])


@pytest.mark.parametrize("spec", [None, [1], "arms", 3])
def test_a_specification_is_a_dict(spec: Any) -> None:
    with pytest.raises(InputError, match="a specification is a dict"):
        loopwright.Session(get_recipe("ucb1")(), spec)


def test_a_snapshot_that_was_cut_short_is_told_as_such() -> None:
    session = loopwright.Session(get_recipe("lin-ucb")(), {"arms": ["a", "b"], "dimensions": 2})
    snapshot = json.loads(json.dumps(session.snapshot()))
    state = snapshot["state"]["state"] if isinstance(snapshot["state"], dict) else snapshot["state"]
    del state[1:]
    with pytest.raises(InputError, match="the state in this snapshot"):
        loopwright.Session.restore(get_recipe("lin-ucb")(), snapshot)


def test_an_id_that_no_store_can_hold_is_refused() -> None:
    session = loopwright.Session(get_recipe("ucb1")(), {"arms": 2})
    with pytest.raises(InputError, match="half a character"):
        session.ask(id="visit \ud800")
