"""Many requests on one session: batches, buckets of shapes, and what came of them."""

from .batcher import Batcher
from .buckets import Buckets
from .statistics import Statistics

__all__ = ["Batcher", "Buckets", "Statistics"]
