"""Where model-written code runs."""

from __future__ import annotations

from loopwright.sandbox.box import Sandbox
from loopwright.sandbox.probe import probe
from loopwright.sandbox.types import Limits, Outcome, Profile, Status

__all__ = ["Limits", "Outcome", "Profile", "Sandbox", "Status", "probe"]
