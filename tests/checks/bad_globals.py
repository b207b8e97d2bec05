"""Recipes with a clock and with memory that outlives the run: no-clock-no-globals must say so."""

import time

import numpy as np
from bad_recipes import best, good

SEEN = {}
COUNT = 0


@good()
async def looks_at_the_clock(example, ctx):
    time.monotonic()
    return await best(example, ctx)


def forbidden(ctx):
    global COUNT
    COUNT += 1
    return [np.random.rand(), np.random.default_rng(), hash("x"), ctx.engine, ctx._critics]
