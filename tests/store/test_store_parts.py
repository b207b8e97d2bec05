"""The store's small pure parts."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core.errors import StoreCorrupt
from loopwright.store import redact
from loopwright.store.codec import pack, text, unpack, untext
from loopwright.store.ids import uuid7


def test_ids_are_version_7_and_sorted() -> None:
    ids = [uuid7() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert all(uuid.UUID(id).version == 7 and uuid.UUID(id).variant == uuid.RFC_4122 for id in ids)


@given(st.binary(max_size=5000))
def test_pack_round_trip(data: bytes) -> None:
    assert unpack(pack(data * 2)) == data * 2


def test_what_does_not_shrink_is_not_compressed() -> None:
    assert pack(b"xq7")[:1] == b"0" and pack(b"") == b""
    assert pack(np.random.default_rng(0).bytes(1000))[:1] == b"0"
    assert len(pack(b"a" * 10_000)) < 200
    array = base64.b64encode(np.random.default_rng(0).normal(size=100_000).tobytes())
    assert pack(array[:10_000])[:1] == b"d" and pack(array)[:1] == b"0" and unpack(pack(array)) == array
    numbers = json.dumps(np.random.default_rng(0).normal(size=100_000).tolist()).encode()
    assert pack(numbers)[:1] == b"d" and unpack(pack(numbers)) == numbers
    with pytest.raises(StoreCorrupt):
        unpack(b"q")


@given(st.text(st.characters(exclude_categories=())))
def test_text_round_trip(value: str) -> None:
    assert untext(text(value)) == value


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("key sk-proj-Abc123def456ghi7 end", "key sk-[redacted] end"),
        ("Authorization: Bearer abc.def-123456", "Authorization: Bearer [redacted]"),
        ("api_key=hunter2hunter2&x=1", "api_key [redacted]&x=1"),
        ("https://me:pa55word@host/x", "https://me:[redacted]@host/x"),
        ("ghp_0123456789abcdefABCD", "ghp_[redacted]"),
        ("AKIAABCDEFGHIJKLMNOP", "AKIA [redacted]"),
    ],
)
def test_secrets_are_masked(raw: str, clean: str) -> None:
    assert redact(raw) == clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "plain",
    [
        "",
        "a risk-adjusted-return",
        "the task-decomposition-strategy",
        "sk-learn",
        "bearer of bad news",
        "tokens: 123456",
    ],
)
def test_ordinary_words_stay(plain: str) -> None:
    assert redact(plain) == plain


def test_plain_data_is_walked() -> None:
    data = {"headers": {"Authorization": "x"}, "list": ("Bearer abcd1234efgh", 3, None), "password": 5}
    masked = {"headers": {"Authorization": "[redacted]"}, "list": ["Bearer [redacted]", 3, None], "password": 5}
    assert redact(data) == masked
    assert redact(masked) == masked


def test_the_package_loads_nothing_heavy() -> None:
    program = (
        "import sys, loopwright.store; assert not {'sqlite3', 'pydantic'} & set(sys.modules)\n"
        "from loopwright.store import SqliteStore; assert not {'sqlalchemy', 'alembic'} & set(sys.modules)"
    )
    import loopwright.core.store

    source = loopwright.core.store.__file__.rsplit("loopwright", 1)[0]
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": source})
