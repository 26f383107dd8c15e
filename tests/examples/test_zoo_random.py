"""Members of the zoo that draw in training: right for what they drew, spread as it should be."""

from __future__ import annotations

import numpy as np
import torch

from examples.zoo import table, twins
from examples.zoo.member import Member
from examples.zoo.registry import MEMBERS
from sardonyx import compiler, runtime

SEVERAL = 4
"""Standard errors that a mean may be off."""


def trained(member: Member) -> tuple[twins.Pair, runtime.Session]:
    """A small model of a member as it is trained, and its twin."""
    found = twins.pair(member, is_small=True)
    model = found.model.build(training=True)
    return twins.Pair(member, model, found.twin), runtime.load(compiler.compile(model))


def test_the_code_of_a_variational_autoencoder_is_drawn():
    pair, session = trained(MEMBERS["variational autoencoder"])
    feeds = pair.member.feeds(pair.model, {"batch": 400})
    first, second = (dict(session.run_named(feeds)) for _ in range(2))
    noise = first.pop("noise")
    assert not np.array_equal(noise, second["noise"])
    error = 1 / np.sqrt(noise.size)
    assert abs(noise.mean()) < SEVERAL * error
    assert abs(noise.std() - 1) < SEVERAL * error
    expected = twins.wanted(pair.twin, feeds | {"noise": noise})
    assert twins.relative_error(list(first.values()), expected) <= table.LIMIT


def test_the_drawn_code_changes_the_image():
    pair, session = trained(MEMBERS["variational autoencoder"])
    feeds = pair.member.feeds(pair.model, {"batch": 2})
    drawn = session.run_named(feeds)
    with torch.no_grad():
        mean = pair.twin(torch.from_numpy(feeds["x"]))[0].numpy()
    assert twins.relative_error([drawn["image"]], [mean]) > 100 * table.LIMIT
