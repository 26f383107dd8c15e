"""LeNet-5 and a GPT block in other languages that write ONNX graphs, beside those of the zoo."""
