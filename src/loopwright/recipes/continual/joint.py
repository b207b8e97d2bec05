"""Joint training: everything that ever came is kept, and every step also goes over some of it.

The upper reference of continual learning where data may be kept without limit ("incremental joint training"). It too has a
stability gap (Hess, Tuytelaars and van de Ven, "Two complementary perspectives to continual learning", arXiv:2311.04898).

How this differs: a row of ``replay`` whose memory has no bound; one pass, not training anew on all data after each task.
"""

from loopwright.core.registry import row

joint = row(
    "loopwright.recipes.continual.replay:replay", name="joint", module=__name__, paper="arXiv:2311.04898", baseline=True,
    memory=None,
)  # fmt: skip
