"""Where model-written code runs."""

from __future__ import annotations

from loopwright.sandbox.box import Sandbox
from loopwright.sandbox.probe import probe
from loopwright.sandbox.types import Limits, Outcome, Profile, Status
from loopwright.sandbox.unittests import TestReport, run_tests

__all__ = ["Limits", "Outcome", "Profile", "Sandbox", "Status", "TestReport", "probe", "run_tests"]
