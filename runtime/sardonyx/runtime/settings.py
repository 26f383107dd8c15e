"""Session settings: defaults, what the artifact carries, what tuning found, what the caller says.

Later ones win.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import SettingsError
from .threads import thread_count

if TYPE_CHECKING:
    from .tuned import Tuned

METADATA_KEY = "sardonyx.session"
DISABLED = "optimization.disable_specified_optimizers"
LEVELS = {
    "off": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
# Masked softmax makes denormals, which cost 2 to 7 x. ONNX Runtime sets this for the threads of its
# pool, `denormals.py` for those that call.
FLUSH = "session.set_denormal_as_zero"
DEFAULT_CONFIG = {FLUSH: "1"}

# A model file is data of others: it may tune the session, not name files or switch on logging.
ARTIFACT_PREFIXES = ("mlas.", "optimization.", "session.intra_op.", "session.inter_op.")
ARTIFACT_KEYS = {
    FLUSH,
    "session.dynamic_block_base",
    "session.disable_prepacking",
    "session.prepack.enable_parallel",
    "session.force_spinning_stop",
    "session.disable_aot_function_inlining",
    "session.disable_double_qdq_remover",
    "session.disable_qdq_constant_folding",
    "session.disable_quant_qdq",
    "session.enable_dq_matmulnbits_fusion",
    "session.enable_quant_qdq_cleanup",
    "session.gqa_value_layout",
    "session.graph_optimizations_loop_level",
    "session.qdq_matmulnbits_accuracy_level",
    "session.qdq_matmulnbits_block_size",
    "session.qdqisint8allowed",
    "session.use_device_allocator_for_initializers",
    "session.x64quantprecision",
}
# Attributes of onnxruntime.SessionOptions, set by name as config entries are: a key without a dot.
FLAGS = {"0": False, "1": True}
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "enable_cpu_mem_arena": FLAGS,
    "enable_mem_pattern": FLAGS,
    "enable_mem_reuse": FLAGS,
    "execution_mode": {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"},
    "execution_order": {"default": "DEFAULT", "priority": "PRIORITY_BASED"},
}
ENUMS = {"execution_mode": "ExecutionMode", "execution_order": "ExecutionOrder"}

# Of providers: what changes speed or rounding, nothing that names devices, files or memory.
ARTIFACT_OPTIONS = {
    "cuda": {
        "cudnn_conv1d_pad_to_nc1d",
        "cudnn_conv_algo_search",
        "cudnn_conv_use_max_workspace",
        "enable_cuda_graph",
        "enable_skip_layer_norm_strict_mode",
        "fuse_conv_bias",
        "prefer_nhwc",
        "use_tf32",
    },
    "openvino": {"precision"},
}
FIELDS = ("config", "disabled_optimizers", "graph_optimization", "provider_options")


@dataclass(frozen=True)
class Settings:
    """The settings a session was made with; ``print(session.settings)`` shows them as a table.

    Attributes:
        threads: Threads of the compute pool.
        graph_optimization: How far ONNX Runtime optimises: ``off``, ``basic``, ``extended``,
            ``all``.
        disabled_optimizers: ONNX Runtime's graph transformers that are switched off.
        config: ONNX Runtime session config entries, and attributes of its session options.
        provider_options: Options of execution providers that the artifact asks for, by short
            name; those that the caller gives with a provider override them.
        origin: Where each of the above is from, by its name, its config key or
            ``provider_options.cuda``: ``default``, ``artifact``, ``tuned`` or ``caller``; the last
            of them that says anything.
        tuning: What became of the settings that tuning left in the artifact, if it did.
    """

    threads: int
    graph_optimization: str
    disabled_optimizers: tuple[str, ...]
    config: Mapping[str, str]
    provider_options: Mapping[str, Mapping[str, str]]
    origin: Mapping[str, str]
    tuning: str = ""

    def __str__(self) -> str:
        rows: dict[str, Any] = {
            "threads": self.threads,
            "graph_optimization": self.graph_optimization,
            "disabled_optimizers": ", ".join(self.disabled_optimizers) or "none",
            **self.config,
            **{f"provider_options.{k}": v for k, v in self.provider_options.items()},
        }
        width = max(map(len, rows))
        lines = [f"{key:{width}}  {value}  ({self.origin[key]})" for key, value in rows.items()]
        return "\n".join([*lines, *([f"tuning: {self.tuning}"] if self.tuning else [])])


def merge_settings(
    metadata: Mapping[str, str],
    where: str,
    *,
    threads: int | None = None,
    config: Mapping[str, Any] | None = None,
    disabled_optimizers: Iterable[str] | None = None,
    graph_optimization: str | None = None,
    tuned: Tuned | None = None,
) -> Settings:
    """Defaults, overridden by the artifact's settings, by tuned ones, and by the caller's.

    Config entries and options of providers are merged one by one; everything else is replaced as
    a whole. Optimisers that an entry of ONNX Runtime's own switches off stay so.

    Raises:
        SettingsError: A setting has a wrong type or value, or the artifact sets one it may not.
    """
    given = {
        "config": config,
        "disabled_optimizers": disabled_optimizers,
        "graph_optimization": graph_optimization,
    }
    layers = {
        "default": {
            "config": DEFAULT_CONFIG,
            "disabled_optimizers": [],
            "graph_optimization": "all",
            "provider_options": {},
        },
        "artifact": _from_metadata(metadata, where),
        "tuned": tuned.settings if tuned is not None else {},
        "caller": {key: value for key, value in given.items() if value is not None},
    }
    merged: dict[str, Any] = {"config": {}, "provider_options": {}}
    origin = {"threads": "default" if threads is None else "caller"}
    if threads is None and tuned is not None and tuned.threads is not None:
        threads, origin["threads"] = tuned.threads, "tuned"
    for name, layer in layers.items():
        place = f"{METADATA_KEY} of {where}" if name == "artifact" else f"load({where})"
        values = checked(layer, place)
        config, options = values.pop("config", {}), values.pop("provider_options", {})
        merged["config"].update(config)
        for provider, given_options in options.items():
            merged["provider_options"].setdefault(provider, {}).update(given_options)
        merged.update(values)
        of_providers = [f"provider_options.{provider}" for provider in options]
        origin.update(dict.fromkeys([*config, *of_providers, *values], name))
    if threads is None:
        threads = thread_count()
    elif isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise _wrong("threads", f"load({where})", threads, "a whole number, 1 or more")
    note = tuned.note if tuned is not None else ""
    return Settings(threads=threads, origin=origin, tuning=note, **merged)


def session_options(settings: Settings) -> Any:
    """The ``onnxruntime.SessionOptions`` of these settings."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, LEVELS[settings.graph_optimization]
    )
    # What goes wrong is raised as an error; the log would say it a second time.
    options.log_severity_level = 4
    # For `session.placement`, and for telling whether a provider that was asked for is used.
    entries = {"session.record_ep_graph_assignment_info": "1", **settings.config}
    named = [name for name in entries.get(DISABLED, "").split(";") if name]
    if settings.disabled_optimizers or named:
        entries[DISABLED] = ";".join(dict.fromkeys([*named, *settings.disabled_optimizers]))
    for key, value in entries.items():
        if "." in key:
            options.add_session_config_entry(key, value)
        else:
            setattr(options, key, _attribute(key, value))
    if entries.get("execution_mode") == "parallel":
        # Nodes side by side have a pool of their own, else as large as the host.
        options.inter_op_num_threads = settings.threads
    return options


