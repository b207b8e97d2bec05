"""A place that cannot be written to is named before anything is spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopwright.core.errors import InputError
from loopwright.core.outputs import check_file, check_folder

PROC = Path("/proc")  # takes no new files, whoever asks, and its permissions do not say so


@pytest.mark.skipif(not PROC.is_dir(), reason="no /proc here")
@pytest.mark.parametrize("check", [check_folder, check_file])
def test_a_folder_that_takes_no_files_is_named(check: object) -> None:
    with pytest.raises(InputError, match=r"--out: /proc/runs/x cannot be written"):
        check(PROC / "runs" / "x", "--out")  # type: ignore[operator]


@pytest.mark.parametrize("check", [check_folder, check_file])
def test_a_place_that_can_be_written_to_is_left_as_it_was(check: object, tmp_path: Path) -> None:
    check(tmp_path / "a" / "b", "--out")  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []
