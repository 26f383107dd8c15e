"""The commands and their options; what they do is imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="sardonyx",
    help="Compile models to ONNX, run them on ONNX Runtime, and see what was done.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Source = Annotated[
    str,
    typer.Argument(
        help="A model file, or file.py:callable. The callable takes nothing and returns a DSL "
        "model, or (torch module, example inputs), or these and a dynamic mapping.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Dims = Annotated[
    list[str] | None,
    typer.Option("--dim", metavar="NAME=N", help="Length of a symbolic dimension; repeatable."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="NAME=FILE",
        help="An input, from FILE.npy or FILE.npz:ARRAY; others are random.",
    ),
]
Threads = Annotated[int | None, typer.Option(help="Threads; by default what this machine gives.")]
Provider = Annotated[
    list[str] | None, typer.Option("--provider", help="Execution provider; repeatable.")
]

TargetName = Annotated[str, typer.Option("--target", help="For what: cpu, cuda or portable.")]
Dynamic = Annotated[
    list[str] | None,
    typer.Option("--dynamic", metavar="INPUT:AXIS=NAME", help="A dynamic dimension; repeatable."),
]
ProofLevel = Annotated[
    str | None,
    typer.Option(
        help="Compare with the source: off, end, after each pass (the default) or "
        "after each rewrite; what changes the answer is undone."
    ),
]
TuneFor = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Tune the file so long on this machine."),
]
Accuracy = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="With tuning: how far outputs may deviate, as a part of the largest element, so that "
        "lower precision may be tried; by default by rounding only.",
    ),
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="NAME=N",
        help="Fail unless so many are fused: attention=12, layer_norm>=24 or gelu=all; several "
        "with commas between; repeatable.",
    ),
]


@app.command("compile")
def compile_command(
    source: Source,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")],
    target: TargetName = "cpu",
    opset: Annotated[int | None, typer.Option(help="Opset of the file, 18 to 23.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Compute in fp16 or bf16, where the target does.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="nhwc or nchw: layout of images, where the target can be asked."),
    ] = None,
    dynamic: Dynamic = None,
    external_data: Annotated[
        bool | None,
        typer.Option(help="Write weights beside the file; by default only when they are large."),
    ] = None,
    verify_level: Annotated[
        int, typer.Option(min=0, max=3, help="0 off, 1 stages, 2 every pass, 3 every rewrite.")
    ] = 1,
    proof: ProofLevel = None,
    samples: Annotated[
        list[Path] | None,
        typer.Option("--sample", metavar="FILE.npz", help="Inputs to compare on; repeatable."),
    ] = None,
    repros: Annotated[
        Path | None, typer.Option(help="Folder for small models of what had to be undone.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what became of each site that can be fused.")
    ] = False,
    require: Require = None,
    tune: TuneFor = None,
    accuracy: Accuracy = None,
    as_json: Json = False,
) -> None:
    """Compile a model and write it as ONNX."""
    from sardonyx.frontends.cli.compiling import run_compile

    run_compile(
        source,
        output,
        target=target,
        opset=opset,
        precision=precision,
        layout=layout,
        dynamic=dynamic or [],
        external_data=external_data,
        verify_level=verify_level,
        proof=proof,
        samples=samples or [],
        repros=repros,
        explain=explain,
        require=require or [],
        tune=tune,
        accuracy=accuracy,
        as_json=as_json,
    )


@app.command()
def explain(
    source: Source,
    *,
    target: TargetName = "cpu",
    dynamic: Dynamic = None,
    require: Require = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Show this family or kind only, such as attention; repeatable."),
    ] = None,
    missed: Annotated[bool, typer.Option("--missed", help="Show what was missed only.")] = False,
    as_json: Json = False,
) -> None:
    """Say, for each attention, norm, activation, convolution: fused, or why not."""
    from sardonyx.frontends.cli.explaining import run_explain

    run_explain(
        source,
        target=target,
        dynamic=dynamic or [],
        require=require or [],
        families=family or [],
        only_missed=missed,
        as_json=as_json,
    )


@app.command()
def run(
    source: Source,
    *,
    inputs: Inputs = None,
    dims: Dims = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the outputs to this .npz file.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random inputs.")] = 0,
    threads: Threads = None,
    provider: Provider = None,
    as_json: Json = False,
) -> None:
    """Run a model once, on given or random inputs, and describe its outputs."""
    from sardonyx.frontends.cli.running import run_once

    run_once(
        source,
        inputs or [],
        dims or [],
        output=output,
        seed=seed,
        threads=threads,
        provider=provider,
        as_json=as_json,
    )


@app.command()
def bench(
    source: Source,
    *,
    inputs: Inputs = None,
    dims: Annotated[
        list[str] | None,
        typer.Option(
            "--dim", metavar="NAME=N[,N]", help="Lengths of a symbolic dimension; repeatable."
        ),
    ] = None,
    clients: Annotated[
        str, typer.Option(metavar="N[,N]", help="Threads that call at the same time.")
    ] = "1",
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="SRC", help="Another model, measured in turn; repeatable."),
    ] = None,
    against_provider: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="The same model on another provider; repeatable."),
    ] = None,
    against_ort: Annotated[
        bool, typer.Option("--against-ort", help="The same model in ONNX Runtime at its defaults.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long to measure each, for each number of clients.")
    ] = 3.0,
    warm_up: Annotated[int, typer.Option(min=0, help="Runs that do not count.")] = 5,
    threads: Threads = None,
    provider: Provider = None,
    as_json: Json = False,
) -> None:
    """Measure latency, throughput and memory of a model, each model in a process of its own."""
    from sardonyx.frontends.cli.benching import run_bench

    run_bench(
        source,
        inputs or [],
        dims or [],
        against=against or [],
        against_providers=against_provider or [],
        against_ort=against_ort,
        clients=clients,
        seconds=seconds,
        warm_up=warm_up,
        threads=threads,
        provider=provider or [],
        as_json=as_json,
    )


@app.command()
def profile(
    source: Source,
    *,
    against: Annotated[
        str | None,
        typer.Option(metavar="SRC", help="Another model, side by side: SOURCE is the one before."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="module, operator or node; by default module where paths are known."),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=1, help="Open all modules to this depth, and not the heaviest only."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows to show, about.")] = 30,
    fold: Annotated[
        bool, typer.Option("--fold/--no-fold", help="Show numbered modules built alike as one.")
    ] = True,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Write a Chrome trace, of the last model."),
    ] = None,
    inputs: Inputs = None,
    dims: Dims = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs that are measured.")] = 10,
    warm_up: Annotated[int, typer.Option(min=0, help="Runs before, which do not count.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the random inputs.")] = 0,
    threads: Threads = None,
    provider: Provider = None,
    as_json: Json = False,
) -> None:
    """Say where a model's time goes, by module path of the source and by operator."""
    from sardonyx.frontends.cli.profiling import run_profile

    run_profile(
        source,
        inputs or [],
        dims or [],
        against=against,
        by=by,
        view={"depth": depth, "most": rows, "fold": fold},
        trace=trace,
        runs=runs,
        warm_up=warm_up,
        seed=seed,
        threads=threads,
        provider=provider,
        as_json=as_json,
    )


