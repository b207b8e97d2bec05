"""Where a server is and what opens it: address, key, headers. Keys come from the environment, at the first call, and go only
where they belong: OPENAI_API_KEY by itself to OpenAI, any other to the server that names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from loopwright.core import secrets
from loopwright.core.errors import InputError
from loopwright.models.prices import is_local
from loopwright.models.replies import Redactor

OPENAI = "https://api.openai.com/v1"
FROM_ENVIRONMENT = "env:"
_NO_KEY = "none"  # many servers on one's own machine want a key, whichever
_OPENS = re.compile(r"^(proxy-)?authorization$|^cookie$|key|token|secret|password|credential|signature", re.I)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Access:
    """How one server is reached.

    base_url: up to and including ``/v1``, or ``unix:/path/to/socket``.
    api_key_env: the environment variable that holds the key; None for the usual one, "" for a server that takes none.
    headers: further headers; a value ``env:NAME`` is read from the environment.
    trust_env: go through the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name.

    Raises InputError for an address that is none, and for another's server without a key to send it.
    """

    def __init__(
        self, base_url: str, *, api_key_env: str | None = None, headers: Mapping[str, str] | None = None, trust_env: bool = False
    ) -> None:
        self.base_url = checked_url(base_url)
        self.official = is_official(self.base_url)
        self.trust_env = bool(trust_env)
        self._headers = dict(headers or {})
        for name, value in self._headers.items():
            if not isinstance(value, str):
                raise InputError(f"headers: {name}: expected text, got {type(value).__name__}")
        checked_variable(api_key_env)
        opened = any(_OPENS.search(name) for name in self._headers)
        if api_key_env is None and not self.official and not is_local(self.base_url) and not opened:
            raise InputError(
                f"{self.base_url} is neither OpenAI nor on this machine, so no key goes there by itself. Name the environment "
                'variable that holds its key: api_key_env = "NAME" under [model] in task.toml, or '
                f"--model openai:MODEL@{self.base_url},api_key_env=NAME (api_key_env= with nothing where it takes none)"
            )
        self._api_key_env = "OPENAI_API_KEY" if api_key_env is None and self.official and not opened else api_key_env
        self._placeholder = api_key_env is None and not self.official and not opened
        given = {name: value for name, value in self._headers.items() if not value.startswith(FROM_ENVIRONMENT)}
        self.redact = Redactor(given.values())
        secrets.remember(value for name, value in given.items() if looks_secret(name) or "://" not in value)
        variables = [v.removeprefix(FROM_ENVIRONMENT) for v in self._headers.values() if v.startswith(FROM_ENVIRONMENT)]
        secrets.remember(os.environ.get(name, "") for name in (*variables, self._api_key_env) if name)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables whose values are sent to this server, by name."""
        named = [v.removeprefix(FROM_ENVIRONMENT) for v in self._headers.values() if v.startswith(FROM_ENVIRONMENT)]
        return tuple(dict.fromkeys([*named, *([self._api_key_env] if self._api_key_env else [])]))

    def headers(self) -> dict[str, str]:
        """All headers of a call. Raises InputError for a variable that is not set, or holds no key."""
        made = {"Content-Type": "application/json", "Accept": "application/json"}
        for name, value in self._headers.items():
            made[name] = self._read(value.removeprefix(FROM_ENVIRONMENT)) if value.startswith(FROM_ENVIRONMENT) else value
        if self._api_key_env:
            made.setdefault("Authorization", f"Bearer {self._read(self._api_key_env)}")
        elif self._placeholder:
            made.setdefault("Authorization", f"Bearer {_NO_KEY}")
        return made

    def _read(self, variable: str) -> str:
        value = os.environ.get(variable, "").strip()
        if not value:
            raise InputError(
                f"the environment variable {variable} is empty: put the key of {self.base_url} in it, "
                f"as in  export {variable}=..."
            )
        if not value.isascii() or not value.isprintable():
            raise InputError(f"{variable}: expected a key of printable ASCII characters")
        self.redact.add(value)
        secrets.remember([value])
        return value


def checked_variable(name: object) -> None:
    """Raises InputError for what names no environment variable. It may be the key itself, so it is not repeated."""
    if isinstance(name, str) and name and not _NAME.fullmatch(name):
        raise InputError("api_key_env: expected the name of an environment variable such as MY_API_KEY, not the key itself")


def is_official(base_url: str) -> bool:
    """Whether this is OpenAI's own address, over TLS, which OPENAI_API_KEY may go to."""
    parts = urlsplit(base_url)
    return parts.scheme == "https" and parts.hostname == "api.openai.com" and parts.port in (None, 443)


def checked_url(base_url: str) -> str:
    """The address without a slash at its end. Raises InputError; what is wrong is not repeated where it may hold a password."""
    if base_url.startswith("unix:"):
        return base_url
    try:
        parts = urlsplit(base_url)
        _ = parts.port
    except ValueError as error:
        raise InputError(f"base_url: expected http://host:port/v1 or unix:/path, got no address: {error}") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError("base_url: user, password and query do not belong here; put the key in an environment variable")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"base_url: expected http://host:port/v1 or unix:/path, got {base_url!r}")
    return base_url.rstrip("/")


def looks_secret(header: str) -> bool:
    """Whether a header of this name usually holds what opens something."""
    return _OPENS.search(header) is not None
