"""What a forked run takes over from the run that it goes on from: recorded effects whose identity is the same in both."""

from __future__ import annotations

from loopwright.core.errors import UnknownName
from loopwright.core.identity import ENDED, Asked
from loopwright.core.model import Reply
from loopwright.core.store import RunRow, Store

# Their content is all that decides their result, whatever code asks for them.
_WHOLE = frozenset({"generate", "fit", "forward", "run", "tests"})
# Of the moment or of the run itself: decided anew.
_OF_THE_RUN = frozenset({"round", "measured", "server", "steps", ENDED})


class Inherited:
    """The record of a run's parent, its parent's, and so on; empty for a run that is no fork.

    The run's spec says whose fork it is: ``{"parent": {"run": ..., "code": ...}}``, where ``code`` tells that something changed
    which results of the user's own code may depend on; then only effects whose content says everything are taken over.

    taken: effects taken over so far.
    """

    def __init__(self, store: Store, run: RunRow) -> None:
        self.parents: dict[str, bool] = {}  # by id, the nearest first: whether the code is the same as here
        self.taken = 0
        self._store = store
        spec, same = run.spec, True
        while (parent := spec.get("parent")) and parent["run"] not in self.parents:
            try:
                row = store.run(str(parent["run"]))
            except UnknownName:  # it is gone: what was not taken over by now is done anew
                break
            same = same and not parent["code"]
            self.parents[row.id], spec = same, row.spec

    def take(self, asked: Asked) -> bytes | None:
        """The result that a parent recorded; None where none did, or where it may be another now."""
        if not self.parents or asked.kind in _OF_THE_RUN:
            return None
        for run, same in self.parents.items():
            if not same and asked.kind not in _WHOLE:
                continue
            row = self._store.effect(run, asked.key)
            if row is None or row.status != "done":
                continue
            self.taken += 1
            if asked.kind != "generate":
                return row.result
            reply = Reply.model_validate_json(row.result)
            if not reply.run:
                reply = reply.model_copy(update={"run": run})
            return reply.model_dump_json(exclude_defaults=True).encode()
        return None
