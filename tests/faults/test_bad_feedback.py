"""Feedback and texts that cannot be so are refused by name; texts that can, however odd, come back exact."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from loopwright.core.errors import InputError
from loopwright.core.feedback import Score, parse_feedback
from loopwright.core.registry import get_recipe
from loopwright.core.store import EventRow
from loopwright.service.session import Session
from loopwright.store import open_store

NUMBERS = {
    "score": '{"kind": "score", "value": %s}',
    "steps": '{"kind": "steps", "values": [0.5, %s]}',
    "signal": '{"kind": "signal", "event": "click", "value": %s}',
    "gradient": '{"kind": "gradient", "vector": [%s]}',
    "measures": '{"kind": "measures", "values": {"height": %s}}',
    "preference": '{"kind": "preference", "chosen": "a", "rejected": "b", "strength": %s}',
    "checklist": '{"kind": "checklist", "items": [{"question": "?", "answer": true, "weight": %s}]}',
    "spans": '{"kind": "spans", "spans": [{"start": 0, "end": 1, "severity": %s}], "length": 3}',
}
FIELDS = {
    "score": "value", "steps": "values", "signal": "value", "gradient": "vector", "measures": "values",
    "preference": "strength", "checklist": "weight", "spans": "severity",
}  # fmt: skip


@pytest.mark.fault(16)
@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_none_are_refused_naming_the_field(kind: str, number: str, seen: Callable[[str], None]) -> None:
    for read in (parse_feedback, lambda text: parse_feedback(json.loads(text))):
        with pytest.raises(ValidationError) as caught:
            read(NUMBERS[kind] % number)
        assert FIELDS[kind] in str(caught.value)
    assert parse_feedback(NUMBERS[kind] % "0.25").kind == kind
    seen("NaN, both infinities and 1e999 in eight kinds: each refused with its field")


@pytest.mark.fault(16)
@pytest.mark.parametrize("value", [-0.001, 1.001, 1e300, float("nan"), float("inf")])
def test_a_session_refuses_a_score_out_of_range_and_the_trial_stays_open(value: float) -> None:
    session = Session(get_recipe("thompson")(), {"arms": ["red", "blue"]}, seed=1)
    trial = session.ask()
    with pytest.raises((ValidationError, InputError), match="value"):
        session.tell(Score(value=value, about=trial.id))
    session.tell(Score(value=1.0, about=trial.id))


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"kind": "preference", "chosen": "a", "rejected": "a"}', "two different items, got 'a' twice"),
        ('{"kind": "preference", "chosen": "a", "rejected": "b", "shown": ["a", "c"]}', "the two compared ids"),
        ('{"kind": "ranking", "groups": [["a"], ["b"], ["a"]]}', "stand in a ranking once"),
        ('{"kind": "ranking", "groups": [["a", "b", "a"]]}', "stand in a ranking once"),
        ('{"kind": "ranking", "groups": [["a"], []]}', "no empty group"),
        ('{"kind": "ranking", "groups": [["a"]]}', "at least two ids"),
        ('{"kind": "spans", "spans": [{"start": 2, "end": 9}], "length": 5}', "outside the text of 5 characters"),
        ('{"kind": "spans", "spans": [{"start": 3, "end": 3}], "length": 5}', "end must be after start"),
        ('{"kind": "spans", "spans": [{"start": -1, "end": 3}], "length": 5}', "start"),
        ('{"kind": "signal", "event": "click", "items": ["a", "a"]}', "acted on once"),
        ('{"kind": "score", "value": 1, "low": 1, "high": 1}', "low must be below high"),
        ('{"kind": "verdict", "passed": true, "pased": false}', "pased"),
        ('{"kind": "ranking"}', "groups"),
        ('{"kind": "opinion", "value": 1}', "opinion"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(text: str, named: str, seen: Callable[[str], None]) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_feedback(text)
    assert named in str(caught.value)
    seen("pairs of one, rankings that repeat an id, spans outside the text: each refused by name")


ODD = ["\x00", "a\x00b", "\ud800", "x\udfffy", "\ud83d\ude00", "\ufeff", "\u202e", "\x1b[2J", "e\u0301", "\uffff", "\r\n"]


@pytest.mark.fault(18)
@given(st.lists(st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=())))))
def test_odd_texts_come_back_exact_from_the_store(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    _round_trip(tmp_path_factory.mktemp("odd"), texts)


@pytest.mark.fault(18)
def test_every_odd_text_comes_back_exact_from_the_store(tmp_path: Path, seen: Callable[[str], None]) -> None:
    _round_trip(tmp_path, [*ODD, "".join(ODD)])
    seen(f"{len(ODD)} odd texts (NUL, lone surrogates, escape codes, ...) came back exact")


def _round_trip(folder: Path, texts: list[str]) -> None:
    store = open_store(f"{folder}/")
    try:
        run = store.create_run({"texts": texts}, seed=0, budget={}, code_version="1").id
        rows = [
            EventRow(run=run, type="told", key=f"{number}/{text}", payload={"text": text}, time=0.0)
            for number, text in enumerate(texts)
        ]
        asyncio.run(store.write(rows))
    finally:
        store.close()
    store = open_store(f"{folder}/")
    try:
        assert store.run(run).spec == {"texts": texts}
        assert [(event.key, event.payload["text"]) for event in store.events(run)] == [
            (f"{number}/{text}", text) for number, text in enumerate(texts)
        ]
    finally:
        store.close()
