"""What is said of proposals that were paid for and could not be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

_SHOWN = 3  # reasons


def unused_text(unused: Mapping[tuple[str, str], int]) -> str:
    """How many proposals could not be used and the commonest reasons; "" where all could.

    Args:
        unused: counts by (scope, reason).

    Returns:
        A clause that begins with "; ".
    """
    reasons: Counter[str] = Counter()
    for (_, reason), count in unused.items():
        reasons[reason] += count
    if not reasons:
        return ""
    total = reasons.total()
    parts = [f"{count} times: {reason}" for reason, count in reasons.most_common(_SHOWN)]
    parts += [f"{len(reasons) - _SHOWN} other reasons"] if len(reasons) > _SHOWN else []
    return f"; {total} proposal{'s' * (total > 1)} could not be used ({'; '.join(parts)})"
