from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from loopwright.core.errors import InputError, UnknownPrice
from loopwright.models.prices import Prices, is_local


def test_the_table_says_when_and_where_from() -> None:
    prices = Prices.load()
    datetime.date.fromisoformat(prices.date)
    assert prices.source
    assert all(price.prompt > 0 and price.completion > 0 for rows in prices.hosts.values() for price in rows.values())


def test_cost_is_in_dollars() -> None:
    prices = Prices.load()
    assert prices.cost("gpt-4o-mini", 1_000_000, 500_000) == pytest.approx(0.15 + 0.30)
    assert prices.cost("gpt-4o-mini-2024-07-18", 1000, 0) == prices.cost("gpt-4o-mini", 1000, 0)


@pytest.mark.parametrize("model", ["gpt-4o-min", "gpt-4o-mini-audio", "GPT-4o-mini", ""])
def test_a_price_is_never_guessed(model: str) -> None:
    with pytest.raises(UnknownPrice, match=r"price = \[0\.15, 0\.6\] under \[model\] in task\.toml, or in Python price="):
        Prices.load().cost(model, 1, 1)


def test_another_host_has_its_own_prices() -> None:
    assert Prices.load().find("gpt-4o-mini", "https://reseller.example/v1") is None


def test_servers_on_this_machine_are_free() -> None:
    for url in (
        "http://localhost:8000/v1",
        "http://127.0.0.1/v1",
        "http://127.8.0.1/v1",
        "http://[::1]:80/v1",
        "http://0.0.0.0:8000/v1",
        "http://model.localhost:8000/v1",
        "unix:/s",
    ):
        assert is_local(url)
        assert Prices.load().cost("anything", 10**6, 10**6, url) == 0.0
    for url in (
        "http://localhost.example/v1",
        "http://127.0.0.1.nip.io/v1",
        "http://10.0.0.1/v1",
        "http://notlocalhost/v1",
        "http://127.0.0.1.example/v1",
        "http://10.0.0.1/v1",
        "http://128.0.0.1/v1",
    ):
        assert not is_local(url)


def test_a_users_file_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('[any]\n"ours" = [1, 2]\n[hosts."api.openai.com"]\n"gpt-4o-mini" = [9.0, 9.0]\n')
    prices = Prices.load(file)
    assert prices.cost("gpt-4o-mini", 10**6, 0) == 9.0
    assert prices.cost("ours", 0, 10**6, "https://anywhere.example/v1") == 2.0
    assert prices.cost("ours", 0, 10**6, "http://localhost/v1") == 2.0
    assert prices.cost("gpt-4o", 10**6, 0) == 2.5


@pytest.mark.parametrize(
    "text",
    [
        "[any",
        "[any]\nx = 3",
        "[any]\nx = [1]",
        "[any]\nx = [1, -2]",
        "[any]\nx = [1, nan]",
        "[any]\nx = [true, 1]",
        "any = 3",
        "hosts = 3",
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"mine\.toml"):
        Prices.load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        Prices.load(tmp_path / "nowhere.toml")