def _attribute(key: str, value: str) -> Any:
    """What ONNX Runtime takes as this value of an attribute of its session options."""
    import onnxruntime

    found = ATTRIBUTES[key][value]
    return getattr(getattr(onnxruntime, ENUMS[key]), found) if key in ENUMS else found


def _from_metadata(metadata: Mapping[str, str], where: str) -> dict[str, Any]:
    if METADATA_KEY not in metadata:
        return {}
    place = f"metadata of {where}"
    try:
        carried = json.loads(metadata[METADATA_KEY])
    except ValueError as error:
        raise _wrong(METADATA_KEY, place, str(error), "a JSON object") from None
    if not isinstance(carried, dict):
        raise _wrong(METADATA_KEY, place, carried, "a JSON object")
    check_allowed(carried, place)
    for key in carried.keys() - set(FIELDS):
        warnings.warn(
            f"{where}: session setting '{key}' is unknown to this version and ignored",
            RuntimeWarning,
            stacklevel=4,
        )
    return {key: value for key, value in carried.items() if key in FIELDS}


def check_allowed(carried: Mapping[str, Any], place: str) -> None:
    """Refuse what a model file, which is data of others, may not set."""
    config = carried.get("config", {})
    for key in config if isinstance(config, dict) else ():
        is_allowed = key in ARTIFACT_KEYS or key in ATTRIBUTES
        if not is_allowed and not key.startswith(ARTIFACT_PREFIXES):
            raise SettingsError(
                f"a model file may not set '{key}'",
                where=place,
                expected="settings that tune the session",
                remedy=f"take it out of the file and pass load(..., config={{'{key}': ...}})",
            )
    options = carried.get("provider_options", {})
    for provider, given in options.items() if isinstance(options, dict) else ():
        for key in given if isinstance(given, dict) else ():
            if key not in ARTIFACT_OPTIONS.get(provider, ()):
                raise SettingsError(
                    f"a model file may not set '{key}' of provider '{provider}'",
                    where=place,
                    expected="options that tune a provider",
                    remedy=f"pass load(..., providers=[('{provider}', {{'{key}': ...}})])",
                )


