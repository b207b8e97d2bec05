"""The command line. Modules here import little at the top: a command loads what it needs when it runs."""

from __future__ import annotations

from loopwright.cli.main import app, main

__all__ = ["app", "main"]
