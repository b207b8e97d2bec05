"""A run spares the garbage collector what lives long, and the process is as it was when the last run ends."""

import gc

from loopwright.improve.session import rarely_collected


def test_the_collector_is_put_back_when_the_last_run_ends() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    first, second = rarely_collected(), rarely_collected()
    first.__enter__()
    during = gc.get_threshold()
    assert during[0] >= 10_000 and gc.get_freeze_count() > frozen
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold() == during  # another run goes on
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0
