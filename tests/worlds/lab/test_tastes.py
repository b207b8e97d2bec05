"""What people like: features of texts, edits, rewards, and circles."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.errors import InputError
from loopwright.worlds.lab.tastes import TEXT, Feature, Taste, coordinates, linear, mentions, of_classes, probability

RPS = [[0.5, 0.2, 0.9], [0.8, 0.5, 0.3], [0.1, 0.7, 0.5]]
CLASSES = ("rock", "paper", "scissors")
texts = st.text(alphabet="aB1.! please\n", max_size=40)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(TEXT)), texts)
def test_features_stay_in_bounds_and_their_edits_go_the_right_way(name: str, text: str) -> None:
    feature = TEXT[name]
    assert feature.read is not None
    value = feature.read(text)
    assert feature.low <= value <= feature.high
    if feature.more is not None:
        assert feature.read(feature.more(text)) >= value
    if feature.less is not None:
        assert feature.read(feature.less(text)) <= value


def test_edits_do_something() -> None:
    text = "Please note: the the cat has 9 lives!"
    for name, feature in TEXT.items():
        changes = [c for c in (feature.more, feature.less) if c is not None]
        assert feature.read is not None
        moved = [c for c in changes if feature.read(c(text)) != feature.read(text)]
        assert moved, name


def test_features_read_what_they_say() -> None:
    read = {name: f.read for name, f in TEXT.items()}
    text = "Thank you! A CAT, a cat 12"
    values = {name: r(text) for name, r in read.items() if r is not None}
    assert values == pytest.approx({
        "courtesy": 1.0, "brevity": 1 - 7 / 20, "emphasis": 1 / 3, "variety": 5 / 7, "capitals": 5 / 16,
        "punctuation": 0.0, "digits": 10 / 26,
    })  # fmt: skip
    cat = mentions("cat")
    assert cat.read is not None and cat.more is not None and cat.less is not None
    assert (cat.read("a Cat."), cat.read("concatenate")) == (1.0, 0.0)
    assert (cat.more("a dog"), cat.less("a cat and a dog")) == ("a dog cat", "a and a dog")


def test_a_reward_is_what_the_log_odds_are_made_of() -> None:
    taste = linear(courtesy=2.0, emphasis=-3.0)
    assert taste.transitive and taste.of_texts
    polite, loud = "Thank you", "No!!!"
    assert taste.log_odds(taste.read(polite), taste.read(loud)) == pytest.approx(5.0)
    assert probability(taste, polite, loud) == pytest.approx(1 / (1 + math.exp(-5.0)))
    assert probability(taste, polite, loud, temperature=5.0) == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert [probability(taste, a, b, 0.0) for a, b in ((polite, loud), (loud, polite), (loud, loud))] == [1.0, 0.0, 0.5]
    assert taste.worth().tolist() == [2.0, -3.0]
    assert taste.gaps(taste.read(loud)).tolist() == [2.0, 3.0]
    assert taste.gaps(taste.read(polite)).tolist() == [0.0, 0.0], "nothing that is at its best is lacking"
    assert taste.pull(taste.read(loud)).tolist() == [1.0, -1.0]


def test_classes_are_preferred_as_their_matrix_says_and_have_no_reward() -> None:
    taste = of_classes(RPS, CLASSES)
    assert not taste.transitive
    said = [[probability(taste, f"I take {a}", f"{b}, then paper") for b in CLASSES] for a in CLASSES]
    assert np.allclose(said, RPS)
    assert probability(taste, "nothing", "rock") == 0.5, "a text of no class is as good as any"
    chain = [probability(taste, a, b) for a, b in pairwise(("rock", "scissors", "paper", "rock"))]
    assert min(chain) > 0.5, "each beats the next, and the last the first"
    rock = taste.features[0]
    assert rock.more is not None and rock.more("Paper beats paper") == "rock beats paper"
    assert rock.more("well") == "well rock"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=6, max_size=6))
def test_log_odds_turn_around_when_the_two_do(numbers: list[float]) -> None:
    skew = np.array([[0, 1.5, -2], [-1.5, 0, 0.5], [2, -0.5, 0]])
    taste = Taste(coordinates("abc"), np.array([1.0, -2.0, 0.5]), skew)
    x, y = taste.read(numbers[:3]), taste.read(numbers[3:])
    assert taste.log_odds(x, y) == pytest.approx(-taste.log_odds(y, x), abs=1e-12)
    assert max(map(abs, [*x, *y])) <= 1.0
    middle = np.zeros(3)
    assert taste.log_odds(x, middle) == pytest.approx(float(taste.worth() @ x), abs=1e-12)
    i = int(np.argmax(taste.gaps(x)))
    better = x.copy()
    better[i] = taste.pull(x)[i]
    assert taste.log_odds(better, x) == pytest.approx(taste.gaps(x)[i], abs=1e-12)


def test_a_vector_is_read_from_json() -> None:
    taste = Taste(coordinates(["sweet", "sour"]), np.array([1.0, 2.0]))
    assert taste.read(" [0.5, -7]").tolist() == taste.read([0.5, -7]).tolist() == [0.5, -1.0]
    for wrong in ("sweet", "[1]", "[1, null]", '["a", 1]', "{}", "[1, NaN]", "[[1], [2, 3]]", "3"):
        with pytest.raises(InputError, match=r"2 (finite )?numbers"):
            taste.read(wrong)
    with pytest.raises(InputError, match="for texts"):
        linear(brevity=1.0).read([1.0])


def test_what_is_no_taste_is_refused() -> None:
    with pytest.raises(InputError, match="no feature charm; there are brevity"):
        linear(charm=1.0)
    with pytest.raises(InputError, match="skew-symmetric"):
        Taste(coordinates("ab"), np.zeros(2), np.ones((2, 2)))
    with pytest.raises(InputError, match="all of texts or all of vectors"):
        Taste((*coordinates("a"), TEXT["brevity"]), np.zeros(2))
    with pytest.raises(InputError, match="between 0 and 1"):
        of_classes([[0.5, 1.0], [0.0, 0.5]], ("a", "b"))
    with pytest.raises(InputError, match="low must be below high"):
        Feature("flat", None, 1.0, 1.0)


def test_tastes_are_told_apart_by_what_they_are() -> None:
    same = [linear(courtesy=1.0).fingerprint, linear(courtesy=1.0).fingerprint]
    assert len({*same, linear(courtesy=2.0).fingerprint, linear(brevity=1.0).fingerprint}) == 3
