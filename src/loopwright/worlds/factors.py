"""Logistic matrix factorisation: how likely a user likes an item, by a few factors of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_RATE, _DECAY, _EPOCHS, _BATCH = 0.05, 0.05, 15, 512


class Factors(NamedTuple):
    users: np.ndarray  # [users, d]
    items: np.ndarray  # [items, d]
    user_bias: np.ndarray  # [users]
    item_bias: np.ndarray  # [items]
    bias: float

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """[n] probabilities, of pairs by number; of a user or item without a label, by the other alone."""
        dots = (self.users[users] * self.items[items]).sum(axis=1)
        return sigmoid(self.bias + self.user_bias[users] + self.item_bias[items] + dots)


def factorise(
    users: np.ndarray, items: np.ndarray, liked: np.ndarray, shape: tuple[int, int], *, dimensions: int, seed: int
) -> Factors:
    """Fitted to labels ``liked`` [n], 0 or 1, of pairs, by stochastic gradients with decay. shape: (users, items).

    Koren, Bell and Volinsky, Computer 42(8), 2009, with a logistic loss.
    """
    rng = np.random.default_rng(seed % 2**64)
    u, v = (0.1 * rng.standard_normal((count, dimensions)) for count in shape)
    # Who has no label keeps no factors, rather than those that were drawn to begin with.
    u[np.setdiff1d(np.arange(shape[0]), users)] = 0.0
    v[np.setdiff1d(np.arange(shape[1]), items)] = 0.0
    of_user, of_item = np.zeros(shape[0]), np.zeros(shape[1])
    share = min(max(float(liked.mean()), 1e-3), 1.0 - 1e-3)
    bias = float(np.log(share / (1.0 - share)))
    for _ in range(_EPOCHS):
        for some in np.array_split(rng.permutation(len(liked)), max(1, len(liked) // _BATCH)):
            a, b = users[some], items[some]
            off = sigmoid(bias + of_user[a] + of_item[b] + (u[a] * v[b]).sum(axis=1)) - liked[some]
            to_u, to_v = off[:, None] * v[b] + _DECAY * u[a], off[:, None] * u[a] + _DECAY * v[b]
            np.add.at(u, a, -_RATE * to_u)
            np.add.at(v, b, -_RATE * to_v)
            np.add.at(of_user, a, -_RATE * (off + _DECAY * of_user[a]))
            np.add.at(of_item, b, -_RATE * (off + _DECAY * of_item[b]))
            bias -= _RATE * float(off.mean())
    return Factors(u, v, of_user, of_item, bias)


def sigmoid(x: np.ndarray | float) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(x))))
