"""`sardonyx bench`."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sardonyx.compiler.errors import UnsupportedError
from sardonyx.frontends.cli.feeds import make_feeds
from sardonyx.frontends.cli.options import Stored, parse_counts, parse_dim_lists, parse_inputs
from sardonyx.frontends.cli.running import model_of
from sardonyx.frontends.cli.show import print_json, status
from sardonyx.runtime import Spec
from sardonyx.runtime.benchmark import Contender, bench

PLAIN = "onnxruntime"


def run_bench(
    source: str,
    inputs: Sequence[str],
    dims: Sequence[str],
    *,
    against: Sequence[str],
    against_providers: Sequence[str],
    against_ort: bool,
    clients: str,
    seconds: float,
    warm_up: int,
    threads: int | None,
    provider: Sequence[str],
    as_json: bool,
) -> None:
    """Measure a model, and others beside it."""
    counts = parse_counts("--clients", clients)
    make_cases = _cases(parse_inputs(inputs), parse_dim_lists(dims))
    with tempfile.TemporaryDirectory(prefix="sardonyx-", ignore_cleanup_errors=True) as folder:
        paths = {which: _path(which, folder, as_json) for which in (source, *against)}
        options = {} if threads is None else {"threads": threads}
        contenders: dict[str, Contender] = {}
        for which in (source, *against):
            name = _free(_short(which), contenders)
            contenders[name] = Contender(paths[which], provider, options)
        for other in against_providers:
            name = _free(f"{_short(source)} on {other}", contenders)
            contenders[name] = Contender(paths[source], [other], options)
        if against_ort:
            name = _free(f"{_short(source)} in plain {PLAIN}", contenders)
            contenders[name] = Contender(paths[source], is_plain=True)
        with status(f"measuring {source}", as_json) as shown:
            made = bench(
                contenders,
                make_cases,
                clients=counts,
                seconds=seconds,
                warm_up=warm_up,
                tell=shown.update,
            )
    print_json(made.to_dict()) if as_json else print(made)


def _path(source: str, folder: str, quiet: bool) -> str:
    """The path of a model file; what has to be compiled is written into the folder."""
    model = model_of(source, quiet)
    if isinstance(model, str):
        return model
    path = os.path.join(folder, f"{len(os.listdir(folder))}.onnx")
    model.save(path)
    return path


def _short(source: str) -> str:
    return os.path.basename(source)


def _free(name: str, taken: Mapping[str, object]) -> str:
    """A name that no contender has."""
    numbered = (f"{name} ({number})" for number in itertools.count(2))
    return next(n for n in itertools.chain([name], numbered) if n not in taken)


def _cases(
    files: Mapping[str, Stored], lengths: Mapping[str, Sequence[int]]
) -> Callable[[Sequence[Spec]], dict[str, dict[str, Any]]]:
    """What makes the inputs of each combination of lengths: `batch=1, length=128`."""

    def make(specs: Sequence[Spec]) -> dict[str, dict[str, Any]]:
        made = {}
        for combination in itertools.product(*lengths.values()):
            dims = dict(zip(lengths, combination, strict=True))
            name = ", ".join(f"{key}={value}" for key, value in dims.items())
            made[name] = make_feeds(specs, files, dims, seed=0)
        return made

    if math.prod(map(len, lengths.values())) > 100:
        raise UnsupportedError(
            "There are too many combinations of dimensions.",
            found=" x ".join(str(len(values)) for values in lengths.values()),
            expected="at most 100",
        )
    return make
