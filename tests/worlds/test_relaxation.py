"""Linear systems solved by over-relaxation."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.core.errors import InputError
from loopwright.core.feedback import Score
from loopwright.core.types import Trial
from loopwright.recipes.online.tsallis_inf import chances
from loopwright.worlds.relaxation import TOLERANCE, Relaxation


def plainly(world: Relaxation, seed: int, t: int, omega: float) -> int:
    """Over-relaxation as books write it, unknown by unknown."""
    c, b = world._system(seed, t)
    a = world._laplacian + c * np.eye(len(b))
    x = np.zeros(len(b))
    for count in range(1, 10_000):
        for i in range(len(b)):
            x[i] += omega * (b[i] - a[i] @ x) / a[i, i]
        if np.linalg.norm(b - a @ x) < TOLERANCE * np.linalg.norm(b):
            return count
    raise AssertionError("it does not converge")


@pytest.mark.parametrize("omega", [1.0, 1.37, 1.8])
def test_iterations_are_those_of_the_method(omega: float) -> None:
    world = Relaxation(side=4)
    for t in range(3):
        assert world.iterations(5, t, omega) == plainly(world, 5, t, omega)


def test_youngs_parameter_is_hard_to_beat_and_depends_on_the_context() -> None:
    world = Relaxation(side=6)
    near, far = (max(range(40), key=lambda t, s=s: s * world.context(0, t)[0]) for s in (-1, 1))
    for t in (near, far):
        fixed = [world.iterations(0, t, float(omega)) for omega in np.linspace(1.0, 1.95, 39)]
        assert world.iterations(0, t, world.best(0, t)) <= 1.15 * min(fixed)
    assert world.best(0, near) > world.best(0, far) + 0.2
    assert -1.0 <= world.context(0, near)[0] < world.context(0, far)[0] <= 1.0


def test_the_score_is_minus_the_iterations_and_a_cap_cuts() -> None:
    world = Relaxation(side=4, cap=12)
    slow = world.respond(0, 0, Trial(id="a", proposal=0))
    assert isinstance(slow, Score) and (slow.value, slow.status) == (-12, "censored")
    free = Relaxation(side=4)
    told = free.respond(0, 0, Trial(id="a", proposal=14))
    assert isinstance(told, Score) and -told.value == free.iterations(0, 0, float(free.grid[14]))


@pytest.mark.parametrize("highest", [1.0, 2.0, 2.5])
def test_a_parameter_with_which_nothing_converges_is_refused(highest: float) -> None:
    with pytest.raises(InputError, match="above 1 and below 2"):
        Relaxation(highest=highest)


@pytest.mark.parametrize("eta", [2.0, 0.3, 0.01])
def test_chances_of_tsallis_inf_solve_their_equation(eta: float) -> None:
    losses = np.array([0.0, 3.0, 3.0, 40.0, 1e6])
    p = chances(losses, eta)
    x = losses - 2 / (eta * np.sqrt(p))  # the same for all, as p = 4 / (eta (losses - x))^2
    assert np.allclose(x, x[0], rtol=1e-6) and p.sum() == pytest.approx(1.0)
    assert p[0] > p[1] == p[2] > p[3] > p[4] > 0
