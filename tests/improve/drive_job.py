"""One process that drives a job as the command line does. Argument: JSON with ``do`` (improve or resume) and arguments.

The result goes to standard output as JSON; an error to standard error, with its own exit code.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time

from loopwright.cli.interrupts import run_job
from loopwright.core.errors import LoopwrightError
from loopwright.core.types import Budget
from loopwright.improve.job import resume_improve, run_improve


def main(given: dict) -> int:
    if "largest_file" in given:
        limit = given.pop("largest_file")
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if given.pop("jumping_clock", False):
        real, rng = time.time, random.Random(3)
        time.time = lambda: real() + rng.uniform(-1e6, 1e6)  # eleven days back or forth at every look
    do = {"improve": run_improve, "resume": resume_improve}[given.pop("do")]
    if "budget" in given:
        given["budget"] = Budget(**given["budget"])
    try:
        result = run_job(do(**given))
    except LoopwrightError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
