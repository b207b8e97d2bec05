"""Feedback that is mixed up says nothing of what it is heard about."""

from __future__ import annotations

from loopwright.checks.bench import mixed_up
from loopwright.core.feedback import Measures, Missing, Preference, Score
from loopwright.core.seen import Judgement


def test_a_comparison_keeps_its_two_things_and_a_coin_says_which_is_better() -> None:
    said = [Judgement(feedback=(Preference(chosen=f"{i}a", rejected=f"{i}b"),)) for i in range(400)]
    scores = [Judgement(feedback=(Score(value=0.25),))]
    scramble = mixed_up(said + scores, 3)
    heard = [scramble(str(i), j).feedback[0] for i, j in enumerate(said)]
    assert all({h.chosen, h.rejected} == {f"{i}a", f"{i}b"} for i, h in enumerate(heard))
    kept = sum(h.chosen.endswith("a") for h in heard)
    assert 160 < kept < 240, "four standard deviations of a fair coin"
    alone = mixed_up([said[0].feedback[0]], 3)
    assert {alone(str(i), said[0].feedback[0]).chosen for i in range(20)} == {"0a", "0b"}


def test_a_comparison_that_did_not_come_stays_one() -> None:
    missing = Judgement(feedback=(Missing(expected="preference", message="no"),))
    assert mixed_up([Judgement(feedback=(Score(value=1.0),))], 0)("x", missing) == missing


def test_a_score_is_exchanged_for_one_that_was_heard_of_something_else() -> None:
    pool = [Judgement(feedback=(Score(value=v, about="old"),)) for v in (0.0, 1.0)]
    pool.append(Judgement(feedback=(Preference(chosen="a", rejected="b"),)))
    scramble = mixed_up(pool, 0)
    heard = [scramble(str(i), pool[0]).feedback[0] for i in range(40)]
    assert {h.value for h in heard} == {0.0, 1.0}
    assert [h.about for h in heard] == [str(i) for i in range(40)]


def test_what_several_arms_gave_is_given_to_one_another() -> None:
    said = [Measures(values={"0": 1.0, "1": 0.0, "2": 0.0}) for _ in range(300)]
    scramble = mixed_up(said, 3)
    heard = [scramble(str(i), one).values for i, one in enumerate(said)]
    assert all(set(values) == {"0", "1", "2"} and sum(values.values()) == 1.0 for values in heard)
    assert all(70 < sum(values[arm] for values in heard) < 130 for arm in ("0", "1", "2"))
    named = Measures(values={"objective": 1.0, "x": 0.0})
    assert mixed_up([named], 3)("x", named).values == {"objective": 1.0, "x": 0.0}
