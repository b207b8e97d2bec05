"""Modules that load on first use: listing three hundred recipes must not load what each of them needs to run."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from loopwright.core.errors import InputError


def lazy(name: str, *, extra: str = "") -> ModuleType:
    """The module, loaded when its first attribute is asked for. ``extra`` is what to install where it is missing."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:  # a dotted name imports what it begins with
        if error.name != name.partition(".")[0]:
            raise
        spec = None
    if spec is None or spec.loader is None:
        hint = f"; type: pip install 'loopwright[{extra}]'" if extra else ""
        raise InputError(f"the package {name.partition('.')[0]} is not installed{hint}")
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module
