"""Settings of all tests."""

import asyncio
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

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


# ---- tests of the promises in faults/promises.toml ------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-rows", default="", help="with -m fault: only tests of these rows, such as 33,49")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each fault test carries its rows' numbers into its report; a row that does not exist is an error."""
    known = {row["number"] for row in tomllib.loads((Path(__file__).parent / "faults" / "promises.toml").read_text())["row"]}
    wanted = {int(number) for number in config.getoption("--fault-rows").split(",") if number}
    left_out = []
    for item in items:
        rows = {number for marker in item.iter_markers("fault") for number in marker.args}
        if rows - known:
            raise pytest.UsageError(f"{item.nodeid} names fault {min(rows - known)}, which is not in promises.toml")
        item.user_properties += [("fault", number) for number in sorted(rows)]
        if wanted and not rows & wanted:
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tells the table of `make faults`, in one line, what a test measured."""

    def tell(line: str) -> None:
        request.node.user_properties.append(("seen", line))

    return tell
