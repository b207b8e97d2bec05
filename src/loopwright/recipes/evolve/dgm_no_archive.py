"""The Darwin Gödel Machine without its archive: the agent edits itself again and again, and only its last version goes on.

Zhang et al., arXiv:2505.22954, the ablation without open-ended exploration. A row of ``dgm``: the parent is always the latest
version that is valid and can still edit, whether or not it got better by it, and it has one child at a time, as in the
authors' code. ``parent`` "best" climbs instead: a version that is not better is left. What goes before the gate is the best
version that was met, as with the archive.
"""

from loopwright.core.registry import row

dgm_no_archive = row(
    "loopwright.recipes.evolve.dgm:dgm", name="dgm_no_archive", module=__name__, paper="arXiv:2505.22954", baseline=True,
    parent="latest", children=1,
)  # fmt: skip
