"""Rows as SQL: plain text and tuples, because a query builder costs more per row than the row itself."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from loopwright.core.errors import InputError
from loopwright.core.feedback import Cost
from loopwright.core.store import CacheRow, CandidateRow, EffectRow, EventRow, FeedbackRow, RolloutRow, Row, RunRow
from loopwright.store.codec import dump, finite, pack, text, unpack, untext
from loopwright.store.redaction import redact

Values = tuple[Any, ...]
Work = dict[str, list[Values]]

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
    marks = ", ".join("?" for _ in columns.split(","))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT {conflict}"


_CHANGED = ", ".join(f"{name} = excluded.{name}" for name in EFFECT.split(", ")[2:])

INSERT_RUN = _insert("run", RUN, "(id) DO NOTHING")
UPDATE_RUN = "UPDATE run SET status = ?, reason = ?, updated = ?, seconds = coalesce(?, seconds) WHERE id = ?"
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
    "system_fingerprint = excluded.system_fingerprint, time = excluded.time WHERE cache.run <> excluded.run",
)
INSERT_CANDIDATE = _insert("candidate", CANDIDATE, "(run, hash) DO NOTHING")
INSERT_ROLLOUT = _insert("rollout", ROLLOUT, "(run, id) DO NOTHING")
INSERT_FEEDBACK = _insert("feedback", FEEDBACK, "(run, idempotency) DO NOTHING")
# The number is taken in the same statement, so a duplicate takes none and there is no gap.
INSERT_EVENT = (
    f"INSERT INTO event ({EVENT}) SELECT ?, ?, ?, ?, coalesce(max(seq), 0) + 1, ? FROM event WHERE run = ? "
    "ON CONFLICT (run, key) WHERE key <> '' DO NOTHING"
)


_masked: Callable[[str], str] = functools.lru_cache(1024)(redact)  # the row of a call that is begun and that of its answer


def _effect(row: EffectRow) -> Values:
    cost = row.cost
    return (
        text(row.run), text(row.key), text(row.scope), text(row.kind), text(row.content), row.ordinal, row.status,
        text(_masked(row.summary)), pack(row.result), cost.calls, cost.prompt_tokens, cost.completion_tokens,
        cost.seconds, cost.money, text(redact(row.error)) if row.error else "", row.attempt,
    )  # fmt: skip


def _cache(row: CacheRow) -> Values:
    return (
        text(row.key), pack(row.value), text(row.run), text(row.model), text(row.system_fingerprint),
        finite(row.time, "a reply's time") or 0.0,
    )  # fmt: skip


def _candidate(row: CandidateRow) -> Values:
    data = dump(row.data, "a candidate's data").encode("utf-8", "surrogatepass")
    return text(row.run), text(row.hash), pack(data), text(row.by), row.round


def _rollout(row: RolloutRow) -> Values:
    return (
        text(row.run), text(row.id), text(row.candidate), text(row.example), text(row.split), row.round,
        row.replicate, finite(row.score, "a rollout's score"), pack(row.data),
    )  # fmt: skip


def _feedback(row: FeedbackRow) -> Values:
    return (
        text(row.run), text(row.idempotency), text(row.target), text(row.kind), text(row.rater),
        text(row.rater_kind), pack(row.data),
    )  # fmt: skip


def _event(row: EventRow) -> Values:
    run = text(row.run)
    payload = dump(redact(row.payload), "an event's payload")
    return run, text(row.type), text(payload), text(row.key), finite(row.time, "an event's time") or time.time(), run


_ENCODERS: dict[type, tuple[str, Any]] = {
    EffectRow: (INSERT_EFFECT, _effect),
    CacheRow: (INSERT_CACHE, _cache),
    CandidateRow: (INSERT_CANDIDATE, _candidate),
    RolloutRow: (INSERT_ROLLOUT, _rollout),
    FeedbackRow: (INSERT_FEEDBACK, _feedback),
    EventRow: (INSERT_EVENT, _event),
}


def encode(rows: Sequence[Row]) -> Work:
    """Statements with the tuples to run them on, in the order of the rows. Raises InputError."""
    work: Work = {}
    for row in rows:
        try:
            statement, encoder = _ENCODERS[type(row)]
        except KeyError:
            raise InputError(f"a store writes the rows of core.store, got {type(row).__name__}") from None
        work.setdefault(statement, []).append(encoder(row))
    return work


def cache_row(v: Values) -> CacheRow:
    return CacheRow(
        key=untext(v[0]), value=unpack(v[1]), run=untext(v[2]), model=untext(v[3]), system_fingerprint=untext(v[4]), time=v[5]
    )


def encode_run(row: RunRow) -> Values:
    return (
        row.id, text(dump(row.spec, "a run's spec")), row.spec_hash, text(row.code_version), row.seed, row.status,
        text(dump(row.budget, "a run's budget")), text(row.reason), row.created, row.updated, row.seconds,
    )  # fmt: skip


def run_row(v: Values) -> RunRow:
    return RunRow(
        id=v[0], spec=json.loads(untext(v[1])), spec_hash=v[2], code_version=untext(v[3]), seed=v[4], status=v[5],
        budget=json.loads(untext(v[6])), reason=untext(v[7]), created=v[8], updated=v[9], seconds=v[10],
    )  # fmt: skip


def effect_row(v: Values) -> EffectRow:
    cost = Cost(calls=v[9], prompt_tokens=v[10], completion_tokens=v[11], seconds=v[12], money=v[13])
    return EffectRow(
        untext(v[0]), untext(v[1]), untext(v[2]), untext(v[3]), untext(v[4]), v[5], v[6], untext(v[7]), unpack(v[8]),
        cost, untext(v[14]), v[15],
    )  # fmt: skip


def candidate_row(v: Values) -> CandidateRow:
    data = json.loads(unpack(v[2]).decode("utf-8", "surrogatepass"))
    return CandidateRow(untext(v[0]), untext(v[1]), data, untext(v[3]), v[4])


def rollout_row(v: Values) -> RolloutRow:
    a, b, c, d, e = (untext(item) for item in v[:5])
    return RolloutRow(a, b, c, d, e, v[5], v[6], v[7], unpack(v[8]))


def feedback_row(v: Values) -> FeedbackRow:
    a, b, c, d, e, f = (untext(item) for item in v[:6])
    return FeedbackRow(a, b, c, d, e, f, unpack(v[6]))


def event_row(v: Values) -> EventRow:
    return EventRow(untext(v[0]), untext(v[1]), json.loads(untext(v[2])), untext(v[3]), v[4], v[5])
