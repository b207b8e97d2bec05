"""A recommender in use: what the model may know, what follows in time, and what a memory of errors makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopwright.core.errors import InputError
from loopwright.core.feedback import Signal
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial
from loopwright.worlds.deployed import CODE, Deployed, _in_turn
from loopwright.worlds.factors import factorise
from loopwright.worlds.ratings import read_ratings

HEAD = "user_id\titem_id\trating\ttimestamp\n"


def table(folder: Path, rows: list[tuple[int, int, int, int]], head: str = HEAD) -> str:
    path = folder / "ratings.tsv"
    path.write_text(head + "".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def visits(users: int, items: int) -> list[tuple[int, int, int, int]]:
    """User after user rates all items; the first half of the items is liked. The file is in the opposite order."""
    return [(u, i, 5 if i < items // 2 else 1, u * items + i) for u in range(users) for i in range(items)][::-1]


def test_times_are_read_and_wrong_ones_named_by_line(tmp_path: Path) -> None:
    assert read_ratings(table(tmp_path, visits(2, 2)), low=1, high=5).times.tolist() == [3, 2, 1, 0]
    path = tmp_path / "bad.tsv"
    path.write_text(HEAD + "1\t1\t5\tnoon\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"bad.tsv:2: a timestamp is a number, such as seconds, got 'noon'"):
        read_ratings(path, low=1, high=5)
    path.write_text("user_id\titem_id\trating\n1\t1\t5\n", encoding="utf-8")
    assert read_ratings(path, low=1, high=5).times.size == 0
    with pytest.raises(InputError, match="no column 'timestamp'"):
        Deployed(str(path))


def test_the_stream_follows_in_time_and_who_is_new_is_known_by_the_item(tmp_path: Path) -> None:
    world = Deployed(table(tmp_path, visits(20, 10)), steps=100, share=1.0, dimensions=2)
    contexts: list[Any] = [world.context(3, t) for t in range(100)]
    liked = [world.respond(3, t, Trial(id="x", proposal=0.5)) for t in range(100)]
    assert [s.value for s in liked if isinstance(s, Signal)] == ([1.0] * 5 + [0.0] * 5) * 10
    predicted = np.array([c["predicted"] for c in contexts]).reshape(10, 10)
    assert np.ptp(predicted, axis=0).max() == 0.0, "ten users of whom nothing was known"
    assert (predicted[:, :5] > 0.6).all() and (predicted[:, 5:] < 0.4).all()
    codes = np.array([c["features"][:CODE] for c in contexts]).reshape(10, 10, CODE)
    assert np.ptp(codes, axis=1).max() == 0.0 and np.allclose(np.linalg.norm(codes, axis=2), 1.0)
    with pytest.raises(InputError, match="leave 100 steps; steps=101"):
        Deployed(table(tmp_path, visits(20, 10)), steps=101, share=1.0).context(0, 0)


def test_users_in_turn_keep_their_own_order() -> None:
    users = np.array([4, 4, 4, 7, 7, 1, 1])
    assert _in_turn(users, 1) == [0, 1, 2, 3, 4, 5, 6]
    assert _in_turn(users, 2) == [0, 3, 1, 4, 2, 5, 6]
    assert sorted(_in_turn(users, 9)) == list(range(7))


def test_factors_tell_apart_what_biases_cannot() -> None:
    users, items = (a.ravel() for a in np.meshgrid(np.arange(30), np.arange(30)))
    liked = ((users + items) % 2 == 0).astype(float)
    model = factorise(users, items, liked, (31, 31), dimensions=4, seed=0)
    assert ((model.predict(users, items) > 0.5) == (liked > 0.5)).mean() > 0.95
    assert not model.users[30].any() and not model.items[30].any()


def test_one_cell_is_the_faded_mean_of_the_latest_errors() -> None:
    session = Session(get_recipe("reloop2")(bits=0, tables=3, keep=0.5, prior=1.0), {"dimensions": 2})
    for happened, features in ((1.0, [1.0, 0.0]), (0.0, [0.0, -1.0])):
        trial = session.ask({"predicted": 0.6, "features": features})
        session.tell(Signal(event="liked", value=happened, about=trial.id))
    off = (0.5 * 0.4 - 0.6) / (0.5 + 1.0 + 1.0)
    assert session.ask({"predicted": 0.5, "features": [1.0, 1.0]}).proposal == pytest.approx(0.5 + off)


def test_errors_come_back_near_where_they_were_made() -> None:
    session = Session(get_recipe("reloop2")(), {"dimensions": 3})
    for _ in range(20):
        trial = session.ask({"predicted": 0.2, "features": [1.0, 0.0, 0.0]})
        session.tell(Signal(event="liked", value=1.0, about=trial.id))
    near, far = (session.ask({"predicted": 0.2, "features": [x, 0.1, 0.0]}).proposal for x in (1.0, -1.0))
    assert isinstance(near, float) and near > 0.6 and far == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (None, "a context is"),
        ({"predicted": 1.2, "features": [0.0, 1.0]}, "from 0 to 1"),
        ({"predicted": 0.5, "features": [1.0]}, "features are 2 finite numbers"),
        ({"predicted": 0.5, "features": [1.0, float("nan")]}, "features are 2 finite numbers"),
    ],
)
def test_what_is_no_prediction_is_refused(context: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Session(get_recipe("reloop2")(), {"dimensions": 2}).ask(context)


def test_a_value_that_is_no_share_is_refused_and_the_trial_stays_open() -> None:
    session = Session(get_recipe("reloop2")(), {"dimensions": 2})
    trial = session.ask({"predicted": 0.5, "features": [0.0, 1.0]})
    with pytest.raises(InputError, match="what happened, 1 or 0"):
        session.tell(Signal(event="rated", value=4.0, about=trial.id))
    assert trial.id in session.open


@pytest.mark.parametrize("name", ["turn", "steps", "together", "dimensions"])
def test_a_stream_of_nothing_is_refused(name: str) -> None:
    none: dict[str, Any] = {name: 0}
    with pytest.raises(InputError, match=f"{name}: expected a whole number of at least 1, got 0"):
        Deployed("drawn", **none)
