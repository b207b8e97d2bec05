"""What tokens cost: a dated table of list prices, which a user's own file or number overrides."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from loopwright.core.errors import InputError, UnknownPrice

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")  # gpt-4o-mini-2024-07-18 costs what gpt-4o-mini costs


class Price(NamedTuple):
    """US dollars per million tokens."""

    prompt: float
    completion: float

    def cost(self, prompt: int, completion: int) -> float:
        """US dollars for these numbers of tokens."""
        return (prompt * self.prompt + completion * self.completion) / 1e6


NOTHING = Price(0.0, 0.0)


def is_local(base_url: str) -> bool:
    """Whether the server is on this machine (localhost, a loopback address or a Unix socket), where a call is free."""
    if base_url.startswith("unix:"):
        return True
    host = urlsplit(base_url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified  # 0.0.0.0 is this machine too, as an address to call


def as_price(value: object, where: str) -> Price:
    """Checks (prompt, completion). Raises InputError that names ``where`` the value was found."""
    if isinstance(value, list | tuple) and len(value) == 2:
        prompt, completion = value
        if all(type(v) in (int, float) and math.isfinite(v) and v >= 0 for v in (prompt, completion)):
            return Price(float(prompt), float(completion))
    raise InputError(f"{where}: expected two prices in dollars per million tokens, as in [0.15, 0.6], got {value!r}")


class Prices:
    """Prices by host and model: the same name can cost differently elsewhere."""

    def __init__(self, hosts: Mapping[str, Mapping[str, Price]], *, date: str = "", source: str = "") -> None:
        self.hosts = hosts
        self.date = date
        self.source = source

    @classmethod
    def load(cls, path: str | Path | None = None) -> Prices:
        """The table that comes with Loopwright, overridden by the TOML file at ``path`` where it has a row.

        The file has the form of ``prices.toml``; rows under ``[any]`` hold for every host. Raises InputError.
        """
        shipped = _shipped()
        if path is None:
            return shipped
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"price file {path}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise InputError(f"price file {path}: not UTF-8 text") from None
        own = _parse(text, str(path))
        merged = {host: {**shipped.hosts.get(host, {}), **rows} for host, rows in own.hosts.items()}
        return cls({**shipped.hosts, **merged}, date=own.date, source=own.source)

    def find(self, model: str, base_url: str = "https://api.openai.com/v1") -> Price | None:
        """The price of a model at a server, or None. ``[any]`` rows come first: only a user writes them."""
        host = urlsplit(base_url).hostname or ""
        for name in (model, _SNAPSHOT.sub("", model)):
            for rows in (self.hosts.get("any", {}), self.hosts.get(host, {})):
                if name in rows:
                    return rows[name]
        return NOTHING if is_local(base_url) else None

    def cost(self, model: str, prompt: int, completion: int, base_url: str = "https://api.openai.com/v1") -> float:
        """US dollars for these tokens. Raises UnknownPrice rather than guess."""
        price = self.find(model, base_url)
        if price is None:
            raise unknown_price(model)
        return price.cost(prompt, completion)


def unknown_price(model: str) -> UnknownPrice:
    return UnknownPrice(
        f"no price is known for model {model!r}, so a money cap cannot be kept. Give its dollars per million prompt and "
        "completion tokens: price = [0.15, 0.6] under [model] in task.toml, or in Python price=(0.15, 0.6) or a price file; or "
        "cap tokens instead of money."
    )


@cache
def _shipped() -> Prices:
    return _parse(files("loopwright.models").joinpath("prices.toml").read_text(encoding="utf-8"), "prices.toml")


def _parse(text: str, where: str) -> Prices:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"price file {where}: {error}") from None
    tables = data.get("hosts", {})
    if not isinstance(tables, dict):
        raise InputError(f'price file {where}: hosts: expected tables named [hosts."api.example.com"]')
    hosts: dict[str, dict[str, Price]] = {}
    for host, rows in {"any": data.get("any", {}), **tables}.items():
        if not isinstance(rows, dict):
            raise InputError(f"price file {where}: {host}: expected a table of model = [prompt, completion]")
        hosts[host] = {name: as_price(value, f"price file {where}: {host}: {name}") for name, value in rows.items()}
    return Prices(hosts, date=str(data.get("date", "")), source=str(data.get("source", "")))
