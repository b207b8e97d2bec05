"""A fit that is stopped or killed goes on and gives the very bytes of one that was not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from kit import JOBS, folder, model, pairs, samples

from loopwright import losses
from loopwright.core.model import FitJob
from loopwright.losses.registry import Loss
from loopwright.training import checkpoint, trainer

JOB = FitJob(data=samples(), batch=2, rank=4, epochs=3, dropout=0.1, keep_state=True, seed=3)


def files(path):
    return sorted(p.name for p in path.glob("*"))


def stopped(tmp_path, job, after, monkeypatch, **options):
    """Start the job and raise in the middle of a pass of step ``after``."""
    real, calls = trainer.accumulate, []

    def once(*args, **named):
        calls.append(1)
        if len(calls) > after:
            named["alive"] = lambda: (_ for _ in ()).throw(trainer.Stopped())
        return real(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "accumulate", once)
        with pytest.raises(trainer.Stopped):
            asyncio.run(model(tmp_path, **options).fit(job))


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_stopped_in_the_middle_of_an_epoch(tmp_path, monkeypatch, tuning):
    job = JOB.model_copy(update={"tuning": tuning})
    whole = asyncio.run(model().fit(job))
    stopped(tmp_path, job, 7, monkeypatch)  # an hour may pass before the next writing: being asked to stop writes one
    assert len(files(tmp_path)) == 1
    lines = []
    on = asyncio.run(model(tmp_path, progress=lines.append).fit(job))
    assert lines == ["going on with a fit that was stopped after 7 of 15 steps"]
    assert (on.adapter, on.state, on.stats) == (whole.adapter, whole.state, whole.stats)
    assert files(tmp_path) == []


def test_references_and_pairs_go_on_too(tmp_path, monkeypatch):
    job = FitJob(data=pairs(), loss="dpo", batch=2, rank=4, epochs=2)
    whole = asyncio.run(model().fit(job))
    stopped(tmp_path, job, 3, monkeypatch)
    on = asyncio.run(model(tmp_path).fit(job))
    assert (on.adapter, on.stats) == (whole.adapter, whole.stats)


def test_an_error_in_the_middle_leaves_the_last_writing(tmp_path, monkeypatch):
    """As a kill does, without a process: the loss raises once."""
    calls = []

    def fails(batch):
        calls.append(1)
        if len(calls) == 6:
            raise KeyError("unplugged")
        return -batch.logprobs, {"nll": -batch.logprobs.detach()}

    monkeypatch.setitem(losses.LOSSES, "fails", Loss("fails", fails))
    job = JOB.model_copy(update={"loss": "fails"})
    with pytest.raises(KeyError):
        asyncio.run(model(tmp_path, checkpoint_every=0.0).fit(job))
    on = asyncio.run(model(tmp_path).fit(job))
    assert len(calls) == 6 + 10  # five steps were on disk
    assert on.adapter == asyncio.run(model().fit(job)).adapter


def test_another_job_or_model_does_not_take_it(tmp_path, monkeypatch):
    stopped(tmp_path, JOB, 7, monkeypatch)
    lines = []
    other = model(tmp_path, progress=lines.append)
    asyncio.run(other.fit(JOB.model_copy(update={"seed": 4})))
    asyncio.run(model(tmp_path, kind="qwen2", progress=lines.append).fit(JOB))
    assert lines == [] and len(files(tmp_path)) == 1


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b[:100] + b"x" + b[101:], lambda b: b""])
def test_a_damaged_file_is_passed_over_aloud(tmp_path, monkeypatch, damage):
    stopped(tmp_path, JOB, 7, monkeypatch)
    path = next(tmp_path.iterdir())
    path.write_bytes(damage(path.read_bytes()))
    lines = []
    on = asyncio.run(model(tmp_path, progress=lines.append).fit(JOB))
    assert "is damaged" in lines[0] and "starts from its beginning" in lines[0]
    assert on.adapter == asyncio.run(model().fit(JOB)).adapter
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_written_does_not_end_the_fit(tmp_path):
    (tmp_path / "file").write_text("")
    lines = []
    asyncio.run(model(tmp_path / "file" / "below", checkpoint_every=0.0, progress=lines.append).fit(JOB))
    assert "no checkpoint was written" in lines[0]


def test_files_that_nobody_came_back_for_are_removed(tmp_path, monkeypatch):
    old, new = tmp_path / f"old{checkpoint.SUFFIX}", tmp_path / f"new{checkpoint.SUFFIX}"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 2 * checkpoint.STALE,) * 2)
    asyncio.run(model(tmp_path, checkpoint_every=0.0).fit(JOB))
    assert files(tmp_path) == [new.name]


PROGRAM = """
import asyncio, sys, time
sys.path[:0] = {paths!r}
from kit import JOBS, Memory, model
from loopwright.training import trainer
real = trainer.accumulate
def slowly(*args, **named):
    time.sleep({pause})
    return real(*args, **named)
trainer.accumulate = slowly
import kit
kit.folder = lambda kind="llama": {folder!r}
lines = []
fitted = asyncio.run(model({store!r}, checkpoint_every=0.0, progress=lines.append).fit(JOBS["kill"]))
print(fitted.adapter, fitted.state, *lines)
"""


def start(tmp_path, pause):
    here = Path(__file__).parent
    program = PROGRAM.format(
        paths=[str(here), str(here.parent / "models")], pause=pause, folder=str(folder("llama")), store=str(tmp_path)
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


@pytest.mark.timeout(900)  # twice torch is imported, on machines that may be busy
def test_a_killed_process(tmp_path):
    """SIGKILL in the middle, then again in a new process: the bytes of one that ran through."""
    process = start(tmp_path, 0.3)
    while not list(tmp_path.glob(f"*{checkpoint.SUFFIX}")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob(f"*{checkpoint.SUFFIX}"))
    again, _ = start(tmp_path, 0.0).communicate()
    assert "going on with a fit" in again
    whole = asyncio.run(model().fit(JOBS["kill"]))
    assert again.split()[:2] == [whole.adapter, whole.state]
