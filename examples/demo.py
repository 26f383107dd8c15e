"""Compiles three models, checks them against PyTorch and shows what was gained: `make demo`.

ResNet-50 and BERT-base have random weights; all-MiniLM-L6-v2 has its real ones, so its sentence
similarities are compared too. Every number is measured here and now, each way to run a model in a
process of its own, in turn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import artifacts, report
from benchmarks.artifacts import Settings
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Field, measure
from benchmarks.models import minilm_folder
from benchmarks.run import with_progress

TITLES = {"resnet50": "ResNet-50", "bert_base": "BERT-base", "minilm": "all-MiniLM-L6-v2"}
WAYS = ["eager", "export", "sardonyx"]
ERROR_LIMIT = 1e-4
SENTENCES = [
    "A man is eating a piece of bread.",
    "Someone has a sandwich for lunch.",
    "The stock market fell sharply on Monday, to its lowest value in more than three years.",
    "Shares lost a lot of their value at the start of the week.",
    "She plays the violin.",
]
console = Console()
Records = dict[str, dict[str, Any]]


def problems(models: dict[str, Records]) -> Iterator[str]:
    """What went wrong: a way that failed, or an answer that differs from PyTorch's."""
    for model, records in models.items():
        for way, record in records.items():
            if "error" in record:
                yield f"{TITLES[model]}, {CONTENDERS[way].title}: {record['error']}"
        proof = records["sardonyx"].get("proof")
        if proof is not None and not proof["holds"]:
            yield f"{TITLES[model]}: {proof['said']}"
        error = records["sardonyx"].get("relative_error")
        if error is not None and not error <= ERROR_LIMIT:
            yield f"{TITLES[model]}: Sardonyx differs from PyTorch by {error:.1e}"


def show_models(models: dict[str, Records], settings: Settings) -> None:
    """Nodes, error and latency of each model, one column each."""
    table = Table(title=f"{settings.threads} thread(s), median of {settings.rounds} rounds")
    table.add_column("")
    for model in models:
        table.add_column(TITLES[model], justify="right")
    rows: dict[str, Callable[[Records], str]] = {
        "nodes, captured from PyTorch": lambda r: report.number(r["sardonyx"], "captured_nodes"),
        "nodes, plain export": lambda r: report.number(r["export"], "nodes"),
        "nodes, Sardonyx": lambda r: report.number(r["sardonyx"], "nodes"),
        "checks while compiling": lambda r: str(r["sardonyx"].get("proof", {}).get("checks", "")),
        "their worst, of what rounding explains": lambda r: worst(r["sardonyx"]),
        "largest error": lambda r: report.number(r["sardonyx"], "relative_error", ".1e"),
        "PyTorch, ms": lambda r: report.milliseconds(r["eager"]),
        "plain export + ORT, ms": lambda r: report.milliseconds(r["export"]),
        "Sardonyx, ms": lambda r: report.milliseconds(r["sardonyx"]),
        "times faster than export + ORT": lambda r: report.factor(r["sardonyx"]),
    }
    for title, cell in rows.items():
        table.add_row(title, *(cell(records) for records in models.values()))
    console.print(table)
    console.print(
        "Error: largest difference from PyTorch over the largest value. Times faster: median of the"
        " rounds and quartiles; above 1 is faster.",
        style="dim",
    )


def worst(record: dict[str, Any]) -> str:
    """The largest difference that the proof saw, as a part of what rounding explains."""
    proof = record.get("proof")
    return f"{proof['worst']:.2f}" if proof else ""


def encode(folder: Path) -> list[Path]:
    """The sentences as token ids: each alone at its own length, then all padded in one batch."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    batches = [[tokenizer.encode(sentence)] for sentence in SENTENCES]
    tokenizer.enable_padding()
    batches.append(tokenizer.encode_batch(SENTENCES))
    paths = []
    for number, batch in enumerate(batches):
        paths.append(folder / f"sentences{number}.npz")
        np.savez(
            paths[-1],
            input_ids=np.array([row.ids for row in batch], np.int64),
            attention_mask=np.array([row.attention_mask for row in batch], np.int64),
        )
    return paths


def embeddings(settings: Settings, tell: Callable[[str], None]) -> dict[str, np.ndarray]:
    """Embeddings by PyTorch and by Sardonyx: of each sentence alone, then of the padded batch."""
    found = {}
    with Field("minilm", settings, tell) as field:
        for way in ("eager", "sardonyx"):
            field.enter(way)
            if "error" in field.records[way]:
                return {}
            tell(f"minilm: sentences by {CONTENDERS[way].title}")
            inputs = encode(artifacts.folder("minilm", way, settings))
            outputs = [field.outputs(way, path) for path in inputs]
            if any(output is None for output in outputs):
                console.print(field.records[way]["error"], style="red")
                return {}
            found[way] = np.concatenate([output[0] for output in outputs])
    return found


def show_similarities(found: dict[str, np.ndarray]) -> float:
    """Print the cosine similarity of some pairs; returns the largest difference over all pairs."""
    torch_, ours = (rows @ rows.T for rows in (found["eager"], found["sardonyx"]))
    table = Table("sentence", "sentence", "PyTorch", "Sardonyx", title="all-MiniLM-L6-v2")
    for a, b in ((0, 1), (2, 3), (0, 2), (1, 4)):
        cells = [f"{matrix[a, b]:.6f}" for matrix in (torch_, ours)]
        table.add_row(SENTENCES[a], SENTENCES[b], *cells)
    console.print(table)
    worst = float(np.abs(torch_ - ours).max())
    console.print(
        f"Largest difference of a similarity, sentences alone and in a padded batch: {worst:.1e}"
    )
    return worst


def main() -> int:
    """Run the demo; returns 1 when something failed or differs."""
    parser = argparse.ArgumentParser(description="Compile real models and show what was gained.")
    parser.add_argument("--models", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    settings = Settings(threads=options.threads, rounds=options.rounds)
    models: dict[str, Records] = {}
    sentences: dict[str, np.ndarray] = {}

    def work(tell: Callable[[str], None], advance: Callable[[], None]) -> None:
        for model, records in measure(options.models, WAYS, settings, tell):
            models[model] = records
            advance()
        if "minilm" in models:
            sentences.update(embeddings(settings, tell))
        advance()

    with_progress(len(options.models) + 1, work)
    show_models(models, settings)
    wrong = list(problems(models))
    if sentences:
        worst = show_similarities(sentences)
        if not worst <= ERROR_LIMIT:
            wrong.append(f"sentence similarities differ by {worst:.1e}")
    elif "minilm" in models:
        wrong.append("sentence similarities could not be compared")
    for line in wrong:
        console.print(line, style="red", markup=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
