"""Rows as SQL: plain text and tuples, because a query builder costs more per row than the row itself.

The last column of every row is the checksum of the others, ``codec.checksum``.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loopwright.core.errors import InputError
from loopwright.core.feedback import Cost
from loopwright.core.secrets import mask
from loopwright.core.store import (
    CacheRow,
    CandidateRow,
    EffectRow,
    EventRow,
    FeedbackRow,
    Recorded,
    RolloutRow,
    Row,
    RunRow,
)
from loopwright.store.codec import checksum, dump, finite, name, text, unname, untext
from loopwright.store.pieces import join, split
from loopwright.store.redaction import redact, refuse_key

Values = tuple[Any, ...]
Work = dict[str, list[Values]]
Strings = Mapping[bytes, bytes]  # by digest, as ``pieces`` cut them out

RUN = "id, spec, spec_hash, code_version, seed, status, budget, reason, created, updated, seconds"
EFFECT = (
    "run, key, scope, kind, content, ordinal, status, summary, result, "
    "calls, prompt_tokens, completion_tokens, seconds, money, error, attempt"
)
CACHE = "key, value, run, model, system_fingerprint, time"
CANDIDATE = 'run, hash, data, "by", round'
ROLLOUT = "run, id, candidate, example, split, round, replicate, score, data"
FEEDBACK = "run, idempotency, target, kind, rater, rater_kind, data"
EVENT = "run, type, payload, key, seq, time"


def _insert(table: str, columns: str, conflict: str) -> str:
    marks = ", ".join("?" for _ in range(columns.count(",") + 2))
    return f"INSERT INTO {table} ({columns}, sum) VALUES ({marks}) ON CONFLICT {conflict}"


_CHANGED = ", ".join(f"{column} = excluded.{column}" for column in (*EFFECT.split(", ")[2:], "sum"))

INSERT_RUN = _insert("run", RUN, "(id) DO NOTHING")
UPDATE_RUN = "UPDATE run SET status = ?, reason = ?, updated = ?, seconds = coalesce(?, seconds) WHERE id = ?"
SUM_RUN = f"UPDATE run SET sum = checksum({RUN}) WHERE id = ?"  # after UPDATE_RUN, in the same transaction
# Fails where the run is no longer there: rows that nothing leads to would pass for damage.
REFUSE_GONE = "INSERT INTO tally SELECT ?1, NULL, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM run WHERE n = ?1)"
GONE = "NOT NULL constraint failed: tally.part"  # what SQLite then says
# The string is compressed only where it is not there yet.
INSERT_VALUE = "INSERT INTO value (digest, data) SELECT ?1, pack(?2) WHERE NOT EXISTS (SELECT 1 FROM value WHERE digest = ?1)"
# A result that has been paid for is never dropped: "done" replaces anything but "done", whatever its attempt.
INSERT_EFFECT = _insert(
    "effect",
    EFFECT,
    f"(run, key) DO UPDATE SET {_CHANGED} WHERE effect.status = 'open' OR "
    "(effect.status = 'failed' AND (excluded.status = 'done' OR excluded.attempt > effect.attempt))",
)
# The newest run's reply is kept: an older one may be of other weights. Within one run the first stands.
INSERT_CACHE = _insert(
    "cache",
    CACHE,
    "(key) DO UPDATE SET value = excluded.value, run = excluded.run, model = excluded.model, "
    "system_fingerprint = excluded.system_fingerprint, time = excluded.time, sum = excluded.sum WHERE cache.run <> excluded.run",
)
INSERT_CANDIDATE = _insert("candidate", CANDIDATE, "(run, hash) DO NOTHING")
# An attempt that had an error and was asked again when its run was resumed has a score now.
_JUDGED = ", ".join(f"{column} = excluded.{column}" for column in (*ROLLOUT.split(", ")[2:], "sum"))
INSERT_ROLLOUT = _insert(
    "rollout", ROLLOUT, f"(run, id) DO UPDATE SET {_JUDGED} WHERE rollout.score IS NULL AND excluded.score IS NOT NULL"
)
INSERT_FEEDBACK = _insert("feedback", FEEDBACK, "(run, idempotency) DO NOTHING")
# The number is taken in the same statement, so a duplicate takes none and there is no gap.
INSERT_EVENT = (
    f"INSERT INTO event ({EVENT}, sum) SELECT {EVENT}, checksum({EVENT}) FROM (SELECT ?1 AS run, ?2 AS type, ?3 AS payload, "
    "?4 AS key, coalesce(max(seq), 0) + 1 AS seq, ?5 AS time FROM event WHERE run = ?1) WHERE true "
    "ON CONFLICT (run, key) WHERE key <> '' DO NOTHING"
)


_masked: Callable[[str], str] = functools.lru_cache(1024)(redact)  # the row of a call that is begun and that of its answer


def _effect(row: EffectRow, run: int, result: bytes) -> Values:
    cost = row.cost
    return (
        run, name(row.key), text(row.scope), text(row.kind), name(row.content), int(row.ordinal), row.status,
        text(_masked(row.summary)), result, cost.calls, cost.prompt_tokens, cost.completion_tokens,
        _real(cost.seconds), _real(cost.money), text(redact(row.error)) if row.error else "", int(row.attempt),
    )  # fmt: skip


def _cache(row: CacheRow, value: bytes) -> Values:
    time = finite(row.time, "a reply's time") or 0.0
    return name(row.key), value, name(row.run), text(row.model), text(row.system_fingerprint), _real(time)


def _candidate(row: CandidateRow, run: int, data: bytes) -> Values:
    return run, name(row.hash), data, text(row.by), int(row.round)


def _rollout(row: RolloutRow, run: int, data: bytes) -> Values:
    score = finite(row.score, "a rollout's score")
    return (
        run, name(row.id), name(row.candidate), text(row.example), text(row.split), int(row.round), int(row.replicate),
        None if score is None else _real(score), data,
    )  # fmt: skip


def _feedback(row: FeedbackRow, run: int, data: bytes) -> Values:
    return run, name(row.idempotency), name(row.target), text(row.kind), text(row.rater), text(row.rater_kind), data


def _event(row: EventRow, run: int) -> Values:
    payload = dump(redact(row.payload), "an event's payload")
    return run, text(row.type), text(payload), text(row.key), _real(finite(row.time, "an event's time") or time.time())


def _real(number: float) -> float:
    """As SQLite gives it back: it keeps whole numbers of a REAL column without their sign of zero."""
    return float(number) + 0.0


def _raw(row: Row) -> bytes:
    """The one value of a row that may be long."""
    if isinstance(row, EffectRow):
        return row.result
    if isinstance(row, CacheRow):
        return row.value
    if isinstance(row, CandidateRow):
        data = dump(row.data, "a candidate's data")
        return refuse_key(data, "a candidate").encode("utf-8", "surrogatepass")
    return b"" if isinstance(row, EventRow) else mask(row.data)


_ENCODERS: dict[type, tuple[str, Any]] = {
    EffectRow: (INSERT_EFFECT, _effect),
    CandidateRow: (INSERT_CANDIDATE, _candidate),
    RolloutRow: (INSERT_ROLLOUT, _rollout),
    FeedbackRow: (INSERT_FEEDBACK, _feedback),
}


def encode(rows: Sequence[Row], number: Callable[[str], int]) -> Work:
    """Statements with the tuples to run them on, in the order of the rows.

    Args:
        rows: to write.
        number: gives ``run.n`` by a run's id.

    Returns:
        The work for a ``writer.Writer``.

    Raises:
        InputError: a row is none, or holds what a store cannot keep.
    """
    work: Work = {}
    strings: dict[bytes, bytes] = {}
    runs: set[int] = set()
    last: tuple[bytes, bytes] = (b"", b"")  # a result and its reply in the cache are the same
    for row in rows:
        kind = type(row)
        if kind not in _ENCODERS and kind not in (CacheRow, EventRow):
            raise InputError(f"a store writes the rows of core.store, got {kind.__name__}")
        if isinstance(row, EventRow):
            runs.add(number(row.run))
            work.setdefault(INSERT_EVENT, []).append(_event(row, number(row.run)))
            continue
        raw = _raw(row)
        if raw != last[0]:
            stored, cut = split(raw)
            strings |= cut
            last = raw, stored
        if isinstance(row, CacheRow):
            statement, values = INSERT_CACHE, _cache(row, last[1])
        else:
            statement, encoder = _ENCODERS[kind]
            runs.add(number(row.run))
            values = encoder(row, number(row.run), last[1])
        work.setdefault(statement, []).append((*values, checksum(values)))
    if strings:
        work[INSERT_VALUE] = list(strings.items())
    if runs:
        work[REFUSE_GONE] = [(run,) for run in runs]
    return work


# ---- and back; ``run`` is the id of the run that the row's number means -----------------------------------------------


def cache_row(v: Values, strings: Strings) -> CacheRow:
    return CacheRow(unname(v[0]), join(v[1], strings), unname(v[2]), untext(v[3]), untext(v[4]), v[5])


def encode_run(row: RunRow) -> Values:
    values = (
        row.id, text(dump(row.spec, "a run's spec")), row.spec_hash, text(row.code_version), row.seed, row.status,
        text(dump(row.budget, "a run's budget")), text(row.reason), _real(row.created), _real(row.updated), _real(row.seconds),
    )  # fmt: skip
    return *values, checksum(values)


def run_row(v: Values) -> RunRow:
    return RunRow(
        id=v[0], spec=json.loads(untext(v[1])), spec_hash=v[2], code_version=untext(v[3]), seed=v[4], status=v[5],
        budget=json.loads(untext(v[6])), reason=untext(v[7]), created=v[8], updated=v[9], seconds=v[10],
    )  # fmt: skip


def effect_row(v: Values, run: str, strings: Strings | None) -> EffectRow:
    """strings: None leaves the result out."""
    cost = Cost(calls=v[9], prompt_tokens=v[10], completion_tokens=v[11], seconds=v[12], money=v[13])
    return EffectRow(
        run, unname(v[1]), untext(v[2]), untext(v[3]), unname(v[4]), v[5], v[6], untext(v[7]),
        b"" if strings is None else join(v[8], strings), cost, untext(v[14]), v[15],
    )  # fmt: skip


def recorded(v: Values, run: str, strings: Strings) -> Recorded:
    return Recorded(unname(v[1]), untext(v[2]), untext(v[3]), v[6], v[9], v[10], v[11], v[12], v[13])


def candidate_row(v: Values, run: str, strings: Strings) -> CandidateRow:
    data = json.loads(join(v[2], strings).decode("utf-8", "surrogatepass"))
    return CandidateRow(run, unname(v[1]), data, untext(v[3]), v[4])


def rollout_row(v: Values, run: str, strings: Strings) -> RolloutRow:
    return RolloutRow(
        run, unname(v[1]), unname(v[2]), untext(v[3]), untext(v[4]), v[5], v[6], v[7], join(v[8], strings)
    )  # fmt: skip


def feedback_row(v: Values, run: str, strings: Strings) -> FeedbackRow:
    return FeedbackRow(run, unname(v[1]), unname(v[2]), untext(v[3]), untext(v[4]), untext(v[5]), join(v[6], strings))


def event_row(v: Values, run: str, strings: Strings) -> EventRow:
    return EventRow(run, untext(v[1]), json.loads(untext(v[2])), untext(v[3]), v[4], v[5])
