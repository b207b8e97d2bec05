"""NDCG@20 on MovieLens-100k of EASE and what it is compared with: python benchmarks/ranking.py [--json] [--seeds N]

Protocol (worlds.recommend): what counts is a rating of 4 or 5. Each seed holds back a fifth of every user's items,
rounded, and at least one where there are two; the models are told the rest, rank for every user the items that the user
is not known to have, and are measured by NDCG of the first 20, each held back item counting alike. The mean is over
users who hold something back, the interval (Student's, 95%) over seeds, each of which is another split. "seconds" is
one split: telling, solving and ranking for all. The peers' figures were measured with programs of our own elsewhere, on
one split. The data are fetched on first use (2 MB).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from loopwright.claims.playing import value
from loopwright.core.statistics import t_interval
from loopwright.worlds.recommend import Recommend

# Name, recipe, options, the figure measured elsewhere.
ROWS: tuple[tuple[str, str, dict[str, Any], float | None], ...] = (
    ("popularity", "popularity", {}, 0.174),
    ("item kNN, 20 neighbours", "item-knn", {"neighbours": 20}, 0.275),
    ("item kNN, 100 neighbours", "item-knn", {"neighbours": 100}, None),
    ("PureSVD, rank 16", "pure-svd", {"rank": 16}, 0.319),
    ("PureSVD, rank 32", "pure-svd", {"rank": 32}, None),
    ("EASE, ridge 200", "ease", {"ridge": 200.0}, 0.339),
    ("EASE, ridge 500", "ease", {"ridge": 500.0}, None),
)


def measured(world: Recommend, slug: str, options: dict[str, Any], seeds: range) -> dict[str, float]:
    found, seconds = [], []
    for seed in seeds:
        began = time.perf_counter()
        found.append(value(world, slug, options, metric="score", seed=seed, steps=world.steps))
        seconds.append(time.perf_counter() - began)
    low, high = t_interval(found)
    return {
        "ndcg": round(statistics.fmean(found), 4), "low": round(low, 4), "high": round(high, 4),
        "seconds": round(statistics.median(seconds), 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seeds", type=int, default=10, help="how many splits")
    parser.add_argument("--first-seed", type=int, default=200)
    given = parser.parse_args()
    world, seeds = Recommend(), range(given.first_seed, given.first_seed + given.seeds)
    rows = {name: {**measured(world, slug, o, seeds), "elsewhere": peer} for name, slug, o, peer in ROWS}
    if given.json:
        print(json.dumps({"benchmark": "ranking", "seeds": list(seeds), "rows": rows}))
        return
    print(f"{'':26} NDCG@20  95% interval      seconds  elsewhere   ({len(seeds)} splits)")
    for name, row in rows.items():
        peer = "" if row["elsewhere"] is None else f"{row['elsewhere']:.3f}"
        print(f"{name:26} {row['ndcg']:.4f}   {row['low']:.4f} to {row['high']:.4f}  {row['seconds']:7.2f}  {peer}")


if __name__ == "__main__":
    main()
