"""Proof that a program computes what its source does, gathered while it is compiled."""

from sardonyx.compiler.proof.begin import SAMPLES, begin, level_of
from sardonyx.compiler.proof.execute import ExecutionError, Executor, Limits
from sardonyx.compiler.proof.plan import LEVELS, Plan
from sardonyx.compiler.proof.prover import Prover
from sardonyx.compiler.proof.report import Check, Incident, Proof

__all__ = [
    "LEVELS",
    "SAMPLES",
    "Check",
    "ExecutionError",
    "Executor",
    "Incident",
    "Limits",
    "Plan",
    "Proof",
    "Prover",
    "begin",
    "level_of",
]
