"""The tiny model is made by tests/models/tiny_llama.py."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "models"))
