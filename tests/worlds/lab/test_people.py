"""Simulated people answer by their hidden taste, with noise and biases of known size, and only by what they are asked."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.errors import InputError, LoopwrightError
from loopwright.core.facade import Visible
from loopwright.core.feedback import Cost, Missing, parse_feedback
from loopwright.core.registry import get_recipe
from loopwright.core.types import Example, Rollout, Turn
from loopwright.worlds.lab.people import Person, Population
from loopwright.worlds.lab.tastes import Taste, coordinates, linear, of_classes
from loopwright.worlds.small import Small

POLITE = linear(courtesy=2.0, emphasis=-1.0)
CIRCLE = of_classes([[0.5, 0.2, 0.8], [0.8, 0.5, 0.2], [0.2, 0.8, 0.5]], ("rock", "paper", "scissors"))
GOOD, BAD = "Thank you", "No!!!"
MANY = 1000


def rollout(text: str, id: str = "", question: str = "q", **more: Any) -> Rollout:
    turns = (Turn(role="user", text=question), Turn(role="assistant", text=text))
    return Rollout(id=id or f"id of {text}", example=Example(id=question, input=question), turns=turns, **more)


ASKED = [(rollout(GOOD, "g", f"q{i}"), rollout(BAD, "b", f"q{i}")) for i in range(MANY)]


def first_share(person: Person) -> float:
    """How often, of many questions, the person says that the good answer is better when it is shown first."""
    return float(np.mean([person.preference(*two).chosen == "g" for two in ASKED]))  # type: ignore[union-attr]


# ---- only what is asked -----------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(-3, 10**9), st.randoms(use_true_random=False))
def test_an_answer_depends_on_the_seed_and_the_question_alone(seed: int, order: random.Random) -> None:
    shown = [GOOD, BAD, "so so", "Thanks!", "ONE two two"]

    def asked(person: Any) -> list[Any]:
        one = [(way, (s,)) for way in ("verdict", "score", "critique", "edit") for s in shown]
        two = [("preference", (a, b)) for a in shown for b in shown if a != b]
        return [*one, *two, ("ranking", (shown,))]

    make = [lambda: Person(POLITE, seed, lapse=0.2), lambda: Population((Person(POLITE), Person(CIRCLE, 1)), seed=seed)]
    for person, again in ((m(), m()) for m in make):
        questions = asked(person)
        said = [getattr(person, way)(*what) for way, what in questions]
        shuffled = list(enumerate(questions))
        order.shuffle(shuffled)
        for i, (way, what) in shuffled:
            assert getattr(again, way)(*what) == said[i]
        assert all(parse_feedback(f.model_dump_json()) == f for f in said)


def test_neither_ids_nor_targets_count_but_the_question_does() -> None:
    person = Person(POLITE, temperature=5.0)

    def said(question: str, prefix: str) -> list[bool]:
        out = []
        for i in range(60):
            a, b = rollout(f"{i}", f"{prefix}a{i}", question), rollout(f"Thanks {i}", f"{prefix}b{i}", question)
            out.append(person.preference(a, b).chosen == a.id)  # type: ignore[union-attr]
        return out

    assert said("q", "x") == said("q", "y")
    assert said("q", "x") != said("another q", "x")
    assert Person(POLITE, 1).by.version != Person(POLITE, 2).by.version


def test_who_says_it_and_about_what() -> None:
    person = Person(POLITE, name="Ann", cost=Cost(money=0.5))
    a, b, far = rollout(GOOD), rollout(BAD), rollout("x", question="other")
    for said in (person.verdict(a), person.score(a), person.critique(a), person.edit(a)):
        assert (said.by.kind, said.by.name, said.about, said.cost.money) == ("human", "simulated Ann", a.id, 0.5)
    assert person.preference(a, b).about == person.ranking([a, b]).about == "q"
    assert person.preference(a, far).about == ""


# ---- noise, biases, attention -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "traits",
    [
        {"temperature": 1.0},
        {"temperature": 4.0},
        {"temperature": 4.0, "position_bias": 1.0},
        {"temperature": 4.0, "length_bias": -2.0},
        {"temperature": 2.0, "lapse": 0.5},
        {"temperature": 0.0, "lapse": 0.25},
        {"temperature": 4.0, "position_bias": -0.5, "length_bias": 1.0, "lapse": 0.3, "attention": 2},
    ],
)
def test_preferences_come_as_often_as_their_formula_says(traits: dict[str, Any]) -> None:
    person = Person(POLITE, **traits)
    assert first_share(person) == pytest.approx(person.answers(GOOD, BAD), abs=4 * 0.5 / MANY**0.5)


def test_the_formula_is_bradley_and_terry_with_additive_biases() -> None:
    def odds(**traits: Any) -> float:
        p = Person(POLITE, **traits).answers(GOOD, BAD)
        return float(np.log(p / (1 - p)))

    assert odds() == pytest.approx(3.0)
    assert odds(temperature=2.0) == pytest.approx(1.5)
    assert odds(position_bias=0.7) == pytest.approx(3.7)
    assert odds(length_bias=0.5) == pytest.approx(3.0 + 0.5 * np.log(10 / 6))
    assert Person(POLITE, lapse=0.4).answers(GOOD, BAD) == pytest.approx(0.2 + 0.6 / (1 + np.exp(-3.0)))
    assert Person(POLITE, position_bias=9.0).probability(GOOD, BAD) == pytest.approx(1 / (1 + np.exp(-3.0)))


def test_without_noise_the_better_wins_and_a_bias_decides_a_tie_alone() -> None:
    person = Person(POLITE, temperature=0.0, position_bias=-30.0)
    assert [person.answers(GOOD, BAD), person.answers(BAD, GOOD)] == [1.0, 0.0]
    assert person.answers("a", "b") == pytest.approx(0.0, abs=1e-9)


def test_attention_ends_where_it_ends() -> None:
    late = "a long story, and then: thank you"
    whole, short = Person(POLITE, temperature=0.0), Person(POLITE, temperature=0.0, attention=10)
    assert whole.answers(late, "x") == 1.0
    assert short.answers(late, "x") == 0.5
    by_word = replace(short, attention=4, attention_unit="words")
    assert by_word.answers("thank you, said she at length", "x") == 1.0
    assert by_word.answers(late, "x") == 0.5
    assert short.edit(late).after == "a long sto Thank you.ry, and then: thank you"  # type: ignore[union-attr]
    assert whole.unit(late) == short.unit(late) == 1.0, "the truth is about the whole text"


def test_a_proxy_that_likes_length_is_led_away_from_the_truth() -> None:
    person = Person(linear(brevity=1.0), length_bias=2.0)
    short, long = "yes", "yes " * 19
    assert person.answers(long, short) > 0.9
    assert person.reward(long) < person.reward(short) and person.probability(long, short) < 0.3


# ---- kinds ------------------------------------------------------------------------------------------------------------


def test_thumbs_and_ratings_follow_the_reward() -> None:
    sure = Person(POLITE, temperature=0.0)
    assert (sure.verdict(GOOD).passed, sure.verdict(BAD).passed) == (True, False)  # type: ignore[union-attr]
    assert [sure.score(t).value for t in (BAD, "x", GOOD)] == [1, 2, 5]  # type: ignore[union-attr]
    assert replace(sure, scale=(0, 100)).score("x").value == 33  # type: ignore[union-attr]
    assert not replace(sure, threshold=2.5).verdict(GOOD).passed  # type: ignore[union-attr]
    noisy = Person(POLITE, threshold=1.0)
    ups = np.mean([noisy.verdict(g).passed for g, _ in ASKED])  # type: ignore[union-attr]
    assert ups == pytest.approx(1 / (1 + np.exp(-1.0)), abs=4 * 0.5 / MANY**0.5)
    ratings = [[noisy.score(r).value for r in side[:300]] for side in zip(*ASKED, strict=True)]  # type: ignore[union-attr]
    assert np.mean(ratings[0]) > np.mean(ratings[1]) + 1
    assert {v for r in ratings for v in r} == {1, 2, 3, 4, 5}


def test_rankings_are_of_plackett_and_luce() -> None:
    shown = [GOOD, "x", BAD]
    utilities = np.array([2.0, 0.0, -1.0]) / 2
    person = Person(POLITE, temperature=2.0)
    said = [person.ranking([rollout(s, s, f"q{i}") for s in shown]) for i in range(MANY)]
    counts = Counter(tuple(g[0] for g in r.groups) for r in said)  # type: ignore[union-attr]
    weights = np.exp(utilities)
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        a, b, c = weights[list(order)]
        expected = a / (a + b + c) * b / (b + c)
        assert counts[tuple(shown[i] for i in order)] / MANY == pytest.approx(expected, abs=4 * 0.5 / MANY**0.5)
    sure = Person(POLITE, temperature=0.0).ranking([rollout(s, s) for s in (BAD, GOOD, "x")])
    assert sure.groups == ((GOOD,), ("x",), (BAD,))  # type: ignore[union-attr]


def test_a_ranking_of_two_is_a_preference() -> None:
    person = Person(POLITE, temperature=2.0, position_bias=1.5, length_bias=0.5)
    share = np.mean([person.ranking([b, g]).groups[0] == ("b",) for g, b in ASKED])  # type: ignore[union-attr]
    assert share == pytest.approx(person.answers(BAD, GOOD), abs=4 * 0.5 / MANY**0.5)


def test_a_critique_names_what_is_lacking_most() -> None:
    sure = Person(linear(courtesy=2.0, emphasis=-5.0, brevity=0.1), temperature=0.0)
    said = sure.critique("No!!!")
    assert (said.comment, said.direction) == ("It has too much emphasis.", "less emphasis")  # type: ignore[union-attr]
    assert sure.critique("No").direction == "more courtesy"  # type: ignore[union-attr]
    assert Person(linear(courtesy=1.0), temperature=0.0).critique(GOOD).satisfied
    noisy = Counter(Person(POLITE).critique(b).direction for _, b in ASKED)  # type: ignore[union-attr]
    expected = np.exp(2.0) / (np.exp(2.0) + np.exp(1.0))
    assert noisy["more courtesy"] / MANY == pytest.approx(expected, abs=4 * 0.5 / MANY**0.5)


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="aA !.please", max_size=30), st.integers(0, 50))
def test_an_edit_is_never_worse_to_the_one_who_made_it(text: str, seed: int) -> None:
    person = Person(linear(courtesy=1.0, emphasis=-1.0, brevity=0.5, capitals=-2.0), seed)
    said = person.edit(text)
    assert not isinstance(said, Missing) and said.before == text
    assert person.reward(said.after) >= person.reward(text)
    assert said.satisfied or person.reward(said.after) > person.reward(text)


def test_edits_put_right_what_is_lacking() -> None:
    sure = Person(POLITE, temperature=0.0)
    assert sure.edit("No!!!").after == "No!!! Thank you."  # type: ignore[union-attr]
    assert sure.edit("Thanks!").after == "Thanks."  # type: ignore[union-attr]
    assert sure.edit("Thanks.").satisfied
    refused = Person(Taste(coordinates("ab"), np.ones(2))).edit("[0, 0]")
    assert isinstance(refused, Missing) and refused.status == "refused"


def test_abstract_vectors_are_judged_from_their_numbers() -> None:
    person = Person(Taste(coordinates(["sweet", "sour"]), np.array([1.0, -2.0])), temperature=0.0, attention=1)
    assert person.preference([1.0, 0.0], [0.0, 0.5]).chosen == person.preference([0.0, 0.5], [1.0, 0.0]).chosen  # type: ignore[union-attr]
    assert person.preference(rollout("[1, 0]", "a"), rollout("[0, 0.5]", "b")).chosen == "a"  # type: ignore[union-attr]
    assert person.critique("[1, 1]").direction == "less sour"  # type: ignore[union-attr]
    assert person.reward([1.0, -1.0]) == 3.0 and person.unit([1.0, -1.0]) == 1.0


# ---- circles ----------------------------------------------------------------------------------------------------------


def test_preferences_in_circles() -> None:
    sure = Person(CIRCLE, temperature=0.0)
    wins = [sure.answers(a, b) for a, b in (("rock", "scissors"), ("scissors", "paper"), ("paper", "rock"))]
    assert wins == [1.0, 1.0, 1.0]
    shown = [rollout(s, s) for s in ("rock", "paper", "scissors")]
    assert set(map(len, sure.ranking(shown).groups)) == {3}, "each wins one duel"  # type: ignore[union-attr]
    assert sure.score("rock").value == sure.score("paper").value == 3  # type: ignore[union-attr]
    assert sure.critique("rock").direction == "more paper"  # type: ignore[union-attr]
    assert sure.edit("I take rock").after == "I take paper"  # type: ignore[union-attr]
    assert Person(CIRCLE).probability("rock", "scissors") == pytest.approx(0.8)
    with pytest.raises(InputError, match="circles have no reward"):
        sure.reward("rock")
    many = [rollout(s, s) for s in ("rock", "paper")]
    assert sure.ranking(many).groups == (("paper",), ("rock",))  # type: ignore[union-attr]


# ---- groups -----------------------------------------------------------------------------------------------------------


def test_groups_answer_by_their_shares() -> None:
    loud = linear(courtesy=0.0, emphasis=3.0)
    town = Population((Person(POLITE, name="a"), Person(loud, name="b")), (0.8, 0.2), seed=3)
    said = [town.preference(*two) for two in ASKED]
    shares = Counter(p.by.name for p in said)
    assert shares["simulated a"] / MANY == pytest.approx(0.8, abs=4 * 0.4 / MANY**0.5)
    truth = 0.8 / (1 + np.exp(-3.0)) + 0.2 / (1 + np.exp(3.0))
    assert town.probability(GOOD, BAD) == pytest.approx(truth)
    assert np.mean([p.chosen == "g" for p in said]) == pytest.approx(truth, abs=4 * 0.5 / MANY**0.5)  # type: ignore[union-attr]
    assert town.rewards(BAD).tolist() == [-1.0, 3.0]
    assert town.reward(BAD) == pytest.approx(-0.8 + 0.6)
    assert town.unit(GOOD) == pytest.approx(0.8)


def test_what_is_no_population_or_person_is_refused() -> None:
    for groups, shares in (((), ()), ((Person(POLITE),), (0.5,)), ((Person(POLITE), Person(POLITE)), (1.0,))):
        with pytest.raises(InputError, match="sum to 1"):
            Population(groups, shares)
    for wrong in ({"temperature": -1.0}, {"lapse": 1.5}, {"attention": 0}, {"scale": (3, 3)}):
        with pytest.raises(InputError):
            Person(POLITE, **wrong)  # type: ignore[arg-type]


# ---- missing ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_judged_is_missing_and_not_bad() -> None:
    person = Person(Taste(coordinates("ab"), np.ones(2)))
    for said in (person.score("no numbers"), person.preference("[1, 2]", "[1]"), person.ranking(["[1, 2]", "x"])):
        assert isinstance(said, Missing) and ("2 numbers" in said.message or "2 finite" in said.message)
    failed = rollout("", status="failed", error="it was cut")
    for said in (Person(POLITE).verdict(failed), Person(POLITE).preference(failed, rollout(GOOD))):
        assert isinstance(said, Missing) and said.message == "it was cut"
    for wrong in (lambda: person.ranking(["[1, 2]"]), lambda: person.preference("[1, 2]", "[1, 2]")):
        with pytest.raises(InputError, match="between different things"):
            wrong()


# ---- in a world -------------------------------------------------------------------------------------------------------


def test_a_person_is_a_critic_a_comparator_and_out_of_sight() -> None:
    person = Person(CIRCLE, temperature=0.0)
    world = Small(
        "choices", [], person.gold(), critics=(person.critic("critique", "score"), person.critic()), compare=person.comparator()
    )
    rock, paper = rollout("rock"), rollout("paper")
    two, one = (asyncio.run(c(rock, None)) for c in world.critics)  # type: ignore[arg-type, func-returns-value]
    assert [f.kind for f in two] == ["critique", "score"] and one.kind == "score"  # type: ignore[union-attr]
    assert world.compare is not None
    assert asyncio.run(world.compare(rock, paper, None)).chosen == paper.id  # type: ignore[arg-type, union-attr]
    assert asyncio.run(world.checker(paper, None)).unit == pytest.approx(0.5)  # type: ignore[arg-type, union-attr]
    seen = Visible(world, get_recipe("best-of-n"))  # type: ignore[arg-type]
    for hidden in ("compare", "checker", "items"):
        with pytest.raises(LoopwrightError, match="which no recipe may"):
            getattr(seen, hidden)
    for critic in seen.critics:
        assert not hasattr(critic, "__self__") and not vars(critic)


def test_the_gold_checker_says_missing_for_what_cannot_be_read() -> None:
    gold = Person(Taste(coordinates("ab"), np.ones(2))).gold()
    said = [asyncio.run(gold(rollout(text), None)) for text in ("[1, 1]", "[1, -1]", "?")]  # type: ignore[arg-type, func-returns-value]
    assert [f.kind for f in said] == ["score", "score", "missing"]  # type: ignore[union-attr]
    assert [f.value for f in said[:2]] == [1.0, 0.5]  # type: ignore[union-attr]
