"""One decoding step with a key-value cache as input: the caches are flat inputs and outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from sardonyx import compiler, runtime
from sardonyx.frontends import from_torch
from tests.frontends.huggingface.deploy import DEPLOYMENTS
from tests.frontends.huggingface.inputs import padding, tokens
from tests.frontends.huggingface.models import REQUIRED
from tests.frontends.huggingface.test_huggingface import (
    RELATIVE_ERROR,
    dims_of,
    named,
    relative_error,
)

LAYERS, HEADS, WIDTH = 2, {"GPT2LMHeadModel": 4}, 8
DYNAMIC = {
    "input_ids": {0: "batch", 1: "new"},
    "attention_mask": {0: "batch", 1: "total"},
    "past_key_values": {0: "batch", 2: "past"},
}


def step(name: str, batch: int, new: int, past: int) -> dict[str, object]:
    """Arguments of a step of ``new`` tokens after ``past``; some rows are padded on the left."""
    generator = torch.Generator().manual_seed(batch + past)
    shape = (LAYERS, 2, batch, HEADS.get(name, 2), past, WIDTH)
    states = torch.randn(shape, generator=generator)
    return {
        "input_ids": tokens(batch, new),
        "attention_mask": padding(batch, past + new).flip(1),
        "past_key_values": DynamicCache([(key, value) for key, value in states]),
    }


def flat(arguments: dict[str, object]) -> dict[str, np.ndarray]:
    cache = arguments["past_key_values"]
    feeds = {name: arguments[name].numpy() for name in ("input_ids", "attention_mask")}
    for index, layer in enumerate(cache.layers):
        feeds[f"past_key_values.{index}.key"] = layer.keys.numpy()
        feeds[f"past_key_values.{index}.value"] = layer.values.numpy()
    return feeds


@pytest.mark.parametrize(
    "name",
    [
        "LlamaForCausalLM",
        "GPT2LMHeadModel",
        pytest.param("Qwen3ForCausalLM", marks=pytest.mark.slow),
    ],
)
def test_decoding_step(name: str) -> None:
    torch.set_num_threads(1)
    module = next(row for row in REQUIRED if row.name == name).build()
    arguments = step(name, 2, 1, 6)
    model = from_torch(module, kwargs=arguments, dynamic=DYNAMIC)
    assert arguments["past_key_values"].get_seq_length() == 6  # the user's cache is untouched
    assert dims_of(model) == {key: DYNAMIC[key.split(".")[0]] for key in flat(arguments)}
    for deploy in DEPLOYMENTS.values():
        run = deploy(model)
        for sizes in [(2, 1, 6), (1, 1, 3), (3, 4, 9), (4, 1, 1)]:
            arguments = step(name, *sizes)
            found = run(flat(arguments))
            with torch.no_grad():
                expected = named(module(**arguments))
            assert [key.removesuffix("_out") for key in found] == list(expected)
            errors = map(relative_error, found.values(), expected.values())
            assert max(errors) <= RELATIVE_ERROR


@pytest.mark.parametrize(
    ("name", "attention"), [("LlamaForCausalLM", "sdpa"), ("GPT2LMHeadModel", "eager")]
)
def test_several_steps_with_one_cache(name: str, attention: str) -> None:
    """The cache goes into each attention, and what comes out is fed to the next step."""
    torch.set_num_threads(1)
    module = next(row for row in REQUIRED if row.name == name).build()
    module.set_attn_implementation(attention)
    model = from_torch(module, kwargs=step(name, 2, 3, 6), dynamic=DYNAMIC)
    program = compiler.compile(model, target="cpu", verify_level=2, explain=True)
    count = program.explanation.counts()["kv_cache"]
    assert (count.found, count.fused) == (LAYERS, LAYERS), str(program.explanation)
    session = runtime.load(program, threads=1)

    arguments, total = step(name, 2, 5, 0), 5
    caches: dict[str, np.ndarray] = {}
    for new in (1, 2, 1):
        found = session.run_named({**flat(arguments), **caches})
        with torch.no_grad():
            expected = module(**arguments)
        assert relative_error(found["logits"], expected.logits.numpy()) <= RELATIVE_ERROR
        caches = {key.removesuffix("_out"): v for key, v in found.items() if key != "logits"}
        total += new
        arguments = {
            "input_ids": tokens(2, new, seed=total),
            "attention_mask": padding(2, total).flip(1),
            "past_key_values": expected.past_key_values,
        }