Samples = Annotated[
    list[Path] | None,
    typer.Option("--sample", metavar="FILE.npz", help="Inputs to compare on; repeatable."),
]
Locate = Annotated[
    bool, typer.Option("--locate/--no-locate", help="Look for the place where they differ.")
]


@app.command()
def compare(
    reference: Annotated[
        str,
        typer.Argument(
            help="What is right: a model file, or file.py:callable.", show_default=False
        ),
    ],
    model: Annotated[
        str | None,
        typer.Argument(
            help="What is questioned: another model file or callable; by default the same file "
            "at another level or provider.",
            show_default=False,
        ),
    ] = None,
    *,
    levels: Annotated[
        tuple[str, str],
        typer.Option(help="How far ONNX Runtime optimises either: off, basic, extended, all."),
    ] = ("all", "all"),
    providers: Annotated[
        tuple[str, str], typer.Option(help="Where it runs either: cpu or cuda.")
    ] = ("cpu", "cpu"),
    samples: Samples = None,
    locate: Locate = True,
    as_json: Json = False,
) -> None:
    """Say whether two models agree, and name the first place where they do not."""
    from sardonyx.frontends.cli.comparing import run_compare

    run_compare(
        reference,
        model,
        levels=levels,
        providers=providers,
        samples=samples or [],
        locate=locate,
        as_json=as_json,
    )


