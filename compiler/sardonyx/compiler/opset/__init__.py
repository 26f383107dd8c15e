"""Brings models from one opset to another: up when they come in, down when they go out."""

from sardonyx.compiler.opset.down import lower_opset as lower_opset
from sardonyx.compiler.opset.down import newer_nodes as newer_nodes
from sardonyx.compiler.opset.up import raise_opset as raise_opset
from sardonyx.compiler.opset.up import raise_stamped as raise_stamped
from sardonyx.compiler.opset.up import stamp_versions as stamp_versions
from sardonyx.compiler.opset.write_out import write_out as write_out
