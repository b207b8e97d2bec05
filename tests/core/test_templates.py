"""Prompts with places to fill in: in one pass, whatever braces the texts hold, and with nothing of theirs stripped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import loopwright
from loopwright.core.errors import InputError
from loopwright.core.policy import Prompt, Shot
from loopwright.core.templates import filled, literal, places
from loopwright.core.types import Example

TEXT = st.text("ab {}\n\t") | st.sampled_from(["{question}", "{instruction}", "{runs}", " {x} ", "{", "}}", "{{x}}"])


@given(st.lists(TEXT, min_size=3, max_size=3))
def test_what_is_put_in_is_never_searched(texts: list[str]) -> None:
    a, b, c = texts
    assert filled("<{a}|{b}|{c}|{d}>", {"a": a, "b": b, "c": c}) == f"<{a}|{b}|{c}|{{d}}>"


@given(TEXT, TEXT)
def test_a_text_made_part_of_a_template_is_shown_as_it_is(text: str, question: str) -> None:
    template = f"{literal(text)}\n{{question}}"
    assert filled(template, {"question": question, "x": "WRONG", "runs": "WRONG", "a": "WRONG"}) == f"{text}\n{question}"


def test_other_braces_are_left_alone() -> None:
    assert filled('{"a": 1} {} { b } {a-b} \\frac{1}{2} {c}', {"c": "C", "a": "A"}) == '{"a": 1} {} { b } {a-b} \\frac{1}{2} C'
    assert places("{b}{a} {b} {0x} { c }") == ("b", "a", "0x")


@given(question=TEXT, instruction=TEXT)
def test_a_prompt_keeps_the_white_space_of_its_texts(question: str, instruction: str) -> None:
    usual, turned = Prompt(instruction=instruction), Prompt(instruction=instruction, template="  {instruction}\n\n{question}\n")
    if question.strip() and instruction.strip():
        assert usual.ask(question) == f"{question}\n{instruction}" and turned.ask(question) == f"{instruction}\n\n{question}"
    else:
        assert usual.ask(question) == turned.ask(question) == "".join(t for t in (question, instruction) if t.strip())


def test_an_indented_question_stays_indented() -> None:
    code = "    if x:\n        return 1\n"
    assert Prompt().ask(code) == code
    assert Prompt(instruction="Mend it.").ask(code) == code + "\nMend it."
    assert Prompt(system="s").render(Example(id="1", input=code))[1].text == code


@pytest.mark.parametrize(
    ("template", "asked"),
    [
        ("{question}\n{instruction}", '{"title": "T", "n": 3, "tags": ["a"], "question": "Q?"}\nDo.'),
        ("{title} ({n}): {tags}\n{instruction}", 'T (3): ["a"]\nDo.'),
        ("{title}\n{question}", "T\nQ?"),
        ("{title} {other} {'x'}\n", "T {other} {'x'}"),
        ("{question} {instruction} {question}", '{"title": "T", "n": 3, "tags": ["a"], "question": "Q?"} Do. '
         '{"title": "T", "n": 3, "tags": ["a"], "question": "Q?"}'),
    ],
)  # fmt: skip
def test_fields_of_an_input_have_places(template: str, asked: str) -> None:
    given = {"title": "T", "n": 3, "tags": ["a"], "question": "Q?"}
    prompt = Prompt(template=template, instruction="Do.", shots=(Shot(input=given, output="A"),))
    assert [t.text for t in prompt.render(Example(id="1", input=given))] == [asked, "A", asked]
    assert Prompt.model_validate(json.loads(prompt.model_dump_json())) == prompt


def test_an_input_may_be_typed() -> None:
    prompt = Prompt(template="{title}: {body}")
    assert prompt.typed('{"title": "T", "body": 3}') == {"title": "T", "body": 3}
    for text in ("What?", "[1]", '{"other": 1}', "3", ""):
        with pytest.raises(InputError, match=r'such as \{"title": \.\.\., "body": \.\.\.\}'):
            prompt.typed(text)
    both = Prompt(template="{question} {title}")
    assert both.typed('{"title": "T"}') == {"title": "T"} and both.typed("What?") == "What?"
    assert Prompt().typed('{"title": "T"}') == '{"title": "T"}'


def test_a_field_that_holds_a_place_is_shown_as_it_is() -> None:
    assert Prompt(template="{a} {b} {instruction}", instruction="{a}").ask({"a": "{b}", "b": "{instruction}"}) == (
        "{b} {instruction} {a}"
    )


def test_a_template_without_any_input_is_refused() -> None:
    for template in ("Say something.", "{instruction}", "{ question }"):
        with pytest.raises(ValidationError, match=r"must contain \{question\}, or \{name\} of a field"):
            Prompt(template=template)


def test_tools_stand_where_the_system_message_says() -> None:
    prompt = Prompt(system="Use {tools} or {x}.", tools={"a": "{tools} {x}"})
    assert prompt.told() == "Use a: {tools} {x} or {x}."


def test_nothing_fills_places_by_replacing_them() -> None:
    """One filler: a text put in by ``str.replace`` is searched for the places that follow."""
    root = Path(loopwright.__file__).parent
    asks = re.compile(r"\.replace\(\s*f?[\"']\{|\.format\(|\.format_map\(")
    found = [
        str(path.relative_to(root))
        for part in ("core", "blocks", "recipes", "critics", "trainable", "improve", "checks")
        for path in sorted((root / part).rglob("*.py"))
        if asks.search(path.read_text(encoding="utf-8"))
    ]
    assert not found
