"""The quick kernels against torch's own, and rows that go on from shared prompts against reading everything anew."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from loopwright.models import kernels  # noqa: E402
from loopwright.models.cache import BLOCK, Cache  # noqa: E402


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN")
@pytest.mark.parametrize("frozen", ["nothing", "x", "weight"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_product_of_onednn_has_the_values_and_gradients_of_torchs(monkeypatch, frozen, bias):
    monkeypatch.setattr(kernels, "onednn", lambda: True)
    given = {"x": random(4, 9, 24), "weight": random(40, 24)} | ({"bias": random(40)} if bias else {})
    out = {}
    for name, product in (("ours", kernels.linear), ("torch", torch.nn.functional.linear)):
        leaves = {n: t.clone().requires_grad_(n != frozen) for n, t in given.items()}
        value = product(**leaves)
        (value**2).sum().backward()
        out[name] = [value, *(t.grad for t in leaves.values() if t.requires_grad)]
    for ours, theirs in zip(*out.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("width", [1, 5])
def test_plain_attention_is_the_fused_one(monkeypatch, width):
    q, k, v = random(3, 6, width, 8), random(3, 2, 9, 8), random(3, 2, 9, 8)
    mask = torch.zeros(3, 1, width, 9).masked_fill_(
        torch.arange(9) < torch.tensor([0, 2, 4])[:, None, None, None], float("-inf")
    )
    out = {}
    for plain in (True, False):
        monkeypatch.setattr(kernels, "plain", lambda q, reach, plain=plain: plain)
        out[plain] = kernels.attention(q, k, v, mask)
    torch.testing.assert_close(out[True], out[False])


def test_rows_of_unequal_groups_attend_to_their_own_prompt_and_what_they_wrote():
    """More columns than a block, rows that leave unevenly, a prompt that loses all of its rows."""
    copies, pad, width, shared = [3, 1, 2], torch.tensor([0, 2, 1]), 7, 3
    groups, share, size = 2, 3, 4
    keys, values = random(3, groups, width, size), random(3, groups, width, size) + 1
    cache = Cache(pad, width, copies, groups, size, torch.float32, shared)
    cache.start(keys, values)
    owner = [0, 0, 0, 1, 2, 2]
    seen = []
    for p in owner:
        hidden = [shared <= c < shared + int(pad[p]) for c in range(width)]
        keep = torch.tensor([not h for h in hidden])
        seen.append((keys[p][:, keep], values[p][:, keep]))
    assert cache.positions.tolist() == [7, 7, 7, 5, 6, 6]
    for step in range(2 * BLOCK + 3):
        if step in (2, BLOCK + 1):
            kept = [0, 2, 3, 4] if step == 2 else [1, 3]  # then prompt 1 has no row any more
            cache.select(torch.tensor(kept))
            seen = [seen[i] for i in kept]
        rows = len(seen)
        q, k, v = (
            random(rows, groups * share, 1, size),
            random(rows, groups, 1, size) + step,
            random(rows, groups, 1, size) - step,
        )
        cache.open()
        got = cache.attend(0, q, k, v)
        cache.close()
        seen = [(torch.cat([a, k[i]], dim=1), torch.cat([b, v[i]], dim=1)) for i, (a, b) in enumerate(seen)]
        for i, (a, b) in enumerate(seen):
            wanted = torch.nn.functional.scaled_dot_product_attention(q[i].view(groups, share, size), a, b)
            torch.testing.assert_close(got[i, 0], wanted.reshape(-1), rtol=1e-4, atol=1e-4)
