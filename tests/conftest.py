"""Settings of all tests."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings

from loopwright.core.errors import SandboxMissing
from loopwright.sandbox import Sandbox

# A shared machine can be slow for a moment; how long one example takes says nothing of whether it is right.
settings.register_profile("loopwright", deadline=None)
settings.load_profile("loopwright")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A warm one; tests that need it are skipped, with the reason, where there is none."""
    try:
        made = Sandbox()
        asyncio.run(made.run("pass"))
    except SandboxMissing as error:
        pytest.skip(str(error))
    yield made
    made.close()