@app.command()
def verify(
    model: Annotated[
        str, typer.Argument(help="A model file, or file.py:callable.", show_default=False)
    ],
    *,
    against: Annotated[
        str,
        typer.Option(help="Its source: file.py:callable, or another model file."),
    ],
    samples: Samples = None,
    level: Annotated[
        str, typer.Option(help="How far ONNX Runtime optimises it: off, basic, extended, all.")
    ] = "all",
    provider: Annotated[str, typer.Option(help="Where it runs: cpu or cuda.")] = "cpu",
    locate: Locate = True,
    as_json: Json = False,
) -> None:
    """Compare a model with its source at several sizes of each dynamic dim, 1 among them."""
    from sardonyx.frontends.cli.comparing import run_verify

    run_verify(
        model,
        against,
        samples=samples or [],
        level=level,
        provider=provider,
        locate=locate,
        as_json=as_json,
    )


@app.command()
def inspect(
    source: Source,
    text: Annotated[bool, typer.Option("--text", help="Print the whole model as text.")] = False,
    program: Annotated[
        Path | None,
        typer.Option(
            "--dsl",
            metavar="FILE.py",
            help="Write a program of the language that builds the model again, and its weights "
            "beside it; - prints the program.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a model: inputs, outputs, operators, weights and metadata, its text or a program."""
    from sardonyx.frontends.cli.inspecting import run_inspect, write_program

    if program is not None:
        write_program(source, program)
    else:
        run_inspect(source, text, as_json)


@app.command()
def tune(
    model: Annotated[str, typer.Argument(help="A model file.", show_default=False)],
    *,
    seconds: Annotated[float, typer.Option(min=0, help="How long it may take.")] = 60.0,
    accuracy: Accuracy = None,
    samples: Samples = None,
    dims: Dims = None,
    provider: Provider = None,
    threads: Annotated[int | None, typer.Option(help="The most threads that may be used.")] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Another form of the model to try; repeatable."),
    ] = None,
    bind: Annotated[
        bool, typer.Option("--bind", help="Measure calls on bound memory, as CUDA graphs need it.")
    ] = False,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Write the result into the model's file.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Measure which settings run a model fastest on this machine, and keep them in its file."""
    from sardonyx.frontends.cli.tuning import run_tune

    run_tune(
        model,
        samples=samples or [],
        dims=dims or [],
        variants=variant or [],
        as_json=as_json,
        seconds=seconds,
        accuracy=accuracy,
        providers=provider,
        threads=threads,
        bind=bind,
        store=store,
    )


@app.command()
def devices(*, as_json: Json = False) -> None:
    """List execution providers: their devices, and what keeps those from starting that do not."""
    from sardonyx.frontends.cli.devices import run_devices

    run_devices(as_json)


@app.command()
def cache(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Model files to prepare for this machine.", show_default=False),
    ] = None,
    *,
    folder: Annotated[
        Path | None,
        typer.Option(help="The cache; by default what SARDONYX_CACHE names, or the user's own."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take all entries away first.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is prepared for quick starts; prepare models, or take them away."""
    from sardonyx.frontends.cli.caching import manage

    manage(models or [], folder=folder, clear=clear, as_json=as_json)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"sardonyx {installed('sardonyx')}")
        raise typer.Exit
