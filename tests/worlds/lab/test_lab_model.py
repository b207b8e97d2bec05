"""The lab model: the script that teaches it, in a smoke version, and the committed one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "model"
    script = [sys.executable, str(ROOT / "scripts" / "lab_model.py"), "--out", str(folder), "--steps", "12", "--smoke"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return folder


def test_transformers_loads_what_was_taught(taught):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(taught)
    tokenizer = AutoTokenizer.from_pretrained(taught)
    assert model.config.model_type == "llama" and model.config.eos_token_id == tokenizer.eos_token_id
    assert json.loads((taught / "made.json").read_text())["steps"] == 12


def test_the_template_gives_what_the_dialogues_were_encoded_as(taught):
    """Sampling must see what teaching showed: roles, ends, and digits one by one."""
    from transformers import AutoTokenizer

    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import lab_model
    finally:
        sys.path.pop(0)
    from loopwright.worlds.lab.dialogues import Said

    tokenizer = AutoTokenizer.from_pretrained(taught)
    dialogue = [Said("user", "Compute 12+7."), Said("assistant", "12+7=19\nAnswer: 19", True)]
    ids, weights = lab_model.encode(tokenizer.backend_tokenizer, dialogue)
    messages = [{"role": s.role, "content": s.text} for s in dialogue]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer(rendered, add_special_tokens=False)["input_ids"] == ids
    opening = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    asked = len(tokenizer(opening, add_special_tokens=False)["input_ids"])
    heard = lab_model.OVERHEARD
    assert weights == [0.0, *[heard] * (asked - 2), 0.0, *[1.0] * (len(ids) - asked)]
    assert tokenizer.tokenize("12+7") == ["1", "2", "+", "7"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Compute 12+7.12+7=19\nAnswer: 19"


def test_the_embedded_backend_samples_from_it(taught):
    from loopwright.core.model import Request, Sampling
    from loopwright.core.types import Turn
    from loopwright.models import load

    model = load({"backend": "embedded", "path": str(taught), "dtype": "float32"})
    request = Request(turns=(Turn(role="user", text="Compute 3+4."),), sampling=Sampling(max_tokens=8), n=4)
    (reply,) = asyncio.run(model.generate([request]))
    asyncio.run(model.close())
    assert len({c.token_ids for c in reply.choices}) > 1


def test_the_committed_model_is_the_one_whose_rates_were_measured():
    import hashlib

    from loopwright.models.loading import LAB_FOLDER

    weights = (LAB_FOLDER / "model.safetensors").read_bytes()
    measured = json.loads((LAB_FOLDER / "rates.json").read_text())
    assert hashlib.sha256(weights).hexdigest() == measured["sha256"]
    assert len(weights) <= 12e6
    assert measured["sha256"] in (LAB_FOLDER / "README.md").read_text()


def test_the_committed_model_answers():
    """Far below what its card says (95%), so that no other rounding of another machine can fail it."""
    from loopwright.core.model import Request, Sampling
    from loopwright.core.types import Turn
    from loopwright.models import load
    from loopwright.worlds.lab.dialogues import TASKS
    from loopwright.worlds.lab.world import lab

    model = load({"backend": "embedded", "path": "lab", "dtype": "float32"})
    questions = [e.question for e in lab("modular", level=2, test=40).examples("test")]
    sampling = Sampling(max_tokens=64, temperature=0.0)
    requests = [Request(turns=(Turn(role="user", text=q),), sampling=sampling) for q in questions]
    answers = [reply.choices[0].text for reply in asyncio.run(model.generate(requests))]
    asyncio.run(model.close())
    right = [TASKS["modular"].review(q, a).passed for q, a in zip(questions, answers, strict=True)]
    assert sum(right) >= 24
