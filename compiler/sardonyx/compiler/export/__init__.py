"""From a graph at stage core to a file: legalised for a target, serialised, written atomically."""

from sardonyx.compiler.export.artifact import save as save
from sardonyx.compiler.export.artifact import to_bytes as to_bytes
from sardonyx.compiler.export.legalise import best_opset as best_opset
from sardonyx.compiler.export.legalise import legalise as legalise
from sardonyx.compiler.export.manifest import SESSION as SESSION
from sardonyx.compiler.export.manifest import TUNING as TUNING
from sardonyx.compiler.export.manifest import disabled_optimizers as disabled_optimizers
from sardonyx.compiler.export.manifest import manifest as manifest
from sardonyx.compiler.export.manifest import note as note
from sardonyx.compiler.export.manifest import stamp as stamp
from sardonyx.compiler.export.manifest import switch_off as switch_off