def checked(layer: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The same settings with their types made sure of."""
    made: dict[str, Any] = {}
    if "config" in layer:
        if not isinstance(layer["config"], Mapping):
            raise _wrong("config", place, layer["config"], "a mapping of session config entries")
        made["config"] = {
            _key(key, place): _value(key, value, place) for key, value in layer["config"].items()
        }
    if "disabled_optimizers" in layer:
        names = layer["disabled_optimizers"]
        names = names if isinstance(names, str) else list(names) if _iterable(names) else None
        if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
            found = layer["disabled_optimizers"]
            raise _wrong("disabled_optimizers", place, found, "a list of optimizer names")
        made["disabled_optimizers"] = tuple(names)
    if "graph_optimization" in layer:
        if layer["graph_optimization"] not in tuple(LEVELS):
            found = layer["graph_optimization"]
            raise _wrong("graph_optimization", place, found, f"one of {', '.join(LEVELS)}")
        made["graph_optimization"] = layer["graph_optimization"]
    if "provider_options" in layer:
        made["provider_options"] = _options(layer["provider_options"], place)
    return made


def _options(given: Any, place: str) -> dict[str, dict[str, str]]:
    """Options of providers, as strings."""
    if not isinstance(given, Mapping) or not all(isinstance(o, Mapping) for o in given.values()):
        raise _wrong("provider_options", place, given, "a mapping of options for each provider")
    return {
        str(provider): {str(key): _value(str(key), value, place) for key, value in options.items()}
        for provider, options in given.items()
    }


def _iterable(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= 1024:
        raise _wrong("config", place, key, "keys of 1 to 1024 characters")
    if "." not in key and key not in ATTRIBUTES:
        expected = f"a key of a session config entry, which has a dot, or {', '.join(ATTRIBUTES)}"
        raise _wrong("config", place, key, expected)
    return key


def _value(key: str, value: Any, place: str) -> str:
    if isinstance(value, bool):
        value = int(value)
    if key in ATTRIBUTES and str(value) not in ATTRIBUTES[key]:
        raise _wrong(f"config '{key}'", place, value, f"one of {', '.join(ATTRIBUTES[key])}")
    if not isinstance(value, str | int) or len(str(value)) > 8192:
        raise _wrong(f"config '{key}'", place, value, "a string or a whole number")
    return str(value)


def _wrong(setting: str, place: str, found: Any, expected: str) -> SettingsError:
    return SettingsError(
        f"session setting {setting} is not valid",
        where=place,
        found=found if isinstance(found, str) else repr(found),
        expected=expected,
    )
