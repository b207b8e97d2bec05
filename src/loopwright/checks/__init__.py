"""The conformance suite: what every recipe promises, and whether it keeps it. For your recipes as well as for ours.

    from loopwright.checks import check_recipe

    for result in check_recipe("my_package.my_module:my_recipe"):
        assert result.passed, result

A check is one function with one sentence. Recipes run on a toy world with a scripted model (``checks.toy``), so the whole
suite takes seconds for a recipe and needs neither weights nor a network.
"""

from loopwright.checks.suite import (
    ALL,
    RUNNING,
    Check,
    CheckResult,
    Failed,
    all_checks,
    check,
    check_recipe,
    run_checks,
)

__all__ = ["ALL", "RUNNING", "Check", "CheckResult", "Failed", "all_checks", "check", "check_recipe", "run_checks"]
