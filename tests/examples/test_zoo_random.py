"""Members of the zoo that draw in training: right for what they drew, spread as it should be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from examples.zoo import table, twins
from examples.zoo.member import Member
from examples.zoo.pipeline import images
from examples.zoo.registry import MEMBERS
from sardonyx import compiler, runtime

SEVERAL = 4
"""Standard errors that a mean may be off."""


def trained(member: Member) -> tuple[twins.Pair, runtime.Session]:
    """A small model of a member as it is trained, and its twin."""
    found = twins.pair(member, is_small=True)
    model = found.model.build(training=True)
    return replace(found, model=model), runtime.load(compiler.compile(model))


def test_the_code_of_a_variational_autoencoder_is_drawn():
    pair, session = trained(MEMBERS["variational autoencoder"])
    feeds = pair.member.feeds(pair.model, {"batch": 400})
    first, second = (dict(session.run_named(feeds)) for _ in range(2))
    noise = first.pop("noise")
    assert not np.array_equal(noise, second["noise"])
    error = 1 / np.sqrt(noise.size)
    assert abs(noise.mean()) < SEVERAL * error
    assert abs(noise.std() - 1) < SEVERAL * error
    expected = twins.wanted(pair, feeds | {"noise": noise})
    assert twins.relative_error(list(first.values()), expected) <= table.LIMIT


def test_the_drawn_code_changes_the_image():
    pair, session = trained(MEMBERS["variational autoencoder"])
    feeds = pair.member.feeds(pair.model, {"batch": 2})
    drawn = session.run_named(feeds)
    undrawn = twins.wanted(pair, feeds)[0]
    assert twins.relative_error([drawn["image"]], [undrawn]) > 100 * table.LIMIT


def test_augmentation_is_drawn_for_each_image():
    member = MEMBERS["augmentation"]
    found = twins.pair(member, is_small=True)
    session = runtime.load(compiler.compile(images.augment_at_random.build(size=16)))
    feeds = {"images": member.feeds(found.model, {"batch": 200, "height": 9, "width": 7})["images"]}
    first, second = (dict(session.run_named(feeds)) for _ in range(2))
    got = first.pop("x")
    assert not np.array_equal(first["place"], second["place"])
    for drawn in (first["place"].T, first["colours"].T):
        assert all(len(np.unique(row)) > 190 for row in drawn)
    assert np.abs(first["place"][:, 0]).max() <= 0.3
    assert 60 < first["is_flipped"].sum() < 140
    error = twins.relative_error([got], twins.wanted(found, feeds | first))
    assert error <= table.LIMIT
