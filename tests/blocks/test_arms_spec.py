"""What a specification must say, and the name that was meant."""

from __future__ import annotations

import pytest

from loopwright.blocks.arms import number_of
from loopwright.core.errors import InputError


def test_a_number_that_is_told_under_a_mistyped_name() -> None:
    with pytest.raises(InputError, match="did you mean 'dimensions' by 'dimension'"):
        number_of({"arms": 3, "dimension": 2}, "dimensions")
    with pytest.raises(InputError, match=r"got None$"):
        number_of({"arms": 3}, "dimensions")
    with pytest.raises(InputError, match=r"got 0$"):
        number_of({"arms": 0, "arm": 2}, "arms")
    assert number_of({"arms": 3}, "arms") == 3
