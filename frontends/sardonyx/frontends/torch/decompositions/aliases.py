"""Second names of operators: under the first ones the exporter promotes the types of operands."""

from __future__ import annotations

from typing import Any

import torch

aten: Any = torch.ops.aten


TABLE = {
    aten.divide.Scalar: aten.div.Scalar,
    aten.divide.Tensor: aten.div.Tensor,
    aten.greater.Tensor: aten.gt.Tensor,
    aten.greater_equal.Tensor: aten.ge.Tensor,
    aten.less.Tensor: aten.lt.Tensor,
    aten.less_equal.Tensor: aten.le.Tensor,
    aten.multiply.Scalar: aten.mul.Scalar,
    aten.multiply.Tensor: aten.mul.Tensor,
    aten.subtract.Scalar: aten.sub.Scalar,
    aten.subtract.Tensor: aten.sub.Tensor,
    aten.true_divide.Scalar: aten.div.Scalar,
    aten.true_divide.Tensor: aten.div.Tensor,
}
