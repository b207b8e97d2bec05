"""The archive: only documents tell, and who looks with the city's name finds the right one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loopwright.blocks.passages import interleaved, passages_of
from loopwright.core.errors import InputError
from loopwright.worlds.city_archive import CAPITALS, city_archive, last_named
from loopwright.worlds.tools import searcher

CTX: Any = None


def found(world: Any, query: str) -> str:
    return asyncio.run(world.tools["search"](query, CTX))


def test_the_name_of_the_city_finds_its_document_and_the_country_alone_seldom_does() -> None:
    world = city_archive(top=3)
    alone = with_city = 0
    for example in world.items:
        country = next(c for c in CAPITALS if f"of {c}:" in example.question)
        assert CAPITALS[country] not in example.question
        right = f"[{CAPITALS[country]} "
        alone += right in found(world, example.question)
        with_city += found(world, f"{example.question} {CAPITALS[country]}").startswith(right)
    assert with_city == len(world.items) == 160 and alone < 40
    by_city = city_archive(named="city", top=1)
    first = by_city.items[0]
    assert str(first.target) in found(by_city, first.question)


def test_splits_share_no_question_and_seeds_tell_other_things() -> None:
    parts = [{e.id for e in city_archive().examples(s)} for s in ("train", "gate", "test")]
    assert all(parts) and sum(map(len, parts)) == len(set().union(*parts)) == 160
    assert [e.target for e in city_archive(seed=1).items] != [e.target for e in city_archive().items]


def test_the_last_value_named_is_the_answer() -> None:
    assert last_named("Not red: the door in Lima is Green.", ("red", "green")) == "green"
    assert last_named("It is held on Fridays.", ("Monday", "Friday")) == "Friday"
    assert last_named("Nobody knows.", ("red", "green")) == ""


def test_bad_options_and_an_empty_store_are_refused() -> None:
    with pytest.raises(InputError, match="country"):
        city_archive(named="river")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got none"):
        searcher([])


def test_passages_are_read_off_and_merged_rank_by_rank() -> None:
    assert passages_of("[a] one\n\n[b] two\n") == ["[a] one", "[b] two"]
    assert passages_of("nothing found") == passages_of("error: the query holds no word") == passages_of("") == []
    assert interleaved([["a", "b"], ["c", "a", "d"]]) == ["a", "c", "b", "d"]
    assert interleaved([["a", "b"], ["c"]], 2) == ["a", "c"] and interleaved([]) == []
