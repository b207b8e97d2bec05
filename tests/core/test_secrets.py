"""Keys of this process are masked wherever they stand; ordinary words never are."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core import secrets
from loopwright.core.secrets import MASK, can_be_told, mask, remember

KEY = 'sé"cret/0042+x'


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", {})
    monkeypatch.setattr(secrets, "_pattern", None)
    remember([KEY, "Bearer token-aa-1234"])


@pytest.mark.parametrize("written", [
    KEY, json.dumps(KEY), json.dumps({"a": KEY}).replace("/", "\\/"), quote(KEY, safe=""), "Bearer token-aa-1234",
    "only token-aa-1234", base64.b64encode(KEY.encode()).decode(),
])  # fmt: skip
def test_a_key_is_found_however_it_is_written(written: str) -> None:
    assert MASK in mask(f"before {written} after")
    assert MASK.encode() in mask(f"before {written} after".encode())
    for way in (KEY, "token-aa-1234"):
        assert way not in mask(written)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9) | st.just(KEY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.just(f"k{KEY}"), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_data_keeps_its_shape_and_loses_the_key(value: Any) -> None:
    made = mask(value)
    text = json.dumps(value, ensure_ascii=False)
    assert KEY not in str(made)
    if json.dumps(KEY, ensure_ascii=False)[1:-1] not in text:
        assert made is value  # untouched, not a copy
    else:
        assert json.loads(json.dumps(value, ensure_ascii=False).replace(json.dumps(KEY, ensure_ascii=False)[1:-1], MASK)) == made
    assert mask(made) == made


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_come_back_exact(raw: bytes) -> None:
    assert mask(raw) == raw
    whole = raw + KEY.encode() + raw
    assert mask(whole) == raw + MASK.encode() + raw


@pytest.mark.parametrize("word", ["EMPTY", "ollama", "lm-studio", "not-needed", "none", "", "2023-06-01", "blue", "1234567890"])
def test_what_could_be_an_ordinary_word_is_left_in_answers(word: str) -> None:
    assert can_be_told(word)
    remember([word, f"Bearer {word}"])
    assert mask(f"the answer is {word}, really") == f"the answer is {word}, really"


@pytest.mark.parametrize("key", ["sk-12345", "hunter2hunter2", "abcdefghijklmnop", "0123456789012345", "öffne-sesam-9"])
def test_what_is_like_no_word_is_a_key(key: str) -> None:
    assert not can_be_told(key)


def test_of_two_keys_the_longer_is_masked_whole() -> None:
    remember(["abcd1234", "abcd1234efgh5678"])
    assert mask("x abcd1234efgh5678 y abcd1234 z") == f"x {MASK} y {MASK} z"
