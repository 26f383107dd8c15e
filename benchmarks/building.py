"""How long it takes to build residual networks in the language: `python -m benchmarks.building`.

Each contender builds the same network in a process of its own, in turn: the zoo's, with a fixed
and with a symbolic size of the image, and plain onnx protobufs with onnx's shape inference.
Numbers of weights are not made. Printed: milliseconds, the fastest of the rounds, without imports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.ratios import in_turn

REPOSITORY = Path(__file__).resolve().parents[1]
DEPTHS = {"resnet50": (3, 4, 6, 3), "resnet200": (3, 24, 36, 3)}


def by_language(depths: tuple[int, ...], size: int | tuple[str, str]) -> Callable[[], int]:
    from examples.zoo.convolutional.resnet import resnet
    from sardonyx.frontends import dsl

    height, width = (size, size) if isinstance(size, int) else size

    def build() -> int:
        model = resnet.build(x=dsl.f32["batch", 3, height, width], depths=depths)
        return len(model.parameters())

    return build


def by_protobufs(depths: tuple[int, ...]) -> Callable[[], int]:
    import onnx
    from onnx import TensorProto, helper

    def build() -> int:
        nodes: list[onnx.NodeProto] = []
        weights: list[onnx.ValueInfoProto] = []

        def weight(*shape: int) -> str:
            weights.append(
                helper.make_tensor_value_info(f"w{len(weights)}", TensorProto.FLOAT, shape)
            )
            return str(weights[-1].name)

        def add(op_type: str, *inputs: str, **attributes: object) -> str:
            nodes.append(helper.make_node(op_type, inputs, [f"v{len(nodes)}"], **attributes))
            return str(nodes[-1].output[0])

        def norm(x: str, channels: int, inner: int, kernel: int, stride: int = 1) -> str:
            x = add(
                "Conv",
                x,
                weight(channels, inner, kernel, kernel),
                kernel_shape=[kernel] * 2,
                strides=[stride] * 2,
                pads=[kernel // 2] * 4,
            )
            return add("BatchNormalization", x, *(weight(channels) for _ in range(4)))

        x = add("Relu", norm("x", 64, 3, 7, 2))
        x, inner = add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 64
        for stage, blocks in enumerate(depths):
            for block in range(blocks):
                width, stride = 64 * 2**stage, 2 if stage and not block else 1
                y = add("Relu", norm(x, width, inner, 1))
                y = norm(add("Relu", norm(y, width, width, 3, stride)), 4 * width, width, 1)
                x = x if block else norm(x, 4 * width, inner, 1, stride)
                x, inner = add("Relu", add("Add", y, x)), 4 * width
        x = add("Flatten", add("GlobalAveragePool", x))
        x = add("Gemm", x, weight(1000, inner), weight(1000), transB=1)
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 224, 224])
        result = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", 1000])
        graph = helper.make_graph(nodes, "resnet", [image, *weights], [result])
        onnx.shape_inference.infer_shapes(helper.make_model(graph), strict_mode=True)
        return len(weights)

    return build


CONTENDERS: dict[str, Callable[[tuple[int, ...]], Callable[[], int]]] = {
    "language, 224 x 224": lambda depths: by_language(depths, 224),
    "language, height x width": lambda depths: by_language(depths, ("height", "width")),
    "protobufs, 224 x 224": by_protobufs,
}


def measure(contender: str, network: str) -> float:
    """Seconds of one build, in this process."""
    build = CONTENDERS[contender](DEPTHS[network])
    start = time.perf_counter()
    assert build() > 100
    return time.perf_counter() - start


def one(network: str, contender: str) -> float:
    """Seconds of one build, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.building", "--one", contender, network]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "NETWORK"))
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(*chosen.one)))
        return
    for network in DEPTHS:
        times = in_turn(CONTENDERS, chosen.rounds, partial(one, network))
        least = {name: min(found) for name, found in times.items()}
        base = least["protobufs, 224 x 224"]
        for name, seconds in least.items():
            print(f"{network:10} {name:26} {seconds * 1e3:8.1f} ms {seconds / base:6.2f} x")


if __name__ == "__main__":
    main()
