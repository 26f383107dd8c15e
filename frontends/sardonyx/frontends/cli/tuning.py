"""`sardonyx tune`, and `sardonyx compile --tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sardonyx import runtime
from sardonyx.compiler.errors import UnsupportedError
from sardonyx.frontends.cli.feeds import read_sample
from sardonyx.frontends.cli.options import parse_dims, parse_variants, refuse_python
from sardonyx.frontends.cli.show import print_json, status
from sardonyx.frontends.cli.writing import check_file


def run_tune(
    model: str,
    *,
    samples: list[Path],
    dims: list[str],
    variants: list[str],
    as_json: bool,
    **options: Any,
) -> None:
    """Tune a model file and say what was found; `options` are those of `runtime.tune`."""
    refuse_python(model)
    if options["store"] and Path(model).is_file():
        check_file(Path(model), "MODEL", "add --no-store, or tune a copy that can be written")
    lengths, files = parse_dims(dims), parse_variants(variants)
    given = [read_sample(path) for path in samples]
    with status(f"tuning {model}", as_json) as shown:
        made = runtime.tune(
            model,
            given or None,
            dims=lengths,
            variants=files or None,
            tell=lambda text: shown.update(f"measuring {text}"),
            **options,
        )
    print_json(made.to_dict()) if as_json else print(made)


def check_tuning(seconds: float | None, accuracy: float | None) -> None:
    """Refuse an accuracy where nothing is tuned.

    Raises:
        UnsupportedError: It is given.
    """
    if accuracy is not None and seconds is None:
        raise UnsupportedError("--accuracy is for tuning.", remedy="add --tune SECONDS")


def tune_for(
    seconds: float | None, path: Path, samples: list[dict[str, Any]], accuracy: float | None
) -> runtime.Tuning | None:
    """Tune a file that has just been written, if there is any time for it."""
    if seconds is None:
        return None
    return runtime.tune(path, samples or None, seconds=seconds, accuracy=accuracy)
