"""Splits depend on the text alone; tools answer with text."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.types import Example
from loopwright.critics.section import Section
from loopwright.worlds.calculator import calculate
from loopwright.worlds.near import near_duplicates
from loopwright.worlds.split import Fractions, fewest, question_key, screened
from loopwright.worlds.tools import read_passages, read_tools, searcher

FRACTIONS = Fractions(Section("[split]", {}, lambda field: "task.toml"))
QUESTIONS = st.lists(st.text(min_size=1), min_size=1, max_size=30, unique_by=question_key)


def examples(texts):
    return [Example(id=f"{i}", input=t) for i, t in enumerate(texts)]


@settings(max_examples=50)
@given(QUESTIONS, st.randoms(), st.lists(st.text(), max_size=5))
def test_where_an_example_goes_depends_on_its_text_alone(texts, rng, more):
    texts = [f"{i} {t}" for i, t in enumerate([*texts, *[f"q{i}" for i in range(80)]])]
    before = FRACTIONS.divide(examples(texts), 0.05)
    home = {e.input: s for s, part in before.items() for e in part}
    shuffled = texts + [f"new {i} {t}" for i, t in enumerate(more)]
    rng.shuffle(shuffled)
    after = {e.input: s for s, part in FRACTIONS.divide(examples(shuffled), 0.05).items() for e in part}
    assert len(after) == len(shuffled)
    assert all(after[text] == home[text] for text in texts)


def test_the_same_question_in_another_dress_goes_to_the_same_split():
    def of(question):
        return FRACTIONS.of(Example(id="e", input=question))

    for i in range(50):
        assert of(f"what is {i}?") == of(f"  What  IS\n{i}? ")
    assert of({"a": 1, "b": 2}) == of({"b": 2, "a": 1})


def by_split(texts, **how):
    return {e.input: s for s, part in FRACTIONS.divide(examples(texts), 0.05, **how).items() for e in part}


def test_without_weights_the_gate_gets_more_and_the_test_stays():
    texts = [f"question {i}" for i in range(1000)]
    with_weights, without = by_split(texts), by_split(texts, weights=False)
    for shares, home in (((0.5, 0.25), with_weights), ((0.4, 0.35), without)):
        for split, share in zip(("train", "gate"), shares, strict=True):
            assert abs(sum(s == split for s in home.values()) / 1000 - share) < 0.05
    assert {t for t in texts if with_weights[t] == "test"} == {t for t in texts if without[t] == "test"}
    own = Fractions(Section("[split]", {"train": 0.6, "gate": 0.2, "test": 0.2}, lambda field: "task.toml"))
    assert own.shares(weights=True) == own.shares(weights=False)


@pytest.mark.parametrize("weights", [True, False])
def test_a_fresh_gate_never_touches_the_test_split(weights):
    texts = [f"question {i}" for i in range(600)]
    before = by_split(texts, weights=weights)
    drawn = [by_split(texts, weights=weights, fresh=n) for n in (1, 2, 2)]
    tests = {t for t in texts if before[t] == "test"}
    assert all({t for t in texts if home[t] == "test"} == tests for home in drawn)
    assert drawn[1] == drawn[2] != drawn[0] != before
    again = sum(home[t] == "gate" for home in drawn[:1] for t in texts if before[t] == "gate")
    assert 0 < again < 0.7 * sum(s == "gate" for s in before.values())


@settings(max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=200, max_size=300), st.booleans(), st.integers(0, 3))
def test_no_group_is_in_two_splits(groups, weights, fresh):
    made = [Example(id=f"{i}", input=f"q{i}", meta={"group": g} if g else {}) for i, g in enumerate(groups)]
    parts = FRACTIONS.divide(made, 0.05, weights=weights, fresh=fresh)
    train, screen = screened(parts["train"])
    splits = [train, screen, parts["gate"], parts["test"]]
    assert sorted(e.id for part in splits for e in part) == sorted(e.id for e in made)
    found = [{e.group for e in part if e.group} for part in splits]
    assert sum(map(len, found)) == len(set().union(*found))


def test_the_screen_is_a_third_of_train_and_stays_when_examples_come():
    sizes = {n: len(screened(examples([f"q{i}" for i in range(n)]))[1]) for n in (10, 23, 24, 30, 40, 60, 90, 300)}
    assert sizes == {10: 0, 23: 0, 24: 12, 30: 15, 40: 20, 60: 20, 90: 30, 300: 100}
    shares = {share: len(screened(examples([f"q{i}" for i in range(40)]), share)[1]) for share in (0.0, 0.1, 0.5)}
    assert shares == {0.0: 0, 0.1: 4, 0.5: 20}
    texts = [f"q{i}" for i in range(90)]
    before = {e.input for e in screened(examples(texts))[1]}
    after = {e.input for e in screened(examples([*texts[::-1], "another"]))[1]}
    assert len(before & after) >= len(before) - 1


def near(train, gate):
    parts = {"train": examples(train), "gate": [Example(id=f"g{i}", input=t) for i, t in enumerate(gate)]}
    return [(a[1], b[1]) for a, b in near_duplicates(parts)]


def test_near_duplicates_are_found_across_splits_alone():
    story = "The ship left the harbour at dawn with nine sailors and a cat, and nobody saw it again until the spring came"
    train = ["What is the capital of France?", story, "Add 3 and 4 please", "Is 2 + 2 = 4 true"]
    gate = ["what is, the capital of France", story.replace("nobody", "no one").replace("ship", "boat") + ".",
            "Add 3 and 5 please", "Is 2 - 2 = 4 true", "What is the capital of Spain?"]  # fmt: skip
    assert near(train, gate[:1]) == [("0", "g0")]
    assert near(train, gate[2:]) == []
    assert near([story], [story.replace("until the spring came", "until spring")]) == [("0", "g0")]
    assert near([story], ["Nine sailors and a cat went to sea in a ship at dawn, and came back in the spring"]) == []
    assert near_duplicates({"train": examples([story, story + "!"])}) == []


def test_a_template_that_questions_share_makes_no_near_duplicates():
    form = "Read the word and write its plural in lower case, with nothing before or after it and no full stop: {}"
    nouns = [f"{a}{b}" for a in ("cat", "dog", "sea", "bus", "box") for b in ("ty", "ra", "lo", "mi")]
    assert near([form.format(n) for n in nouns[:10]], [form.format(n) for n in nouns[10:]]) == []
    asked = [f"State the final answer to the following problem: {a} {s} {b} =" for a in "123" for b in "456" for s in "+-"]
    assert near(asked[:9], asked[9:]) == []
    grouped = [Example(id=f"{i}", input="The same old question, again", meta={"group": "a"}) for i in range(2)]
    assert near_duplicates({"train": grouped[:1], "gate": grouped[1:]}) == []


def test_what_a_gate_needs():
    assert fewest(0.05) == 6 < fewest(0.001) < fewest(0.001, graded=True)


def test_the_calculator():
    assert calculate("2 + 3 * 4 =") == "14"
    assert calculate("sqrt(2)") == "1.41421356237"
    for text, problem in {
        "9**9**9": "too large", "1/0": "zero", "__import__('os')": "only arithmetic", "2 +": "not an arithmetic",
        "(-8)**0.5": "real", "'a' * 9": "only arithmetic", "1" * 2000: "longer", "1e308 * 10": "real",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=problem):
            calculate(text)


def test_search(tmp_path):
    (tmp_path / "a.md").write_text("Cats sleep all day.\n\n" + "word " * 119)
    (tmp_path / "b.txt").write_text("Dogs bark at night.")
    passages = read_passages(tmp_path)
    search = searcher(passages, top=1)
    assert asyncio.run(search("a dog barking NEAR(", None)) == "[b.txt] Dogs bark at night."
    assert "Cats" in asyncio.run(search("sleeping", None))
    assert asyncio.run(search("unicorn", None)) == "nothing found"
    assert asyncio.run(search("!?", None)).startswith("error")
    tools, specs = read_tools(Section("[tools]", {"search": ".", "calculator": True}, lambda f: ""), tmp_path)
    assert set(tools) == {"search", "calculator"} and specs["search"]["passages"] == 3
