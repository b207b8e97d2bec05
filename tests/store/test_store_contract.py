"""What every store promises, on both."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_rows import PAID, effect, new_run

from loopwright.core import secrets
from loopwright.core.errors import InputError, RunBusy, StoreError, UnknownName
from loopwright.core.store import CacheRow, CandidateRow, EventRow, FeedbackRow, RolloutRow, Store
from loopwright.core.types import digest

SURROGATES = [
    "\ud800",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16-le", "surrogatepass"),
    "a\0b",
    "",
]


def write(store: Store, *rows: object) -> None:
    asyncio.run(store.write(rows))  # type: ignore[arg-type]


def test_a_run_comes_back_as_it_was_made(store: Store) -> None:
    made = store.create_run({"b": [1, None], "a": "é"}, seed=-5, budget={"calls": 3}, code_version="v")
    assert store.run(made.id) == made
    assert (made.spec, made.seed, made.budget, made.status) == ({"b": [1, None], "a": "é"}, -5, {"calls": 3}, "running")
    assert made.spec_hash == digest(made.spec)
    assert made.created > 0


def test_runs_are_found_by_id_beginning_and_last(store: Store) -> None:
    first, second = new_run(store), new_run(store)
    assert first.id < second.id
    assert [run.id for run in store.runs()] == [first.id, second.id]
    assert store.run("last").id == second.id
    assert store.run(second.id[:-1]).id == second.id
    for name in ("", "nonsense", first.id[:5], "\ud800"):
        with pytest.raises(UnknownName):
            store.run(name)
    with pytest.raises(UnknownName, match=first.id):  # an ambiguous beginning names what it could mean
        store.run(first.id[:8] if first.id[:8] == second.id[:8] else "01")


def test_of_many_runs_the_latest_ten_are_listed(store: Store) -> None:
    ids = [new_run(store).id for _ in range(13)]
    for name in ("zzzz", "0"):  # of none, and the beginning of all
        with pytest.raises(UnknownName) as caught:
            store.run(name)
        message = str(caught.value)
        assert all(id in message for id in ids[3:]) and not any(id in message for id in ids[:3])
        assert "and 3 earlier ones" in message


def test_an_empty_store_has_no_last_run(store: Store) -> None:
    with pytest.raises(UnknownName, match="none"):
        store.run("last")


def test_set_run_changes_status_reason_and_seconds(store: Store) -> None:
    run = new_run(store)
    store.set_run(run.id, status="paused", reason="quota of sk-abcdef1234567890abcd", seconds=1.5)
    paused = store.run(run.id)
    assert (paused.status, paused.reason, paused.seconds) == ("paused", "quota of sk-[redacted]", 1.5)
    store.set_run(run.id, status="done")
    assert (store.run(run.id).reason, store.run(run.id).seconds) == ("", 1.5)
    with pytest.raises(UnknownName):
        store.set_run("nonsense", status="done")


def test_a_run_needs_plain_json_and_a_seed_of_64_bits(store: Store) -> None:
    with pytest.raises(InputError, match="64 bits"):
        store.create_run({}, seed=1 << 63, budget={}, code_version="")
    for bad in ({"x": math.nan}, {"x": object()}):
        with pytest.raises(InputError, match="spec"):
            store.create_run(bad, seed=0, budget={}, code_version="")
    assert store.runs() == []


def test_done_replaces_open_and_is_never_changed(store: Store) -> None:
    run = new_run(store).id
    write(store, effect(run, cost=PAID))
    write(store, effect(run, status="done", result=b"1", cost=PAID))
    for later in ("open", "failed", "done"):
        write(store, effect(run, status=later, result=b"2", attempt=9))
    assert list(store.effects(run)) == [effect(run, status="done", result=b"1", cost=PAID)]


def test_a_failed_effect_gives_way_to_a_new_attempt_and_to_a_result(store: Store) -> None:
    run = new_run(store).id
    write(store, effect(run), effect(run, status="failed", error="down"))
    write(store, effect(run, status="failed", error="late"))
    assert next(iter(store.effects(run))).error == "down"
    write(store, effect(run, status="open", attempt=2))
    assert next(iter(store.effects(run))).status == "open"
    write(store, effect(run, status="failed", attempt=2), effect(run, status="done", result=b"paid", attempt=1))
    assert next(iter(store.effects(run))).result == b"paid"


def test_effects_keep_the_order_in_which_they_were_opened(store: Store) -> None:
    run = new_run(store).id
    keys = [f"k{i}" for i in range(1203)]  # more than one page of the reader
    write(store, *(effect(run, key) for key in keys))
    write(store, *(effect(run, key, "done") for key in reversed(keys)))
    assert [row.key for row in store.effects(run)] == keys
    assert list(store.effects("other")) == []


def test_the_first_cached_value_stays(store: Store) -> None:
    write(store, CacheRow("a", b"1"), CacheRow("b", b""), CacheRow("a", b"2"))
    write(store, CacheRow("a", b"3"))
    assert store.cached(["a", "b", "c", "\ud800"]) == {"a": CacheRow("a", b"1"), "b": CacheRow("b", b"")}
    assert store.cached([]) == {}
    assert store.cached([str(i) for i in range(1500)] + ["a"]) == {"a": CacheRow("a", b"1")}


def test_a_cached_reply_says_where_it_comes_from_and_gives_way_to_another_runs(store: Store) -> None:
    old = CacheRow("a", b"1", "run-1", "tiny-2024", "fp_1", 1.5e9)
    write(store, old)
    write(store, CacheRow("a", b"2", "run-1", "tiny-2024", "fp_2", 1.6e9))
    assert store.cached(["a"]) == {"a": old}  # within a run the first stands
    new = CacheRow("a", b"3", "run-2", "tiny-2025", "", 1.7e9)
    write(store, new)
    assert store.cached(["a"]) == {"a": new}
    with pytest.raises(InputError, match="time"):
        write(store, CacheRow("b", b"1", time=float("nan")))


def test_a_rollout_without_a_score_is_replaced_by_one_with_a_score_alone(store: Store) -> None:
    """An attempt that had an error, and was asked again when its run was resumed."""
    run = new_run(store).id
    lost = RolloutRow(run, "r", "h", "e", "train", 1, 0, None, b'{"a": 1}')
    told = replace(lost, score=0.0, data=b'{"a": 2}')
    better = replace(told, score=1.0)
    for written, read in ((lost, lost), (replace(lost, data=b"{}"), lost), (told, told), (lost, told), (better, told)):
        write(store, written)
        assert list(store.rollouts(run)) == list(store.rollouts(run, "train")) == [read]


def test_duplicates_change_nothing(store: Store) -> None:
    run, other = new_run(store).id, new_run(store).id
    candidate = CandidateRow(run, "h", {"parts": {"x": 1}}, "me", 1)
    rollout = RolloutRow(run, "r", "h", "e", "train", 1, 0, None, b"{}")
    feedback = FeedbackRow(run, "i", "r", "score", "checker", "code", b"{}")
    for round in range(2):
        write(store, replace(candidate, round=1 + round), replace(rollout, score=[0.5, 1.0][round]), feedback)
    write(store, replace(candidate, run=other))
    assert store.candidates(run) == [candidate]
    assert store.candidates(other) == [replace(candidate, run=other)]
    assert list(store.rollouts(run)) == [replace(rollout, score=0.5)]
    assert list(store.feedback(run)) == [feedback]


def test_rollouts_by_split(store: Store) -> None:
    run = new_run(store).id
    rows = [RolloutRow(run, split, "h", "e", split, 0, 0, 0.5, b"{}") for split in ("train", "gate", "test")]
    write(store, *rows)
    assert list(store.rollouts(run, "gate")) == [rows[1]]
    assert list(store.rollouts(run)) == rows


def test_events_are_numbered_without_gaps(store: Store) -> None:
    runs = [new_run(store).id for _ in range(2)]

    async def many() -> None:
        keys = ["", "a", "", "b", "a", "a", "c", ""]
        await asyncio.gather(
            *(store.write([EventRow(run, "round", {"i": i}, key)]) for i, key in enumerate(keys) for run in runs)
        )

    asyncio.run(many())
    write(store, EventRow(runs[0], "round", {}, "a"), EventRow(runs[0], "end"))
    for run, count in zip(runs, (7, 6), strict=True):
        events = store.events(run)
        assert [event.seq for event in events] == list(range(1, count + 1))
        assert all(event.time > 0 for event in events)
    assert store.events(runs[0])[-1].type == "end"


def test_a_bad_row_keeps_the_whole_write_out(store: Store) -> None:
    run = new_run(store).id
    bad = [
        EventRow(run, "x", {"a": math.inf}),
        EventRow(run, "x", {"a": object()}),
        EventRow(run, "x", {}, time=math.nan),
        CandidateRow(run, "h", {"a": math.nan}, "", 0),
        RolloutRow(run, "r", "h", "e", "train", 0, 0, math.nan, b""),
        "text",
    ]
    for row in bad:
        with pytest.raises(InputError):
            write(store, effect(run, "good"), row)
    assert list(store.effects(run)) == []


def test_one_driver_at_a_time(store: Store) -> None:
    run, other = new_run(store).id, new_run(store).id
    lease = store.acquire("last")
    with pytest.raises(RunBusy, match=other):
        store.acquire(other)
    store.acquire(run).release()
    lease.release()
    lease.release()
    store.acquire(other).release()
    with pytest.raises(UnknownName):
        store.acquire("nonsense")


def test_secrets_are_not_written(store: Store) -> None:
    run = new_run(store).id
    key = "sk-proj-abc123DEF456ghi789"
    write(store, EventRow(run, "pause", {"why": [f"Authorization: Bearer {key}"], "api_key": "plain"}))
    write(store, effect(run, status="failed", summary=f"call with {key}", error=f"401 for Bearer {key}"))
    row = next(iter(store.effects(run)))
    payload = store.events(run)[0].payload
    assert "abc123" not in row.summary + row.error + str(payload)
    assert "401 for" in row.error
    assert payload["api_key"] == "[redacted]"


def test_a_closed_store_refuses_writes(store: Store) -> None:
    run = new_run(store).id
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        write(store, effect(run))


def test_blobs(store: Store) -> None:
    hash = store.blobs.put(b"weights")
    assert store.blobs.put(b"weights") == hash
    assert store.blobs.get(hash) == b"weights"
    assert store.blobs.get(store.blobs.put(b"")) == b""
    with pytest.raises(StoreError, match="no blob"):
        store.blobs.get("0" * 64)
    with pytest.raises(InputError):
        store.blobs.get("../../etc/passwd")


def test_what_is_read_back_is_not_what_the_caller_can_change(store: Store) -> None:
    run = new_run(store).id
    payload = {"list": [1]}
    write(store, EventRow(run, "x", payload))
    payload["list"].append(2)
    assert store.events(run)[0].payload == {"list": [1]}


any_text = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(SURROGATES)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(key=any_text, words=any_text, data=st.dictionaries(any_text, plain, max_size=3), raw=st.binary(max_size=3000))
def test_everything_comes_back_exactly(store: Store, key: str, words: str, data: dict[str, object], raw: bytes) -> None:
    run = new_run(store).id
    raw = raw * 3  # past the size above which results are compressed
    rows = [
        effect(run, key, "done", scope=words, summary="", result=raw, cost=PAID),
        CandidateRow(run, key, data, words, 0),
        RolloutRow(run, key, words, words, "train", 0, 0, 0.1, raw),
        FeedbackRow(run, key, words, words, words, "human", raw),
        CacheRow(f"{run}{key}", raw),
    ]
    write(store, *rows)
    assert [*store.effects(run), *store.candidates(run), *store.rollouts(run), *store.feedback(run)] == rows[:4]
    assert store.cached([f"{run}{key}"]) == {f"{run}{key}": CacheRow(f"{run}{key}", raw)}


def test_effects_are_found_by_key_and_told_in_short(store: Store) -> None:
    run, other = new_run(store).id, new_run(store).id
    rows = [effect(run, digest(i), "done", scope=f"s{i}", result=b"%d" % i, cost=PAID) for i in range(5)]
    write(store, *rows, effect(other, digest(9)))
    assert store.effect(run, digest(3)) == rows[3]
    assert store.effect(run, digest(9)) is None and store.effect("nobody", digest(3)) is None
    found = store.effects_from(run, digest(2), 2)
    assert found[0] == rows[2] and found in (rows[2:3], rows[2:4])  # a store may give more than was asked for, in order
    assert store.effects_from(run, digest(9), 2) == []
    paid = (PAID.calls, PAID.prompt_tokens, PAID.completion_tokens, PAID.seconds, PAID.money)
    assert [tuple(one) for one in store.outline(run)] == [(r.key, r.scope, "generate", "done", *paid) for r in rows]
    assert [row.result for row in store.effects(run, results=False)] == [b""] * 5


def test_runs_by_pages(store: Store) -> None:
    ids = [new_run(store).id for _ in range(5)]
    assert [run.id for run in store.runs(2)] == ids[3:]
    assert [run.id for run in store.runs(2, 2)] == ids[1:3]
    assert [run.id for run in store.runs(2, 4)] == ids[:1]
    assert [run.id for run in store.runs(None, 4)] == ids[:1]
    assert store.runs(0) == [] and store.runs(3, 9) == []


def test_recorded_attempts_are_known_by_id(store: Store) -> None:
    run, other = new_run(store).id, new_run(store).id
    ids = [digest(i)[:16] for i in range(1203)]
    write(store, *(RolloutRow(run, id, "h", "e", "train", 0, 0, 0.5, b"{}") for id in ids[:-1]))
    assert store.recorded_rollouts(run, ids) == set(ids[:-1])
    assert store.recorded_rollouts(other, ids) == store.recorded_rollouts("nobody", ids) == set()


def test_rows_of_a_run_that_is_not_there_are_refused(store: Store) -> None:
    with pytest.raises(InputError, match="create_run"):
        write(store, effect("nobody"))


@pytest.mark.fault(54)
def test_a_key_of_this_process_is_stored_nowhere(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", {})
    monkeypatch.setattr(secrets, "_pattern", None)
    secrets.remember(["key-of-mine-0042"])
    told = '{"text": "key-of-mine-0042"}'
    with pytest.raises(InputError, match="holds the value of a key"):
        new_run(store, prompt="say key-of-mine-0042")
    run = new_run(store).id
    with pytest.raises(InputError, match="holds the value of a key"):
        asyncio.run(store.write([CandidateRow(run, "h", {"prompt": "key-of-mine-0042"}, "me", 0)]))
    asyncio.run(store.write([
        RolloutRow(run, "r", "c", "e", "train", 0, 0, 1.0, told.encode()),
        FeedbackRow(run, "f", "r", "score", "m", "program", told.encode()),
        EventRow(run, "told", {"key-of-mine-0042": told}), effect(run, summary=told, error=told),
    ]))  # fmt: skip
    store.set_run(run, status="failed", reason=told)
    rows = [*store.effects(run), *store.rollouts(run), *store.feedback(run), *store.events(run), store.run(run)]
    assert len(rows) == 5
    assert "0042" not in repr(rows)
    assert all("[secret]" in repr(row) for row in rows)
