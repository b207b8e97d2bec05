"""A recipe that needs torch and does not say so: imports-without-torch must."""

from contextlib import suppress

from bad_recipes import best, good

with suppress(ModuleNotFoundError):  # absent is fine here; the check refuses it with another error
    import torch  # noqa: F401


@good()
async def needs_torch(example, ctx):
    return await best(example, ctx)
