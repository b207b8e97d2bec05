"""Retrieve, then read: documents are looked up with the question, and the model answers with them.

The baseline of ReFeed (Yu et al., arXiv:2305.14002): ``refeed`` without a first answer, so that the question alone is looked up,
one answer is made, and there is nothing to choose from.
"""

from loopwright.core.registry import row

retrieve_then_read = row(
    "loopwright.recipes.retrieve.refeed:refeed", name="retrieve_then_read", module=__name__, paper="arXiv:2305.14002",
    baseline=True, answers=0, keep="refined", refine="These passages were found:\n\n{documents}\n\nAnswer with their help.",
)  # fmt: skip
