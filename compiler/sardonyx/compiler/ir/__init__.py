"""The graph IR: onnx_ir's containers, plus builder, mutation door, types, verifier and text."""
