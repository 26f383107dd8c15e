"""Random graphs of operators that do, and do not, care about the order of axes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sardonyx.compiler.ir.builder import Builder
from sardonyx.compiler.ir.types import Types

PERMS = {
    4: [(0, 2, 3, 1), (0, 3, 1, 2), (0, 2, 1, 3), (0, 1, 3, 2)],
    3: [(0, 2, 1), (1, 0, 2), (2, 0, 1)],
    2: [(1, 0)],
}


class Graph:
    """Builds one random model; each step adds a node that reads values made so far."""

    def __init__(self, seed, steps):
        self.random = np.random.default_rng(seed)
        graph = ir.Graph([], [], nodes=[], opset_imports={"": 23}, name=f"seed_{seed}")
        self.model = ir.Model(graph, ir_version=10)
        self.op = Builder(Types(self.model), graph.opset_imports)
        self.pool = []
        batch = ir.SymbolicDim("b") if self.random.random() < 0.5 else 2
        shapes = [(batch, 3, 5, 4), (batch, 5, 4, 3)]
        for index in range(int(self.random.integers(1, 3))):
            value = ir.val(f"x{index}", ir.DataType.FLOAT, ir.Shape(shapes[index]))
            graph.inputs.append(value)
            self.pool.append(value)
        while len(self.op.nodes) < steps:
            self.step()
        self.finish()

    def pick(self, rank=None):
        """Return a value made so far, a late one more likely."""
        fit = [v for v in self.pool if rank is None or len(v.shape) == rank]
        if not fit:
            return None
        late = fit[-4:] if self.random.random() < 0.6 else fit
        return late[int(self.random.integers(len(late)))]

    def choice(self, things):
        return things[int(self.random.integers(len(things)))]

    def normal(self, *shape):
        return self.random.normal(size=shape).astype(np.float32)

    def axis(self, value):
        return int(self.random.integers(-len(value.shape), len(value.shape)))

    def static_axis(self, value, least=1):
        """Return an axis of known length, or None."""
        fit = [k for k, d in enumerate(value.shape) if isinstance(d, int) and d >= least]
        return self.choice(fit) if fit else None

    def step(self):
        kinds = [
            *["transpose"] * 6,
            *["unary"] * 3,
            *["binary"] * 3,
            "bias",
            "concat",
            "split",
            "softmax",
            "reduce",
            "pad",
            "cut",
            "axes",
            "conv",
            "linear",
            "shape",
            "gather",
            "norm",
            "where",
            "tile",
        ]
        made = getattr(self, self.choice(kinds))(self.pick())
        for value in made if isinstance(made, (tuple, list)) else [made]:
            if value is not None and len(value.shape) > 0:
                self.pool.append(value)

    def transpose(self, x):
        perms = PERMS.get(len(x.shape))
        return self.op.Transpose(x, perm=self.choice(perms)) if perms else None

    def unary(self, x):
        if self.random.random() < 0.2:
            return self.op.Clip(x, -1.5, 1.5)
        return getattr(self.op, self.choice(["Relu", "Neg", "Tanh", "Abs", "HardSwish"]))(x)

    def binary(self, x):
        """Combine two values of one shape, or one with what a reduction made of it."""
        fit = [v for v in self.pool if v.shape == x.shape]
        y = self.choice(fit)
        if self.random.random() < 0.25:
            y = self.op.ReduceMean(y, [self.axis(y)], keepdims=1)
        return getattr(self.op, self.choice(["Add", "Mul", "Sub", "Max"]))(x, y)

    def bias(self, x):
        """Add a constant, or a computed vector, that broadcasts."""
        if not isinstance(x.shape[-1], int):
            return None
        if self.random.random() < 0.5:
            return self.op.Add(self.normal(x.shape[-1]), x)
        if len(x.shape) == 4 and isinstance(x.shape[1], int):
            return self.op.Mul(x, self.normal(x.shape[1], 1, 1))
        vector = self.op.ReduceMax(x, list(range(len(x.shape) - 1)), keepdims=0)
        return self.op.Add(x, vector)

    def concat(self, x):
        fit = [v for v in self.pool if v.shape == x.shape]
        return self.op.Concat(x, self.choice(fit), axis=self.axis(x))

    def split(self, x):
        axis = self.static_axis(x, least=2)
        if axis is None:
            return None
        sizes = [1, x.shape[axis] - 1]
        return self.op.Split(x, sizes, axis=axis, outputs=2)

    def softmax(self, x):
        return self.op.Softmax(x, axis=self.choice([-1, self.axis(x)]))

    def reduce(self, x):
        axes = self.random.permutation(len(x.shape))[: int(self.random.integers(1, 3))]
        if len(x.shape) < 3:
            return None
        keepdims = int(self.random.integers(2))
        return self.op.ReduceSum(x, [int(axis) for axis in axes], keepdims=keepdims)

    def pad(self, x):
        return self.op.Pad(x, [int(n) for n in self.random.integers(0, 2, 2 * len(x.shape))])

    def cut(self, x):
        axis = self.static_axis(x, least=3)
        return None if axis is None else self.op.Slice(x, [1], [3], [axis])

    def axes(self, x):
        if len(x.shape) < 4:
            return self.op.Unsqueeze(x, [int(self.random.integers(len(x.shape) + 1))])
        ones = [k for k, d in enumerate(x.shape) if d == 1]
        return self.op.Squeeze(x, [self.choice(ones)]) if ones else None

    def conv(self, x):
        x = self.pick(4)
        if x is None or not isinstance(x.shape[1], int):
            return None
        return self.op.Conv(x, self.normal(3, x.shape[1], 1, 1), kernel_shape=[1, 1])

    def linear(self, x):
        if not isinstance(x.shape[-1], int):
            return None
        return self.op.MatMul(x, self.normal(x.shape[-1], 3))

    def shape(self, x):
        return self.op.Cast(self.op.Shape(x), to=1)

    def gather(self, x):
        axis = self.static_axis(x)
        index = self.choice([0, [0, -1]])
        return None if axis is None else self.op.Gather(x, np.array(index, np.int64), axis=axis)

    def norm(self, x):
        if not isinstance(x.shape[-1], int):
            return None
        return self.op.LayerNormalization(x, self.normal(x.shape[-1]), axis=-1)

    def where(self, x):
        return self.op.Where(self.op.Greater(x, 0.1), x, self.op.Neg(x))

    def tile(self, x):
        if self.random.random() < 0.5:
            return self.op.Tile(x, [int(n) for n in self.random.integers(1, 3, len(x.shape))])
        shape = self.op.Shape(x)
        return self.op.Expand(x, shape)

    def finish(self):
        graph = self.model.graph
        graph.extend(self.op.nodes)
        for index, value in enumerate(v for v in self.op.constants if v.uses()):
            value.name = f"c{index}"
            graph.register_initializer(value)
        ends = [v for node in self.op.nodes for v in node.outputs if not v.uses()]
        inner = [v for v in self.pool if v.uses() and not v.is_graph_input()]
        if inner:
            ends.append(self.choice(inner))
        graph.outputs.extend(ends)


def random_graph(seed, steps=14):
    """Return a model."""
    return Graph(seed, steps).model
