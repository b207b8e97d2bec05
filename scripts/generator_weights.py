"""Trains the small diffusion models of ``worlds.generators`` and writes their weights, half precision, beside the code.

    python scripts/generator_weights.py [digits | points]

About two minutes; the same bytes on the same machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import loopwright.worlds.generators as package
from loopwright.worlds.generators.diffusion import trained
from loopwright.worlds.generators.digits import digits, digits_network
from loopwright.worlds.generators.drawing import points_network, ring


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="?", default="both", choices=["digits", "points", "both"])
    which = parser.parse_args().which
    for name in ("digits", "points") if which == "both" else (which,):
        if name == "digits":
            shown = digits()
            weights = trained(digits_network(), 2 * shown.x - 1, shown.labels, steps=6000, seed=0)
        else:
            points = ring(8192, np.random.default_rng(0))
            weights = trained(points_network(), points, np.zeros(len(points)), steps=6000, seed=0)
        path = Path(package.__path__[0]) / f"{name}-diffusion.f16"
        path.write_bytes(weights.astype("<f2").tobytes())
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
