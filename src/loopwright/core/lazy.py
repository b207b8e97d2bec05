"""Modules that load on first use: listing three hundred recipes must not load what each of them needs to run."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from loopwright.core.extras import missing


def lazy(name: str) -> ModuleType:
    """The module, loaded when its first attribute is asked for. Raises MissingExtra where its package is not installed."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:  # a dotted name imports what it begins with
        if error.name != name.partition(".")[0]:
            raise
        spec = None
    if spec is None or spec.loader is None:
        raise missing(name)
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module
