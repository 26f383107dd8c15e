"""The zoo: the architectures of the deep-learning canon, each in the language, each with its twin.

A member is two short files side by side: `resnet.py` in the language, `resnet_torch.py` in PyTorch.
`registry.py` lists them all; `python -m examples.zoo` measures them and writes docs/zoo.md.
"""
