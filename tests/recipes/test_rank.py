"""Rankings: EASE against the definition it solves, and queries that move without the bias of places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopwright.blocks import item_model, tables
from loopwright.core.errors import InputError
from loopwright.core.feedback import Signal
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe

ROWS = [[0, 1, 2], [0, 1], [2, 3], [1, 2, 3], [4, 0]]


def taught(slug: str, **options: Any) -> Session:
    session = Session(get_recipe(slug)(**options), {"items": 5, "shown": 5})
    for user, row in enumerate(ROWS):
        trial = session.ask({"user": str(user), "history": []})
        session.tell(Signal(event="taken", items=tuple(str(i) for i in row), about=trial.id))
    return session


def test_ease_solves_its_ridge_regressions() -> None:
    state = taught("ease").state
    x = np.zeros((len(ROWS), 5))
    for user, row in enumerate(ROWS):
        x[user, row] = 1.0
    assert (item_model.pairs(state.rows, 5) == x.T @ x).all()
    expected = np.zeros((5, 5))
    for j in range(5):
        others = [i for i in range(5) if i != j]
        part = x[:, others]
        expected[others, j] = np.linalg.solve(part.T @ part + 2.0 * np.eye(4), part.T @ x[:, j])
    for history in ([0], [2, 3], [1, 4]):
        shown: Any = taught("ease", ridge=2.0).ask(history).proposal
        scores = expected[history].sum(axis=0)
        assert set(shown) == set(range(5)) - set(history)
        assert np.diff(scores[shown]) == pytest.approx(np.minimum(np.diff(scores[shown]), 0.0)), "best first"


@pytest.mark.parametrize("slug", ["ease", "item-knn", "pure-svd", "popularity"])
def test_who_has_nothing_gets_what_is_popular(slug: str) -> None:
    shown: Any = taught(slug).ask(None).proposal
    assert shown == [0, 1, 2, 3, 4]


def test_a_user_who_comes_back_is_one_row() -> None:
    session = taught("ease")
    trial = session.ask({"user": "4", "history": [4, 0]})
    session.tell(Signal(event="taken", items=("3",), about=trial.id))
    assert len(session.state.rows) == len(ROWS)
    assert session.state.rows["4"].tolist() == [0, 3, 4]


def test_the_matrix_is_of_the_last_refresh() -> None:
    session = taught("ease", refresh=4)
    assert (len(session.state.rows), len(session.state.solved)) == (5, 4)


@pytest.mark.parametrize("context", [{"history": "3"}, {"history": [1.5]}, [7], {"history": [0], "user": 3}, "ann"])
def test_bad_histories_are_refused(context: Any) -> None:
    with pytest.raises(InputError, match=r"items here are 0 to 4|a context is what the user has"):
        taught("ease").ask(context)


def test_an_item_that_is_not_there_leaves_the_trial_open() -> None:
    session = taught("ease")
    trial = session.ask(None)
    with pytest.raises(InputError, match="items here are 0 to 4, got 'film'"):
        session.tell(Signal(event="taken", items=("film",), about=trial.id))
    assert trial.id in session.open


def clicked(slug: str, shown: int = 8, lists: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """(by what a query moved, the sum of the documents that it is after) for lists that the place biases."""
    rng = np.random.default_rng(1)
    documents = rng.standard_normal((shown, 4))
    session = Session(get_recipe(slug)(), {"documents": documents.tolist(), "shown": shown})
    wanted = {1, 4, 6}
    for _ in range(lists):
        trial = session.ask({"query": [0.0] * 4, "id": "q"})
        ranking: Any = trial.proposal
        seen = [d for rank, d in enumerate(ranking, 1) if rng.random() < 1 / rank and d in wanted]
        session.tell(Signal(event="click", items=tuple(str(d) for d in seen), about=trial.id))
    pull = tables.get(session.state.queries, "q")[2]
    return pull[:-1] / pull[-1], documents[sorted(wanted)].sum(axis=0)


def test_counterfactual_rocchio_is_unbiased_and_click_rocchio_is_not() -> None:
    moved, right = clicked("corocchio")
    assert moved == pytest.approx(right, abs=0.25)
    moved, right = clicked("click-rocchio")
    assert np.abs(moved - right).max() > 0.3


def test_a_query_never_logged_moves_by_its_nearest() -> None:
    documents = np.eye(3)
    session = Session(get_recipe("corocchio")(near=1), {"documents": documents.tolist(), "shown": 3})
    trial = session.ask({"query": [0.1, 0.0, 0.0], "id": "a"})
    session.tell(Signal(event="click", items=("2",), propensities=(0.5,), about=trial.id))
    assert session.ask({"query": [0.1, 0.0, 0.0], "id": "b"}).proposal[0] == 2  # type: ignore[index]
    trial = session.ask({"query": [1.0, 0.0, 0.0], "id": "c"})
    with pytest.raises(InputError, match="items here are 0 to 2"):
        session.tell(Signal(event="click", items=("9",), propensities=(0.5,), about=trial.id))
    with pytest.raises(InputError, match="clicked on 9, which the list did not hold"):
        session.tell(Signal(event="click", items=("9",), about=trial.id))
    with pytest.raises(InputError, match="3 finite numbers"):
        session.ask({"query": [1.0], "id": "d"})
