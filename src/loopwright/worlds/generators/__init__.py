"""Small generative models of numbers (a diffusion model, a variational autoencoder, a regression) and worlds to use them in.

They are models like any other: sampled by ``ctx.rollout``, fitted by ``ctx.fit``. What they write are arrays instead of
words, so that methods for generators of pictures run under the same engine, budget and gate as those for language
models.
"""
