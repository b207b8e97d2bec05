"""Splits depend on the text alone; tools answer with text."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.types import Example
from loopwright.critics.section import Section
from loopwright.worlds.calculator import calculate
from loopwright.worlds.split import Fractions, fewest, question_key
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
    for i in range(50):
        assert FRACTIONS.of(f"what is {i}?") == FRACTIONS.of(f"  What  IS\n{i}? ")
    assert FRACTIONS.of({"a": 1, "b": 2}) == FRACTIONS.of({"b": 2, "a": 1})


def test_what_a_gate_needs():
    assert fewest(0.05) == 8 < fewest(0.001)


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
