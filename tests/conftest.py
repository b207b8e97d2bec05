"""Settings of all tests."""

from hypothesis import settings

# A shared machine can be slow for a moment; how long one example takes says nothing of whether it is right.
settings.register_profile("loopwright", deadline=None)
settings.load_profile("loopwright")
