"""Packages that are no part of the base installation: which extra of Loopwright brings each, for errors that say so."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from collections.abc import Iterator

from loopwright.core.errors import InputError

# By the name that is imported. What the base installation brings is not here.
EXTRAS = {
    "torch": "embedded", "transformers": "embedded", "peft": "embedded", "safetensors": "embedded", "gguf": "embedded",
    "llguidance": "embedded", "tokenizers": "embedded", "jinja2": "embedded", "huggingface_hub": "embedded",
    "reasoning_gym": "examples", "clingo": "asp", "highspy": "milp", "gymnasium": "gym", "sklearn": "digits", "pysat": "sat",
    "mabwiser": "peers", "river": "peers", "ribs": "peers", "gepa": "peers", "dspy": "peers",
}  # fmt: skip
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")


class MissingExtra(InputError):
    """A package that only an extra of Loopwright installs is not there; the message says what to type."""


def missing(package: str) -> MissingExtra:
    """The error to raise for a package that cannot be imported."""
    top = package.partition(".")[0]
    hint = f"pip install 'loopwright[{EXTRAS[top]}]'" if top in EXTRAS else f"pip install {top}"
    return MissingExtra(f"the package {top} is not installed; type: {hint}")


def there(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    top = package.partition(".")[0]
    if top in sys.modules:
        return sys.modules[top] is not None
    try:
        return importlib.util.find_spec(top) is not None
    except (ModuleNotFoundError, ValueError):  # a finder may say it so
        return False


def require(*packages: str) -> None:
    """Before anything is spent: whether packages are there that will be imported later.

    Raises:
        MissingExtra: the first of them is not.
    """
    for package in packages:
        if not there(package):
            raise missing(package)


@contextlib.contextmanager
def named() -> Iterator[None]:
    """Whatever is imported inside: where a package of an extra is missing, the error is MissingExtra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (found := of(error)) is not None:
            raise found from error
        raise


def of(error: ModuleNotFoundError) -> MissingExtra | None:
    """The error for a failed import, where an extra brings what was not found."""
    top = (error.name or "").partition(".")[0]
    return missing(top) if top in EXTRAS else None


def hint(text: str) -> str:
    """What to type, after a "; ", where an error of another process says that a package of an extra is missing; else ""."""
    found = _NO_MODULE.search(text)
    top = found[1].partition(".")[0] if found else ""
    return f"; type: pip install 'loopwright[{EXTRAS[top]}]'" if top in EXTRAS else ""
