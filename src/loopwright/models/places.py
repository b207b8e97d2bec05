"""Where the models are that come with the package."""

from __future__ import annotations

from pathlib import Path

LAB = "lab"  # the laboratory's model
LAB_FOLDER = Path(__file__).parents[1] / "worlds" / "lab" / "model"
ROLES_FOLDER = LAB_FOLDER.parent / "adapters"  # a folder for each role that it was taught


def roles() -> list[str]:
    """What the lab model was taught beside what it can do of itself."""
    return sorted(path.parent.name for path in ROLES_FOLDER.glob("*/adapter_config.json"))
