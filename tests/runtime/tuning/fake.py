"""A measurer that needs no time: choices have a speed, and a clock of its own goes forward."""

from __future__ import annotations

import itertools

import numpy as np

from sardonyx.runtime.child import ChildError


class Contender:
    """A session that takes as long as it is said to."""

    def __init__(self, fake, choice, seconds, output):
        self.fake, self.choice, self.seconds, self.output = fake, choice, seconds, output
        self.pass_s, self.bytes = seconds, 0
        fake.alive += 1
        fake.most_alive = max(fake.most_alive, fake.alive)

    def time(self, seconds):
        self.fake.clock += max(seconds, self.seconds)
        return self.seconds * (1 + self.fake.noise * next(self.fake.wobble))

    def outputs(self, is_disturbed=False):
        return [[self.output * np.float32(1 + 1e-6 * is_disturbed)]]

    def close(self):
        self.fake.alive -= 1


class Fake:
    """Measures by a function from a choice to seconds of a pass.

    Args:
        seconds: The function; what it raises, loading raises.
        output: A function from a choice to how far its outputs are off, as a part of them.
        open_s: Seconds that loading takes.
        noise: Width of the noise of each measurement, as a part of it.
    """

    def __init__(self, seconds, output=lambda choice: 0.0, open_s=0.1, noise=0.01):
        self.seconds, self.output, self.open_s, self.noise = seconds, output, open_s, noise
        self.clock = 0.0
        self.alive = self.most_alive = 0
        self.opened = []
        self.wobble = itertools.cycle([0.0, 0.7, -0.4, 1.0, 0.2, -0.9, 0.5, -0.1, 0.9, -0.6, 0.3])

    def now(self):
        return self.clock

    def room(self, contender):
        return 8

    def open(self, choice, seconds):
        self.opened.append(choice)
        self.clock += min(self.open_s, seconds)
        if self.open_s > seconds:
            raise ChildError(f"no answer within {seconds:.0f} s")
        base = np.array([1, -2, 3], np.float32)
        return Contender(self, choice, self.seconds(choice), base * (1 + self.output(choice)))
