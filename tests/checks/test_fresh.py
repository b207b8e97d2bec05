"""Calls in fresh processes see nothing of each other or of this process, and end with an error that says what happened."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from loopwright.checks import fresh

SOURCE = '''
import os, sys, time
count = 0
def counted():
    global count
    count += 1
    return count
def pid(): return os.getpid()
def hashed(): return hash("a text")
def raises(): raise KeyError("nothing of this name")
def leaves(): os._exit(7)
def sleeps(): time.sleep(60)
def talks():
    print("chatter")
    return sys.argv
def missing(): return sys.modules.get("pytest") is None
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "called_freshly.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "called_freshly"


def test_nothing_is_left_of_an_earlier_call(module: str) -> None:
    assert [fresh.call(f"{module}:counted") for _ in range(3)] == [1, 1, 1]
    assert os.getpid() != fresh.call(f"{module}:pid") != fresh.call(f"{module}:pid")
    assert "pytest" in sys.modules
    assert fresh.call(f"{module}:missing")


def test_string_hashes_are_those_of_the_seed(module: str) -> None:
    by_seed = [fresh.call(f"{module}:hashed", hash_seed=seed) for seed in ("1", "2", "1")]
    assert by_seed[0] == by_seed[2] != by_seed[1]


def test_errors_say_what_happened_and_the_next_call_goes_on(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(fresh.CallFailed, match="KeyError: 'nothing of this name'"):
        fresh.call(f"{module}:raises")
    with pytest.raises(fresh.CallFailed, match="ended itself with 7"):
        fresh.call(f"{module}:leaves")
    assert fresh.call(f"{module}:talks")[0] == "-c"
    monkeypatch.setattr(fresh, "SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(fresh.CallFailed, match=r"did not end within 0\.5 s"):
        fresh.call(f"{module}:sleeps")
    assert time.monotonic() - began < 30
    monkeypatch.undo()
