"""Counterfactual Rocchio: a query moves towards what was clicked, the more the less the place of a click is looked at.

Zhuang, Li and Zuccon, "Implicit feedback for dense passage retrieval: a counterfactual approach", arXiv:2204.00718. A
query and its documents are vectors, ranked by inner product. The query becomes ``keep`` times itself plus ``move``
times the mean, over the times its list was shown, of the sum of the clicked documents, each divided by the probability
that its place was looked at, rank to the power of -``eta``. That is unbiased: on average every relevant document counts
alike, wherever it stood. Without the division (``debias=False``, the row ``click-rocchio``) the top of the list pulls
the query to itself. A query that was never logged moves by the mean of what the ``near`` logged queries nearest to it
(by inner product) move by. The weights .4 and .6, near = 3 and eta = 1 are those of the authors' program.

A world tells ``documents``, [[...], ...], and ``shown``. A context is {"query": [...], "id": "q7"}; without an id the
vector itself is the name. Feedback is a Signal whose ``items`` were clicked, with ``propensities`` where the world
knows them better than eta.

How this differs: the paper moves a query once, by a log that the unmoved query made; here every list is shown by what
the log has come to so far, and with ``after`` above 1 the query moves only from that many lists on. What is not shown
cannot be clicked, which no weight repairs, here as there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import arms, tables
from loopwright.blocks.item_model import number
from loopwright.blocks.tables import Table
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Signal
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Logged(NamedTuple):
    documents: np.ndarray  # [documents, d]
    shown: int
    logged: int  # how many queries
    queries: Table  # by name: (number in the order of arrival, the query [d] as it came last, its pull)

    @classmethod
    def of_format(cls, values: Sequence[Any], format: int) -> Logged:
        """Of a snapshot of format 1, which held queries and pulls apart."""
        documents, shown, queries, pulls = values
        known: Table = {}
        for arrived, name in enumerate(queries):
            known = tables.put(known, name, (arrived, queries[name], pulls[name]))
        return cls(documents, shown, len(queries), known)


# A pull, [d + 1], is the sum of what was clicked, weighted, and how often a list was shown.


@learner(paper="arXiv:2204.00718", improves="query", learns_from=("signal",))
def corocchio(
    *,
    eta: Annotated[float, Field(ge=0.0)] = 1.0,
    keep: float = 0.4,
    move: float = 0.6,
    near: Annotated[int, Field(gt=0)] = 3,
    after: Annotated[int, Field(gt=0)] = 1,
    debias: bool = True,
) -> Learner:
    def init(spec: Mapping[str, JsonValue]) -> Logged:
        documents = np.asarray(spec.get("documents"), dtype=float)
        if documents.ndim != 2 or len(documents) < 2 or not np.isfinite(documents).all():
            raise InputError("the specification must say 'documents': a list of at least two lists of as many finite numbers")
        return Logged(documents, arms.number_of(spec, "shown"), 0, {})

    def ask(state: Logged, context: Any, rng: np.random.Generator) -> Trial:
        name, query = read(context, state.documents.shape[1])
        moved = keep * query + move * pull(state, name, query)
        order = np.argsort(-(state.documents @ moved), kind="stable")[: state.shown]
        return Trial(id="", proposal=[int(i) for i in order], propensity=1.0)

    def pull(state: Logged, name: str, query: np.ndarray) -> np.ndarray:
        """[d] of a query's own clicks, or of those of its nearest."""
        own = tables.get(state.queries, name)
        if own is not None:
            pulls = [own[2]]
        else:
            others = tables.values(state.queries)
            alike = np.array([query @ other for _, other, _ in others] if len(others) > near else np.zeros(len(others)))
            nearest = np.lexsort(([arrived for arrived, _, _ in others], -alike))[:near]
            pulls = [others[i][2] for i in nearest]
        kept = [pulled for pulled in pulls if pulled[-1] >= after]
        means = [one[:-1] / one[-1] for one in kept]
        return np.asarray(np.mean(means, axis=0)) if means else np.zeros(len(query))

    def tell(state: Logged, trial: Trial, feedback: Feedback) -> Logged:
        if not isinstance(feedback, Signal):
            return state
        name, query = read(trial.context, state.documents.shape[1])
        pulled = np.zeros(len(query) + 1)
        pulled[-1] = 1.0
        for item, looked_at in zip(feedback.items, examined(trial, feedback), strict=True):
            weight = 1.0 / looked_at if debias else 1.0
            pulled[:-1] += weight * state.documents[number(item, len(state.documents))]
        arrived, _, before = tables.get(state.queries, name) or (state.logged, query, np.zeros(len(pulled)))
        queries = tables.put(state.queries, name, (arrived, query, before + pulled))
        return state._replace(logged=max(state.logged, arrived + 1), queries=queries)

    def examined(trial: Trial, feedback: Signal) -> tuple[float, ...]:
        """The probability that the place of each clicked document was looked at."""
        if feedback.propensities or not debias:
            return feedback.propensities or (1.0,) * len(feedback.items)
        ranks = {str(item): rank for rank, item in enumerate(trial.proposal, 1)}  # type: ignore[arg-type]
        strange = [item for item in feedback.items if item not in ranks]
        if strange:
            raise InputError(f"clicked on {', '.join(strange)}, which the list did not hold; without a place, give propensities")
        return tuple(ranks[item] ** -eta for item in feedback.items)

    return Learner(init, ask, tell)


def read(context: Any, d: int) -> tuple[str, np.ndarray]:
    """(name, vector [d]) of a query. Raises InputError for what is none."""
    given = context.get("query") if isinstance(context, Mapping) else context
    query = np.asarray(given if isinstance(given, list | tuple | np.ndarray) else [], dtype=float)
    if query.shape != (d,) or not np.isfinite(query).all():
        raise InputError(f'a context is a query, {{"query": [{d} finite numbers], "id": "q7"}}, or the numbers; got {context!r}')
    name = context.get("id") if isinstance(context, Mapping) else None
    return (name if isinstance(name, str) and name else hashlib.sha256(query.tobytes()).hexdigest()[:16]), query
