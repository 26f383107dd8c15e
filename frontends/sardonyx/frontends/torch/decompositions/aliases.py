"""Second names of operators: under the first ones the exporter promotes the types of operands."""

from __future__ import annotations

from typing import Any

import torch

aten: Any = torch.ops.aten


TABLE = {
    "divide.Scalar": aten.div.Scalar,
    "divide.Tensor": aten.div.Tensor,
    "greater.Tensor": aten.gt.Tensor,
    "greater_equal.Tensor": aten.ge.Tensor,
    "less.Tensor": aten.lt.Tensor,
    "less_equal.Tensor": aten.le.Tensor,
    "multiply.Scalar": aten.mul.Scalar,
    "multiply.Tensor": aten.mul.Tensor,
    "subtract.Scalar": aten.sub.Scalar,
    "subtract.Tensor": aten.sub.Tensor,
    "true_divide.Scalar": aten.div.Scalar,
    "true_divide.Tensor": aten.div.Tensor,
}
