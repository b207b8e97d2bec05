"""The same question in two splits, changed in ways that make no other question of it; and questions that only look alike."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.types import Example
from loopwright.worlds.near import near_duplicates

ZERO_WIDTH, SOFT_HYPHEN, NO_BREAK, BOM = "\u200b", "\u00ad", "\u00a0", "\ufeff"
LONG = "The ship left the harbour at dawn with nine sailors and a cat, and nobody saw it again until the spring came"

CHANGES: dict[str, Callable[[str], str]] = {
    "space and full stop": lambda q: q + " .",
    "please": lambda q: f"Please: {q}",
    "please after": lambda q: f"{q} Please!",
    "thank you": lambda q: f"{q} Thank you.",
    "question": lambda q: f"Question: {q}\nAnswer:",
    "numbered": lambda q: f"Question 12: {q}",
    "q and a": lambda q: f"Q: {q}\nA:",
    "could you": lambda q: f"Hello, could you please tell me: {q}",
    "upper case": str.upper,
    "title case": str.title,
    "lower case": str.lower,
    "zero-width space": lambda q: q.replace("a", f"a{ZERO_WIDTH}"),
    "zero-width at the end": lambda q: q + ZERO_WIDTH,
    "soft hyphens": lambda q: q.replace("t", f"t{SOFT_HYPHEN}"),
    "byte order mark": lambda q: BOM + q,
    "no-break space": lambda q: q.replace(" ", NO_BREAK),
    "tabs and lines": lambda q: q.replace(" ", " \n\t "),
    "without spaces": lambda q: q.replace(" ", ""),
    "full width": lambda q: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in q),
    "decomposed": lambda q: unicodedata.normalize("NFD", q),
    "accents lost": lambda q: "".join(c for c in unicodedata.normalize("NFD", q) if not unicodedata.combining(c)),
    "accents put on": lambda q: q.replace("a", "a\u0301").replace("e", "e\u0308"),
    "without punctuation": lambda q: "".join(c for c in q if c.isalnum() or c == " "),
    "quoted": lambda q: f"\u201c{q}\u201d",
    "bold": lambda q: f"**{q}**",
    "quotation": lambda q: f"> {q}",
    "heading": lambda q: f"## {q}",
    "list item": lambda q: f"- {q}",
    "in brackets": lambda q: f"({q})",
    "exclamation": lambda q: q.replace("?", "?!?"),
    "mathematical letters": lambda q: "".join(chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c for c in q),
    "Cyrillic look-alikes": lambda q: q.replace("o", "\u043e"),
    "variation selector": lambda q: q + "\ufe0f",
    "word joiner": lambda q: q.replace(" ", " \u2060"),
    "right-to-left mark": lambda q: "\u200f" + q,
}
# What is read by its form, so that it must stand outermost.
STRUCTURE = {"bold", "quotation", "heading", "list item", "numbered", "question", "q and a", "could you", "please", "thank you"}
STRUCTURE |= {"please after", "without spaces"}
QUESTIONS = (
    "What is the capital of France?",
    "Qu'est-ce que le café crème, à Paris?",
    "Add the numbers 17 and 25, then halve what you get.",
    LONG,
)
APART = (
    ("What is 3 + 4?", "What is 3 + 5?"),
    ("What is 3 + 4?", "What is 3 - 4?"),
    ("What is 3 - 4?", "What is 34?"),
    ("Is 12 prime?", "Is 1 2 prime?"),
    ("What is the capital of France?", "What is the capital of Spain?"),
    ("How does it feel: \U0001f600", "How does it feel: \U0001f622"),
    ("Compute 2 < 3", "Compute 2 > 3"),
    ("Question 5: is 7 prime?", "Question 5: is 8 prime?"),
    ("please", "thanks"),
    (LONG, "Nine sailors and a cat went to sea in a ship at dawn, and came back in the spring"),
    ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
    ([1, 2, 3], [3, 2, 1]),
)


def found(train: Any, test: Any) -> bool:
    pairs = near_duplicates({"train": [Example(id="a", input=train)], "test": [Example(id="b", input=test)]})
    assert pairs in ([], [(("train", "a"), ("test", "b"))])
    return bool(pairs)


@pytest.mark.fault(57)
def test_the_same_question_slightly_changed_is_found(seen: Callable[[str], None]) -> None:
    missed = [(name, q) for name, change in CHANGES.items() for q in QUESTIONS if not found(q, change(q))]
    assert missed == []
    missed = [(name, q) for name, change in CHANGES.items() for q in QUESTIONS if not found(change(q), q)]
    assert missed == []
    alike = [pair for pair in APART if found(*pair)]
    assert alike == []
    seen(f"{len(CHANGES)} kinds of change on {len(QUESTIONS)} questions: all found; {len(APART)} pairs of other questions: none")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(QUESTIONS), st.lists(st.sampled_from(sorted(set(CHANGES) - STRUCTURE)), max_size=3),
    st.sampled_from(sorted(CHANGES)),
)  # fmt: skip
def test_changes_upon_changes_are_found(question: str, names: list[str], last: str) -> None:
    changed = question
    for name in [*names, last]:
        changed = CHANGES[name](changed)
    assert found(question, changed), changed


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4), max_leaves=8,
    )
)  # fmt: skip
def test_any_input_is_read(value: Any) -> None:
    found(value, value)


def test_inputs_that_are_no_text_are_compared_by_their_fields() -> None:
    picture = {"image": "data:image/png;base64,iVBORw0KGgo=", "ask": "What is seen here?"}
    assert found(picture, dict(reversed(picture.items())))
    assert not found(picture, {**picture, "image": "data:image/png;base64,iVBORw0KGgoAAAA1="})
    assert found({"q": "How old is she"}, {"q": "how old is she?"})


def test_scripts_without_spaces_are_read_by_their_characters() -> None:
    asked = "請問從台北到高雄搭乘高速鐵路需要多少時間和多少費用"
    assert found(asked, asked + "\u3002") and found(asked, asked.replace("請問", "那麼"))
    assert not found(asked, "從東京到大阪搭乘新幹線最快的列車是哪一班")


def test_many_questions_are_compared_in_one_go() -> None:
    rng = random.Random(0)
    words = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]
    asked = [" ".join(rng.choices(words, k=20)) for _ in range(12_000)]
    copies = {i: f"Please: {asked[i].upper()} ." for i in range(0, 12_000, 1_000)}
    parts = {
        "train": [Example(id=f"{i}", input=q) for i, q in enumerate(asked)],
        "test": [Example(id=f"copy{i}", input=q) for i, q in copies.items()],
    }
    assert {(a[1], b[1]) for a, b in near_duplicates(parts)} == {(f"{i}", f"copy{i}") for i in copies}  # type: ignore[arg-type]
    alike = [Example(id=f"{s}{i}", input="one and the same " + "." * i) for s in "ab" for i in range(2_000)]
    assert 2_000 <= len(near_duplicates({"train": alike[:2_000], "test": alike[2_000:]})) <= 3 * 2_000
