"""What a job may not be, and what the message says."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from kit import model, pairs, samples
from pydantic import ValidationError

from loopwright.core.errors import InputError
from loopwright.core.model import FitJob, Sample

NAN = float("nan")


@pytest.fixture(scope="module")
def tiny():
    return model()


def sample(**change):
    return samples(3)[2].model_copy(update=change)


def valued(**values):
    return (*samples(2), sample(values=values))


@pytest.mark.parametrize(
    ("job", "match"),
    [
        ({"data": pairs(3)}, r"'sft' takes sequences \(a loss of tokens\), the data is 3 pairs"),
        ({"data": pairs(3), "loss": "kto"}, r"'kto' takes sequences \(a loss of sequences\)"),
        ({"loss": "dpo"}, r"'dpo' takes pairs \(a loss of pairs\), the data is 9 sequences"),
        ({"data": valued(size=1.0), "loss": "ppo"}, "needs the values advantage; sample 2 has size"),
        ({"data": valued(), "loss": "kto"}, "needs the values label; sample 2 has none"),
        ({"data": valued(advantage=NAN), "loss": "ppo"}, "advantage of sample 2 is nan: expected a number"),
        ({"data": valued(advantage=(1.0, NAN, 0.0)), "loss": "ppo"}, "is nan at token 1"),
        ({"data": valued(advantage=(1.0, 2.0)), "loss": "ppo"}, "advantage of sample 2 has 2 numbers for 3 written"),
        ({"data": valued(label=1.0, drift=0.0), "loss": "kto"}, "'drift'.*computed in training"),
        ({"data": (sample(logprobs=(-1.0,)),)}, "has 1 for 3 tokens"),
        ({"data": (sample(logprobs=()),), "loss": "ppo", }, "advantage|sampler"),
        ({"data": (sample(logprobs=(-1.0, NAN, 0.0)),)}, "sampler's log-probability of sample 0"),
        ({"data": (sample(weight=NAN),)}, "weight of sample 0 is nan"),
        ({"data": (sample(token_ids=(5, 9999), logprobs=()),)}, "sample 0 has the token id 9999, outside the vocabulary"),
        ({"data": (sample(prompt_ids=(-1, 4)),)}, "token id -1"),
        ({"data": (sample(prompt_ids=()),)}, "sample 0 has no prompt_ids"),
        ({"data": (pairs(1)[0].model_copy(update={"rejected": sample(prompt_ids=())}),), "loss": "dpo"},
         "the rejected side of pair 0 has no prompt_ids"),
        ({"loss": "bradley-terry", "data": pairs(2)}, "fit with head=True"),
        ({"head": True}, "reads no scores"),
        ({"loss_options": {"beta": 1.0}}, "no option 'beta'"),
        ({"targets": ("query",)}, "q_proj"),
    ],
)  # fmt: skip
def test_a_job_that_does_not_fit(tiny, job, match):
    with pytest.raises(InputError, match=match):
        asyncio.run(tiny.fit(FitJob(**{"data": samples(), "rank": 4, **job})))


def test_what_the_types_refuse():
    for bad in (
        lambda: FitJob(data=()),
        lambda: Sample(prompt_ids=(1,), token_ids=()),
        lambda: Sample(prompt_ids=(1,), token_ids=(2,), values={"advantage": None}),
        lambda: FitJob(data=(*samples(1), *pairs(1))),
    ):
        with pytest.raises(ValidationError):
            bad()


def test_the_blob_to_start_from_must_be_of_the_kind(tiny):
    job = FitJob(data=samples(), rank=4)
    lora = asyncio.run(tiny.fit(job)).adapter
    full = asyncio.run(tiny.fit(job.model_copy(update={"tuning": "full"}))).adapter
    with pytest.raises(InputError, match=r"start from are a full set and the job trains a LoRA adapter.*tuning='full'"):
        asyncio.run(tiny.fit(job.model_copy(update={"adapter": full})))
    with pytest.raises(InputError, match=r"are a LoRA adapter and the job trains a full set"):
        asyncio.run(tiny.fit(job.model_copy(update={"adapter": lora, "tuning": "full"})))


def test_gaps_in_what_is_said_of_tokens(tiny):
    """A loss of sequences may be told of the ends of steps only."""
    data = tuple(
        s.model_copy(update={"values": {"label": (*[NAN] * (len(s.token_ids) - 1), float(i % 2))}})
        for i, s in enumerate(samples())
    )
    stats = asyncio.run(tiny.fit(FitJob(data=data, rank=4, loss="process-reward", head=True))).stats
    assert 0 <= stats["accuracy"] <= 1
    assert stats["label"] == pytest.approx(4 / 9)


def test_a_completion_cut_at_the_limit_is_trained_as_it_is(tiny):
    """No end token is added: the loss is that of the tokens given."""
    cut = Sample(prompt_ids=(30, 31), token_ids=(60, 61, 62))
    stats = asyncio.run(tiny.fit(FitJob(data=(cut,), rank=4))).stats
    said = asyncio.run(tiny.forward([cut], "logprobs", None))[0]
    assert stats["tokens"] == 3
    assert stats["first_loss"] == pytest.approx(-sum(said) / 3, rel=1e-4)
