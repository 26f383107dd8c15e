"""How fast a model answers: latency, throughput at several clients, memory, against others."""

from .bench import Cases, Contender, bench
from .report import Benchmark, Loaded, Measurement

__all__ = ["Benchmark", "Cases", "Contender", "Loaded", "Measurement", "bench"]
