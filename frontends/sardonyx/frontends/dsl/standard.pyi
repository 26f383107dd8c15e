# Written by `python -m tests.support.operator_stubs` from the schemas of the onnx package.
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from sardonyx.frontends.dsl.dims import Dim
from sardonyx.frontends.dsl.symbol import Symbol
from sardonyx.frontends.dsl.tensor import Tensor

TensorLike: TypeAlias = np.ndarray[Any, Any] | ir.TensorProtocol
Operand: TypeAlias = (
    Symbol | Dim | TensorLike | np.generic | bool | int | float | str | Sequence[Any]
)

class Standard:
    domain: str
    def Abs(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Absolute takes one input data (Tensor<T>) and produces one output data (Tensor<T>)
        where absolute value, y = abs(x), is applied to the tensor elementwise.
        """
    def Acos(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the arccosine (inverse of cosine) of the given input tensor, element-wise."""
    def Acosh(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the hyperbolic arccosine of the given input tensor element-wise."""
    def Add(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Performs element-wise binary addition (with Numpy-style broadcasting support)."""
    def AffineGrid(
        self,
        theta: Operand,
        size: Operand,
        *,
        align_corners: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Generates a 2D or 3D flow field (sampling grid), given a batch of affine matrices
        theta
        (https://pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html).
        """
    def And(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulted from performing the `and` logical operation elementwise on
        the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def ArgMax(
        self,
        data: Operand,
        *,
        axis: int = 0,
        keepdims: int = 1,
        select_last_index: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the indices of the max elements of the input tensor's element along the
        provided axis.
        """
    def ArgMin(
        self,
        data: Operand,
        *,
        axis: int = 0,
        keepdims: int = 1,
        select_last_index: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the indices of the min elements of the input tensor's element along the
        provided axis.
        """
    def Asin(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the arcsine (inverse of sine) of the given input tensor, element-wise."""
    def Asinh(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the hyperbolic arcsine of the given input tensor element-wise."""
    def Atan(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the arctangent (inverse of tangent) of the given input tensor, element-
        wise.
        """
    def Atanh(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the hyperbolic arctangent of the given input tensor element-wise."""
    def Attention(
        self,
        Q: Operand,
        K: Operand,
        V: Operand,
        attn_mask: Operand | None = None,
        past_key: Operand | None = None,
        past_value: Operand | None = None,
        *,
        is_causal: int = 0,
        kv_num_heads: int | None = None,
        q_num_heads: int | None = None,
        qk_matmul_output_mode: int = 0,
        scale: float | None = None,
        softcap: float = 0.0,
        softmax_precision: int | None = None,
        outputs: int | None = None,
    ) -> Any: ...
    def AveragePool(
        self,
        X: Operand,
        *,
        auto_pad: str = "NOTSET",
        ceil_mode: int = 0,
        count_include_pad: int = 0,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int],
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """AveragePool consumes an input tensor X and applies average pooling across the tensor
        according to kernel sizes, stride sizes, and pad lengths.
        """
    def BatchNormalization(
        self,
        X: Operand,
        scale: Operand,
        B: Operand,
        input_mean: Operand,
        input_var: Operand,
        *,
        epsilon: float = 9.999999747378752e-06,
        momentum: float = 0.8999999761581421,
        training_mode: int = 0,
        outputs: int | None = None,
    ) -> Any:
        """Carries out batch normalization as described in the paper
        https://arxiv.org/abs/1502.03167.
        """
    def Bernoulli(
        self,
        input: Operand,
        *,
        dtype: int | None = None,
        seed: float | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Draws binary random numbers (0 or 1) from a Bernoulli distribution."""
    def BitShift(
        self,
        X: Operand,
        Y: Operand,
        *,
        direction: str,
        outputs: int | None = None,
    ) -> Tensor:
        """Bitwise shift operator performs element-wise operation."""
    def BitwiseAnd(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulting from performing the bitwise `and` operation elementwise
        on the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def BitwiseNot(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the bitwise not of the input tensor element-wise."""
    def BitwiseOr(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulting from performing the bitwise `or` operation elementwise on
        the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def BitwiseXor(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulting from performing the bitwise `xor` operation elementwise
        on the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def BlackmanWindow(
        self,
        size: Operand,
        *,
        output_datatype: int = 1,
        periodic: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Generates a Blackman window as described in the paper
        https://ieeexplore.ieee.org/document/1455106.
        """
    def Cast(
        self,
        input: Operand,
        *,
        saturate: int = 1,
        to: int,
        outputs: int | None = None,
    ) -> Tensor:
        """The operator casts the elements of a given input tensor to a data type specified by
        the 'to' argument and returns an output tensor of the same size in the converted type.
        """
    def CastLike(
        self,
        input: Operand,
        target_type: Operand,
        *,
        saturate: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """The operator casts the elements of a given input tensor (the first input) to the same
        data type as the elements of the second input tensor.
        """
    def Ceil(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Ceil takes one input data (Tensor<T>) and produces one output data (Tensor<T>) where
        the ceil is, y = ceil(x), is applied to the tensor elementwise.
        """
    def Celu(self, X: Operand, *, alpha: float = 1.0, outputs: int | None = None) -> Tensor:
        """Continuously Differentiable Exponential Linear Units"""
    def CenterCropPad(
        self,
        input_data: Operand,
        shape: Operand,
        *,
        axes: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Center crop or pad an input to given dimensions."""
    def Clip(
        self,
        input: Operand,
        min: Operand | None = None,
        max: Operand | None = None,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Clip operator limits the given input within an interval."""
    def Col2Im(
        self,
        input: Operand,
        image_shape: Operand,
        block_shape: Operand,
        *,
        dilations: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """The operator rearranges column blocks back into a multidimensional image"""
    def Compress(
        self,
        input: Operand,
        condition: Operand,
        *,
        axis: int | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Selects slices from an input tensor along a given axis where condition evaluates to
        True for each axis index.
        """
    def Concat(self, *inputs: Operand, axis: int, outputs: int | None = None) -> Tensor:
        """Concatenate a list of tensors into a single tensor."""
    def ConcatFromSequence(
        self,
        input_sequence: Operand,
        *,
        axis: int,
        new_axis: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Concatenate a sequence of tensors into a single tensor."""
    def Constant(
        self,
        *,
        sparse_value: Any = ...,
        value: TensorLike | None = None,
        value_float: float | None = None,
        value_floats: Sequence[float] | None = None,
        value_int: int | None = None,
        value_ints: Sequence[int] | None = None,
        value_string: str | None = None,
        value_strings: Sequence[str] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """This operator produces a constant tensor."""
    def ConstantOfShape(
        self,
        input: Operand,
        *,
        value: TensorLike | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a tensor with given value and shape."""
    def Conv(
        self,
        X: Operand,
        W: Operand,
        B: Operand | None = None,
        *,
        auto_pad: str = "NOTSET",
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """The convolution operator consumes an input tensor and a filter, and computes the
        output.
        """
    def ConvInteger(
        self,
        x: Operand,
        w: Operand,
        x_zero_point: Operand | None = None,
        w_zero_point: Operand | None = None,
        *,
        auto_pad: str = "NOTSET",
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """The integer convolution operator consumes an input tensor, its zero-point, a filter,
        and its zero-point, and computes the output.
        """
    def ConvTranspose(
        self,
        X: Operand,
        W: Operand,
        B: Operand | None = None,
        *,
        auto_pad: str = "NOTSET",
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        output_padding: Sequence[int] | None = None,
        output_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """The convolution transpose operator consumes an input tensor and a filter, and computes
        the output.
        """
    def Cos(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the cosine of the given input tensor, element-wise."""
    def Cosh(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the hyperbolic cosine of the given input tensor element-wise."""
    def CumSum(
        self,
        x: Operand,
        axis: Operand,
        *,
        exclusive: int = 0,
        reverse: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Performs cumulative sum of the input elements along the given axis."""
    def DFT(
        self,
        input: Operand,
        dft_length: Operand | None = None,
        axis: Operand | None = None,
        *,
        inverse: int = 0,
        onesided: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the discrete Fourier Transform (DFT) of the input."""
    def DeformConv(
        self,
        X: Operand,
        W: Operand,
        offset: Operand,
        B: Operand | None = None,
        mask: Operand | None = None,
        *,
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        offset_group: int = 1,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Performs deformable convolution as described in https://arxiv.org/abs/1703.06211 and
        https://arxiv.org/abs/1811.11168.
        """
    def DepthToSpace(
        self,
        input: Operand,
        *,
        blocksize: int,
        mode: str = "DCR",
        outputs: int | None = None,
    ) -> Tensor:
        """DepthToSpace rearranges (permutes) data from depth into blocks of spatial data."""
    def DequantizeLinear(
        self,
        x: Operand,
        x_scale: Operand,
        x_zero_point: Operand | None = None,
        *,
        axis: int = 1,
        block_size: int = 0,
        output_dtype: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """The linear dequantization operator."""
    def Det(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Det calculates determinant of a square matrix or batches of square matrices."""
    def Div(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Performs element-wise binary division (with Numpy-style broadcasting support)."""
    def Dropout(
        self,
        data: Operand,
        ratio: Operand | None = None,
        training_mode: Operand | None = None,
        *,
        seed: int | None = None,
        outputs: int | None = None,
    ) -> Any:
        """Dropout takes an input floating-point tensor, an optional input ratio (floating-point
        scalar) and an optional input training_mode (boolean scalar).
        """
    def DynamicQuantizeLinear(
        self,
        x: Operand,
        *,
        outputs: int | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A Function to fuse calculation for Scale, Zero Point and FP32->8Bit conversion of FP32
        Input data.
        """
    def Einsum(self, *Inputs: Operand, equation: str, outputs: int | None = None) -> Tensor:
        """An einsum of the form `term1, term2 -> output-term` produces an output tensor using
        the following equation
        """
    def Elu(self, X: Operand, *, alpha: float = 1.0, outputs: int | None = None) -> Tensor:
        """Elu takes one input data (Tensor<T>) and produces one output data (Tensor<T>) where
        the function `f(x) = alpha * (exp(x) - 1.) for x < 0`, `f(x) = x for x >= 0`., is
        applied to the tensor elementwise.
        """
    def Equal(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulted from performing the `equal` logical operation elementwise
        on the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def Erf(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Computes the error function of the given input tensor element-wise."""
    def Exp(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the exponential of the given input tensor, element-wise."""
    def Expand(self, input: Operand, shape: Operand, *, outputs: int | None = None) -> Tensor:
        """Broadcast the input tensor following the given shape and the broadcast rule."""
    def EyeLike(
        self,
        input: Operand,
        *,
        dtype: int | None = None,
        k: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a 2D tensor (matrix) with ones on the diagonal and zeros everywhere else."""
    def Flatten(self, input: Operand, *, axis: int = 1, outputs: int | None = None) -> Tensor:
        """Flattens the input tensor into a 2D matrix."""
    def Floor(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Floor takes one input data (Tensor<T>) and produces one output data (Tensor<T>) where
        the floor is, y = floor(x), is applied to the tensor elementwise.
        """
    def GRU(
        self,
        X: Operand,
        W: Operand,
        R: Operand,
        B: Operand | None = None,
        sequence_lens: Operand | None = None,
        initial_h: Operand | None = None,
        *,
        activation_alpha: Sequence[float] | None = None,
        activation_beta: Sequence[float] | None = None,
        activations: Sequence[str] | None = None,
        clip: float | None = None,
        direction: str = "forward",
        hidden_size: int | None = None,
        layout: int = 0,
        linear_before_reset: int = 0,
        outputs: int | None = None,
    ) -> Any:
        """Computes an one-layer GRU."""
    def Gather(
        self,
        data: Operand,
        indices: Operand,
        *,
        axis: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Given `data` tensor of rank r >= 1, and `indices` tensor of rank q, gather entries of
        the axis dimension of `data` (by default outer-most one as axis=0) indexed by
        `indices`, and concatenates them in an output tensor of rank q + (r - 1).
        """
    def GatherElements(
        self,
        data: Operand,
        indices: Operand,
        *,
        axis: int = 0,
        outputs: int | None = None,
    ) -> Tensor: ...
    def GatherND(
        self,
        data: Operand,
        indices: Operand,
        *,
        batch_dims: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Given `data` tensor of rank `r` >= 1, `indices` tensor of rank `q` >= 1, and
        `batch_dims` integer `b`, this operator gathers slices of `data` into an output tensor
        of rank `q + r - indices_shape[-1] - 1 - b`.
        """
    def Gelu(self, X: Operand, *, approximate: str = "none", outputs: int | None = None) -> Tensor:
        """Gelu takes one input data (Tensor<T>) and produces one output data (Tensor<T>) where
        the gaussian error linear units function, $y = 0.5 * x * (1 + erf(x/sqrt(2)))$ is
        applied to the tensor elementwise.
        """
    def Gemm(
        self,
        A: Operand,
        B: Operand,
        C: Operand | None = None,
        *,
        alpha: float = 1.0,
        beta: float = 1.0,
        transA: int = 0,
        transB: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """General Matrix multiplication"""
    def GlobalAveragePool(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """GlobalAveragePool consumes an input tensor X and applies average pooling across the
        values in the same channel.
        """
    def GlobalLpPool(self, X: Operand, *, p: int = 2, outputs: int | None = None) -> Tensor:
        """GlobalLpPool consumes an input tensor X and applies lp pool pooling across the values
        in the same channel.
        """
    def GlobalMaxPool(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """GlobalMaxPool consumes an input tensor X and applies max pooling across the values in
        the same channel.
        """
    def Greater(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulted from performing the `greater` logical operation
        elementwise on the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def GreaterOrEqual(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulted from performing the `greater_equal` logical operation
        elementwise on the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def GridSample(
        self,
        X: Operand,
        grid: Operand,
        *,
        align_corners: int = 0,
        mode: str = "linear",
        padding_mode: str = "zeros",
        outputs: int | None = None,
    ) -> Tensor:
        """Given an input `X` and a flow-field `grid`, computes the output `Y` using `X` values
        and pixel locations from the `grid`.
        """
    def GroupNormalization(
        self,
        X: Operand,
        scale: Operand,
        bias: Operand,
        *,
        epsilon: float = 9.999999747378752e-06,
        num_groups: int,
        stash_type: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """A GroupNormalization function."""
    def HammingWindow(
        self,
        size: Operand,
        *,
        output_datatype: int = 1,
        periodic: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Generates a Hamming window as described in the paper
        https://ieeexplore.ieee.org/document/1455106.
        """
    def HannWindow(
        self,
        size: Operand,
        *,
        output_datatype: int = 1,
        periodic: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Generates a Hann window as described in the paper
        https://ieeexplore.ieee.org/document/1455106.
        """
    def HardSigmoid(
        self,
        X: Operand,
        *,
        alpha: float = 0.20000000298023224,
        beta: float = 0.5,
        outputs: int | None = None,
    ) -> Tensor:
        """HardSigmoid takes one input data (Tensor<T>) and produces one output data (Tensor<T>)
        where the HardSigmoid function, y = max(0, min(1, alpha * x + beta)), is applied to
        the tensor elementwise.
        """
    def HardSwish(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """HardSwish takes one input data (Tensor<T>) and produces one output data (Tensor<T>)
        where the HardSwish function, y = x * max(0, min(1, alpha * x + beta)) = x *
        HardSigmoid<alpha, beta>(x), where alpha = 1/6 and beta = 0.5, is applied to the
        """
    def Hardmax(self, input: Operand, *, axis: int = -1, outputs: int | None = None) -> Tensor:
        """The operator computes the hardmax values for the given input"""
    def Identity(self, input: Operand, *, outputs: int | None = None) -> Any:
        """Identity operator"""
    def If(
        self,
        cond: Operand,
        *,
        else_branch: ir.Graph,
        then_branch: ir.Graph,
        outputs: int | None = None,
    ) -> Any:
        """If conditional"""
    def ImageDecoder(
        self,
        encoded_stream: Operand,
        *,
        pixel_format: str = "RGB",
        outputs: int | None = None,
    ) -> Tensor:
        """Loads and decodes and image from a file."""
    def InstanceNormalization(
        self,
        input: Operand,
        scale: Operand,
        B: Operand,
        *,
        epsilon: float = 9.999999747378752e-06,
        outputs: int | None = None,
    ) -> Tensor:
        """Carries out instance normalization as described in the paper
        https://arxiv.org/abs/1607.08022.
        """
    def IsInf(
        self,
        X: Operand,
        *,
        detect_negative: int = 1,
        detect_positive: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Map infinity to true and other values to false."""
    def IsNaN(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns which elements of the input are NaN."""
    def LRN(
        self,
        X: Operand,
        *,
        alpha: float = 9.999999747378752e-05,
        beta: float = 0.75,
        bias: float = 1.0,
        size: int,
        outputs: int | None = None,
    ) -> Tensor:
        """Local Response Normalization proposed in the [AlexNet
        paper](https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-
        convolutional-neural-networks.pdf).
        """
    def LSTM(
        self,
        X: Operand,
        W: Operand,
        R: Operand,
        B: Operand | None = None,
        sequence_lens: Operand | None = None,
        initial_h: Operand | None = None,
        initial_c: Operand | None = None,
        P: Operand | None = None,
        *,
        activation_alpha: Sequence[float] | None = None,
        activation_beta: Sequence[float] | None = None,
        activations: Sequence[str] | None = None,
        clip: float | None = None,
        direction: str = "forward",
        hidden_size: int | None = None,
        input_forget: int = 0,
        layout: int = 0,
        outputs: int | None = None,
    ) -> Any:
        """Computes an one-layer LSTM."""
    def LayerNormalization(
        self,
        X: Operand,
        Scale: Operand,
        B: Operand | None = None,
        *,
        axis: int = -1,
        epsilon: float = 9.999999747378752e-06,
        stash_type: int = 1,
        outputs: int | None = None,
    ) -> Any:
        """This is layer normalization defined in ONNX as function."""
    def LeakyRelu(
        self,
        X: Operand,
        *,
        alpha: float = 0.009999999776482582,
        outputs: int | None = None,
    ) -> Tensor:
        """LeakyRelu takes input data (Tensor<T>) and an argument alpha, and produces one output
        data (Tensor<T>) where the function `f(x) = alpha * x for x < 0`, `f(x) = x for x >=
        0`, is applied to the data tensor elementwise.
        """
    def Less(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulted from performing the `less` logical operation elementwise
        on the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def LessOrEqual(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulted from performing the `less_equal` logical operation
        elementwise on the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def Log(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the natural log of the given input tensor, element-wise."""
    def LogSoftmax(self, input: Operand, *, axis: int = -1, outputs: int | None = None) -> Tensor:
        """The operator computes the log of softmax values for the given input"""
    def Loop(
        self,
        M: Operand | None = None,
        cond: Operand | None = None,
        *v_initial: Operand,
        body: ir.Graph,
        outputs: int | None = None,
    ) -> Any:
        """Generic Looping construct."""
    def LpNormalization(
        self,
        input: Operand,
        *,
        axis: int = -1,
        p: int = 2,
        outputs: int | None = None,
    ) -> Tensor:
        """Given a matrix, apply Lp-normalization along the provided axis."""
    def LpPool(
        self,
        X: Operand,
        *,
        auto_pad: str = "NOTSET",
        ceil_mode: int = 0,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int],
        p: int = 2,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """LpPool consumes an input tensor X and applies Lp pooling across the tensor according
        to kernel sizes, stride sizes, and pad lengths.
        """
    def MatMul(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Matrix product that behaves like
        [numpy.matmul](https://numpy.org/doc/stable/reference/generated/numpy.matmul.html).
        """
    def MatMulInteger(
        self,
        A: Operand,
        B: Operand,
        a_zero_point: Operand | None = None,
        b_zero_point: Operand | None = None,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Matrix product that behaves like
        [numpy.matmul](https://numpy.org/doc/stable/reference/generated/numpy.matmul.html).
        """
    def Max(self, *data_0: Operand, outputs: int | None = None) -> Tensor:
        """Element-wise max of each of the input tensors (with Numpy-style broadcasting support)."""
    def MaxPool(
        self,
        X: Operand,
        *,
        auto_pad: str = "NOTSET",
        ceil_mode: int = 0,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int],
        pads: Sequence[int] | None = None,
        storage_order: int = 0,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Any:
        """MaxPool consumes an input tensor X and applies max pooling across the tensor according
        to kernel sizes, stride sizes, and pad lengths.
        """
    def MaxRoiPool(
        self,
        X: Operand,
        rois: Operand,
        *,
        pooled_shape: Sequence[int],
        spatial_scale: float = 1.0,
        outputs: int | None = None,
    ) -> Tensor:
        """ROI max pool consumes an input tensor X and region of interests (RoIs) to apply max
        pooling across each RoI, to produce output 4-D tensor of shape (num_rois, channels,
        pooled_shape[0], pooled_shape[1]).
        """
    def MaxUnpool(
        self,
        X: Operand,
        I: Operand,
        output_shape: Operand | None = None,
        *,
        kernel_shape: Sequence[int],
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """MaxUnpool essentially computes the partial inverse of the MaxPool op."""
    def Mean(self, *data_0: Operand, outputs: int | None = None) -> Tensor:
        """Element-wise mean of each of the input tensors (with Numpy-style broadcasting
        support).
        """
    def MeanVarianceNormalization(
        self,
        X: Operand,
        *,
        axes: Sequence[int] = ...,
        outputs: int | None = None,
    ) -> Tensor:
        """A MeanVarianceNormalization Function"""
    def MelWeightMatrix(
        self,
        num_mel_bins: Operand,
        dft_length: Operand,
        sample_rate: Operand,
        lower_edge_hertz: Operand,
        upper_edge_hertz: Operand,
        *,
        output_datatype: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a MelWeightMatrix that can be used to re-weight a Tensor containing a
        linearly sampled frequency spectra (from DFT or STFT) into num_mel_bins frequency
        information based on the [lower_edge_hertz, upper_edge_hertz] range on the mel scale.
        """
    def Min(self, *data_0: Operand, outputs: int | None = None) -> Tensor:
        """Element-wise min of each of the input tensors (with Numpy-style broadcasting support)."""
    def Mish(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Mish"""
    def Mod(self, A: Operand, B: Operand, *, fmod: int = 0, outputs: int | None = None) -> Tensor:
        """Performs an element-wise binary modulo operation."""
    def Mul(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Performs element-wise binary multiplication (with Numpy-style broadcasting support)."""
    def Multinomial(
        self,
        input: Operand,
        *,
        dtype: int = 6,
        sample_size: int = 1,
        seed: float | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a tensor of samples from a multinomial distribution according to the
        probabilities of each of the possible outcomes.
        """
    def Neg(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Neg takes one input data (Tensor<T>) and produces one output data (Tensor<T>) where
        each element flipped sign, y = -x, is applied to the tensor elementwise.
        """
    def NegativeLogLikelihoodLoss(
        self,
        input: Operand,
        target: Operand,
        weight: Operand | None = None,
        *,
        ignore_index: int | None = None,
        reduction: str = "mean",
        outputs: int | None = None,
    ) -> Tensor:
        """A NegativeLogLikelihoodLoss operator computes (weighted) negative log likelihood loss."""
    def NonMaxSuppression(
        self,
        boxes: Operand,
        scores: Operand,
        max_output_boxes_per_class: Operand | None = None,
        iou_threshold: Operand | None = None,
        score_threshold: Operand | None = None,
        *,
        center_point_box: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Filter out boxes that have high intersection-over-union (IOU) overlap with previously
        selected boxes.
        """
    def NonZero(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the indices of the elements that are non-zero (in row-major order - by
        dimension).
        """
    def Not(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the negation of the input tensor element-wise."""
    def OneHot(
        self,
        indices: Operand,
        depth: Operand,
        values: Operand,
        *,
        axis: int = -1,
        outputs: int | None = None,
    ) -> Tensor:
        """Produces a one-hot tensor based on inputs."""
    def Optional(
        self,
        input: Operand | None = None,
        *,
        type: Any = ...,
        outputs: int | None = None,
    ) -> Any:
        """Constructs an optional-type value containing either an empty optional of a certain
        type specified by the attribute, or a non-empty value containing the input element.
        """
    def OptionalGetElement(self, input: Operand, *, outputs: int | None = None) -> Any:
        """If the input is a tensor or sequence type, it returns the input."""
    def OptionalHasElement(
        self,
        input: Operand | None = None,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Returns true if (1) the input is an optional-type and contains an element, or, (2) the
        input is a tensor or sequence type.
        """
    def Or(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulted from performing the `or` logical operation elementwise on
        the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """
    def PRelu(self, X: Operand, slope: Operand, *, outputs: int | None = None) -> Tensor:
        """PRelu takes input data (Tensor<T>) and slope tensor as input, and produces one output
        data (Tensor<T>) where the function `f(x) = slope * x for x < 0`, `f(x) = x for x >=
        0`., is applied to the data tensor elementwise.
        """
    def Pad(
        self,
        data: Operand,
        pads: Operand,
        constant_value: Operand | None = None,
        axes: Operand | None = None,
        *,
        mode: str = "constant",
        outputs: int | None = None,
    ) -> Tensor:
        """Given a tensor containing the data to be padded (`data`), a tensor containing the
        number of start and end pad values for axis (`pads`), (optionally) a `mode`, and
        (optionally) `constant_value`, a padded tensor (`output`) is generated.
        """
    def Pow(self, X: Operand, Y: Operand, *, outputs: int | None = None) -> Tensor:
        """Pow takes input data (Tensor<T>) and exponent Tensor, and produces one output data
        (Tensor<T>) where the function `f(x) = x^exponent`, is applied to the data tensor
        elementwise.
        """
    def QLinearConv(
        self,
        x: Operand,
        x_scale: Operand,
        x_zero_point: Operand,
        w: Operand,
        w_scale: Operand,
        w_zero_point: Operand,
        y_scale: Operand,
        y_zero_point: Operand,
        B: Operand | None = None,
        *,
        auto_pad: str = "NOTSET",
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """The convolution operator consumes a quantized input tensor, its scale and zero point,
        a quantized filter, its scale and zero point, and output's scale and zero point, and
        computes the quantized output.
        """
    def QLinearMatMul(
        self,
        a: Operand,
        a_scale: Operand,
        a_zero_point: Operand,
        b: Operand,
        b_scale: Operand,
        b_zero_point: Operand,
        y_scale: Operand,
        y_zero_point: Operand,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Matrix product that behaves like
        [numpy.matmul](https://numpy.org/doc/stable/reference/generated/numpy.matmul.html).
        """
    def QuantizeLinear(
        self,
        x: Operand,
        y_scale: Operand,
        y_zero_point: Operand | None = None,
        *,
        axis: int = 1,
        block_size: int = 0,
        output_dtype: int = 0,
        precision: int = 0,
        saturate: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """The linear quantization operator consumes a high-precision tensor, a scale, and a zero
        point to compute the low-precision/quantized tensor.
        """
    def RMSNormalization(
        self,
        X: Operand,
        scale: Operand,
        *,
        axis: int = -1,
        epsilon: float = 9.999999747378752e-06,
        stash_type: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """This is RMS normalization defined in ONNX as function as described in the paper
        https://arxiv.org/pdf/1910.07467.
        """
    def RNN(
        self,
        X: Operand,
        W: Operand,
        R: Operand,
        B: Operand | None = None,
        sequence_lens: Operand | None = None,
        initial_h: Operand | None = None,
        *,
        activation_alpha: Sequence[float] | None = None,
        activation_beta: Sequence[float] | None = None,
        activations: Sequence[str] = ...,
        clip: float | None = None,
        direction: str = "forward",
        hidden_size: int | None = None,
        layout: int = 0,
        outputs: int | None = None,
    ) -> Any:
        """Computes an one-layer simple RNN."""
    def RandomNormal(
        self,
        *,
        dtype: int = 1,
        mean: float = 0.0,
        scale: float = 1.0,
        seed: float | None = None,
        shape: Sequence[int],
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a tensor with random values drawn from a normal distribution."""
    def RandomNormalLike(
        self,
        input: Operand,
        *,
        dtype: int | None = None,
        mean: float = 0.0,
        scale: float = 1.0,
        seed: float | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a tensor with random values drawn from a normal distribution."""
    def RandomUniform(
        self,
        *,
        dtype: int = 1,
        high: float = 1.0,
        low: float = 0.0,
        seed: float | None = None,
        shape: Sequence[int],
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a tensor with random values drawn from a uniform distribution."""
    def RandomUniformLike(
        self,
        input: Operand,
        *,
        dtype: int | None = None,
        high: float = 1.0,
        low: float = 0.0,
        seed: float | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a tensor with random values drawn from a uniform distribution."""
    def Range(
        self,
        start: Operand,
        limit: Operand,
        delta: Operand,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Generate a tensor containing a sequence of numbers that begin at `start` and extends
        by increments of `delta` up to `limit` (exclusive).
        """
    def Reciprocal(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Reciprocal takes one input data (Tensor<T>) and produces one output data (Tensor<T>)
        where the reciprocal is, y = 1/x, is applied to the tensor elementwise.
        """
    def ReduceL1(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the L1 norm of the input tensor's elements along the provided axes."""
    def ReduceL2(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the L2 norm of the input tensor's elements along the provided axes."""
    def ReduceLogSum(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the log sum of the input tensor's elements along the provided axes."""
    def ReduceLogSumExp(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the log sum exponent of the input tensor's elements along the provided axes."""
    def ReduceMax(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the max of the input tensor's elements along the provided axes."""
    def ReduceMean(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the mean of the input tensor's elements along the provided axes."""
    def ReduceMin(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the min of the input tensor's elements along the provided axes."""
    def ReduceProd(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the product of the input tensor's elements along the provided axes."""
    def ReduceSum(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the sum of the input tensor's elements along the provided axes."""
    def ReduceSumSquare(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the sum square of the input tensor's elements along the provided axes."""
    def RegexFullMatch(
        self,
        X: Operand,
        *,
        pattern: str | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """RegexFullMatch performs a full regex match on each element of the input tensor."""
    def Relu(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Relu takes one input data (Tensor<T>) and produces one output data (Tensor<T>) where
        the rectified linear function, y = max(0, x), is applied to the tensor elementwise.
        """
    def Reshape(
        self,
        data: Operand,
        shape: Operand,
        *,
        allowzero: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Reshape the input tensor similar to numpy.reshape."""
    def Resize(
        self,
        X: Operand,
        roi: Operand | None = None,
        scales: Operand | None = None,
        sizes: Operand | None = None,
        *,
        antialias: int = 0,
        axes: Sequence[int] | None = None,
        coordinate_transformation_mode: str = "half_pixel",
        cubic_coeff_a: float = -0.75,
        exclude_outside: int = 0,
        extrapolation_value: float = 0.0,
        keep_aspect_ratio_policy: str = "stretch",
        mode: str = "nearest",
        nearest_mode: str = "round_prefer_floor",
        outputs: int | None = None,
    ) -> Tensor:
        """Resize the input tensor."""
    def ReverseSequence(
        self,
        input: Operand,
        sequence_lens: Operand,
        *,
        batch_axis: int = 1,
        time_axis: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Reverse batch of sequences having different lengths specified by `sequence_lens`."""
    def RoiAlign(
        self,
        X: Operand,
        rois: Operand,
        batch_indices: Operand,
        *,
        coordinate_transformation_mode: str = "half_pixel",
        mode: str = "avg",
        output_height: int = 1,
        output_width: int = 1,
        sampling_ratio: int = 0,
        spatial_scale: float = 1.0,
        outputs: int | None = None,
    ) -> Tensor:
        """Region of Interest (RoI) align operation described in the [Mask R-CNN
        paper](https://arxiv.org/abs/1703.06870).
        """
    def RotaryEmbedding(
        self,
        X: Operand,
        cos_cache: Operand,
        sin_cache: Operand,
        position_ids: Operand | None = None,
        *,
        interleaved: int = 0,
        num_heads: int | None = None,
        rotary_embedding_dim: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """RotaryEmbedding is the implementation of rotary positional embeddings (RoPE) based on
        the paper https://arxiv.org/pdf/2104.09864.
        """
    def Round(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Round takes one input Tensor and rounds the values, element-wise, meaning it finds the
        nearest integer for each value.
        """
    def STFT(
        self,
        signal: Operand,
        frame_step: Operand,
        window: Operand | None = None,
        frame_length: Operand | None = None,
        *,
        onesided: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Computes the Short-time Fourier Transform of the signal."""
    def Scan(
        self,
        *initial_state_and_scan_inputs: Operand,
        body: ir.Graph,
        num_scan_inputs: int,
        scan_input_axes: Sequence[int] | None = None,
        scan_input_directions: Sequence[int] | None = None,
        scan_output_axes: Sequence[int] | None = None,
        scan_output_directions: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Any:
        """Scan can be used to iterate over one or more scan_input tensors, constructing zero or
        more scan_output tensors.
        """
    def ScatterElements(
        self,
        data: Operand,
        indices: Operand,
        updates: Operand,
        *,
        axis: int = 0,
        reduction: str = "none",
        outputs: int | None = None,
    ) -> Tensor:
        """ScatterElements takes three inputs `data`, `updates`, and `indices` of the same rank r
        >= 1 and an optional attribute axis that identifies an axis of `data` (by default, the
        outer-most axis, that is axis 0).
        """
    def ScatterND(
        self,
        data: Operand,
        indices: Operand,
        updates: Operand,
        *,
        reduction: str = "none",
        outputs: int | None = None,
    ) -> Tensor:
        """ScatterND takes three inputs `data` tensor of rank r >= 1, `indices` tensor of rank q
        >= 1, and `updates` tensor of rank q + r - indices.shape[-1] - 1.
        """
    def Selu(
        self,
        X: Operand,
        *,
        alpha: float = 1.6732631921768188,
        gamma: float = 1.0507010221481323,
        outputs: int | None = None,
    ) -> Tensor:
        """Selu takes one input data (Tensor<T>) and produces one output data (Tensor<T>) where
        the scaled exponential linear unit function, `y = gamma * (alpha * e^x - alpha) for x
        <= 0`, `y = gamma * x for x > 0`, is applied to the tensor elementwise.
        """
    def SequenceAt(
        self,
        input_sequence: Operand,
        position: Operand,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Outputs a tensor copy from the tensor at 'position' in 'input_sequence'."""
    def SequenceConstruct(self, *inputs: Operand, outputs: int | None = None) -> Any:
        """Construct a tensor sequence containing 'inputs' tensors."""
    def SequenceEmpty(self, *, dtype: int | None = None, outputs: int | None = None) -> Any:
        """Construct an empty tensor sequence, with given data type."""
    def SequenceErase(
        self,
        input_sequence: Operand,
        position: Operand | None = None,
        *,
        outputs: int | None = None,
    ) -> Any:
        """Outputs a tensor sequence that removes the tensor at 'position' from 'input_sequence'."""
    def SequenceInsert(
        self,
        input_sequence: Operand,
        tensor: Operand,
        position: Operand | None = None,
        *,
        outputs: int | None = None,
    ) -> Any:
        """Outputs a tensor sequence that inserts 'tensor' into 'input_sequence' at 'position'."""
    def SequenceLength(self, input_sequence: Operand, *, outputs: int | None = None) -> Tensor:
        """Produces a scalar(tensor of empty shape) containing the number of tensors in
        'input_sequence'.
        """
    def SequenceMap(
        self,
        input_sequence: Operand,
        *additional_inputs: Operand,
        body: ir.Graph,
        outputs: int | None = None,
    ) -> Any:
        """Applies a sub-graph to each sample in the input sequence(s)."""
    def Shape(
        self,
        data: Operand,
        *,
        end: int | None = None,
        start: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Takes a tensor as input and outputs an 1D int64 tensor containing the shape of the
        input tensor.
        """
    def Shrink(
        self,
        input: Operand,
        *,
        bias: float = 0.0,
        lambd: float = 0.5,
        outputs: int | None = None,
    ) -> Tensor:
        """Shrink takes one input data (Tensor<numeric>) and produces one Tensor output, having
        same datatype and shape with input.
        """
    def Sigmoid(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Sigmoid takes one input data (Tensor<T>) and produces one output data (Tensor<T>)
        where the sigmoid function, y = 1 / (1 + exp(-x)), is applied to the tensor
        elementwise.
        """
    def Sign(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculate the sign of the given input tensor element-wise."""
    def Sin(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the sine of the given input tensor, element-wise."""
    def Sinh(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the hyperbolic sine of the given input tensor element-wise."""
    def Size(self, data: Operand, *, outputs: int | None = None) -> Tensor:
        """Takes a tensor as input and outputs a int64 scalar that equals to the total number of
        elements of the input tensor.
        """
    def Slice(
        self,
        data: Operand,
        starts: Operand,
        ends: Operand,
        axes: Operand | None = None,
        steps: Operand | None = None,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Produces a slice of the input tensor along multiple axes."""
    def Softmax(self, input: Operand, *, axis: int = -1, outputs: int | None = None) -> Tensor:
        """The operator computes the normalized exponential values for the given input"""
    def SoftmaxCrossEntropyLoss(
        self,
        scores: Operand,
        labels: Operand,
        weights: Operand | None = None,
        *,
        ignore_index: int | None = None,
        reduction: str = "mean",
        outputs: int | None = None,
    ) -> Any:
        """Loss function that measures the softmax cross entropy between 'scores' and 'labels'."""
    def Softplus(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Softplus takes one input data (Tensor<T>) and produces one output data (Tensor<T>)
        where the softplus function, y = ln(exp(x) + 1), is applied to the tensor elementwise.
        """
    def Softsign(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the softsign (x/(1+|x|)) of the given input tensor element-wise."""
    def SpaceToDepth(self, input: Operand, *, blocksize: int, outputs: int | None = None) -> Tensor:
        """SpaceToDepth rearranges blocks of spatial data into depth."""
    def Split(
        self,
        input: Operand,
        split: Operand | None = None,
        *,
        axis: int = 0,
        num_outputs: int | None = None,
        outputs: int | None = None,
    ) -> Any:
        """Split a tensor into a list of tensors, along the specified 'axis'."""
    def SplitToSequence(
        self,
        input: Operand,
        split: Operand | None = None,
        *,
        axis: int = 0,
        keepdims: int = 1,
        outputs: int | None = None,
    ) -> Any:
        """Split a tensor into a sequence of tensors, along the specified 'axis'."""
    def Sqrt(self, X: Operand, *, outputs: int | None = None) -> Tensor:
        """Square root takes one input data (Tensor<T>) and produces one output data (Tensor<T>)
        where the square root is, y = x^0.5, is applied to the tensor elementwise.
        """
    def Squeeze(
        self,
        data: Operand,
        axes: Operand | None = None,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Remove single-dimensional entries from the shape of a tensor."""
    def StringConcat(self, X: Operand, Y: Operand, *, outputs: int | None = None) -> Tensor:
        """StringConcat concatenates string tensors elementwise (with NumPy-style broadcasting
        support)
        """
    def StringNormalizer(
        self,
        X: Operand,
        *,
        case_change_action: str = "NONE",
        is_case_sensitive: int = 0,
        locale: str | None = None,
        stopwords: Sequence[str] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """StringNormalization performs string operations for basic cleaning."""
    def StringSplit(
        self,
        X: Operand,
        *,
        delimiter: str | None = None,
        maxsplit: int | None = None,
        outputs: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """StringSplit splits a string tensor's elements into substrings based on a delimiter
        attribute and a maxsplit attribute.
        """
    def Sub(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Performs element-wise binary subtraction (with Numpy-style broadcasting support)."""
    def Sum(self, *data_0: Operand, outputs: int | None = None) -> Tensor:
        """Element-wise sum of each of the input tensors (with Numpy-style broadcasting support)."""
    def Tan(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the tangent of the given input tensor, element-wise."""
    def Tanh(self, input: Operand, *, outputs: int | None = None) -> Tensor:
        """Calculates the hyperbolic tangent of the given input tensor element-wise."""
    def TfIdfVectorizer(
        self,
        X: Operand,
        *,
        max_gram_length: int,
        max_skip_count: int,
        min_gram_length: int,
        mode: str,
        ngram_counts: Sequence[int],
        ngram_indexes: Sequence[int],
        pool_int64s: Sequence[int] | None = None,
        pool_strings: Sequence[str] | None = None,
        weights: Sequence[float] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """This transform extracts n-grams from the input sequence and save them as a vector."""
    def ThresholdedRelu(
        self,
        X: Operand,
        *,
        alpha: float = 1.0,
        outputs: int | None = None,
    ) -> Tensor:
        """ThresholdedRelu takes one input data (Tensor<T>) and produces one output data
        (Tensor<T>) where the rectified linear function, y = x for x > alpha, y = 0 otherwise,
        is applied to the tensor elementwise.
        """
    def Tile(self, input: Operand, repeats: Operand, *, outputs: int | None = None) -> Tensor:
        """Constructs a tensor by tiling a given tensor."""
    def TopK(
        self,
        X: Operand,
        K: Operand,
        *,
        axis: int = -1,
        largest: int = 1,
        sorted: int = 1,
        outputs: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Retrieve the top-K largest or smallest elements along a specified axis."""
    def Transpose(
        self,
        data: Operand,
        *,
        perm: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Returns a transpose of the input tensor."""
    def Trilu(
        self,
        input: Operand,
        k: Operand | None = None,
        *,
        upper: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Given a 2-D matrix or batches of 2-D matrices, returns the upper or lower triangular
        part of the tensor(s).
        """
    def Unique(
        self,
        X: Operand,
        *,
        axis: int | None = None,
        sorted: int = 1,
        outputs: int | None = None,
    ) -> Any:
        """Find the unique elements of a tensor."""
    def Unsqueeze(self, data: Operand, axes: Operand, *, outputs: int | None = None) -> Tensor:
        """Insert single-dimensional entries to the shape of an input tensor (`data`)."""
    def Where(
        self,
        condition: Operand,
        X: Operand,
        Y: Operand,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Return elements, either from X or Y, depending on condition."""
    def Xor(self, A: Operand, B: Operand, *, outputs: int | None = None) -> Tensor:
        """Returns the tensor resulted from performing the `xor` logical operation elementwise on
        the input tensors `A` and `B` (with Numpy-style broadcasting support).
        """

class MachineLearning:
    domain: str
    def ArrayFeatureExtractor(
        self,
        X: Operand,
        Y: Operand,
        *,
        outputs: int | None = None,
    ) -> Tensor:
        """Select elements of the input tensor based on the indices passed.<br> The indices are
        applied to the last axes of the tensor.
        """
    def Binarizer(
        self,
        X: Operand,
        *,
        threshold: float = 0.0,
        outputs: int | None = None,
    ) -> Tensor:
        """Maps the values of the input tensor to either 0 or 1, element-wise, based on the
        outcome of a comparison against a threshold value.
        """
    def CastMap(self, *operands: Operand, **named: Any) -> Any:
        """Converts a map to a tensor.<br>The map key must be an int64 and the values will be
        ordered in ascending order based on this key.<br>The operator supports dense packing
        or sparse packing.
        """
    def CategoryMapper(
        self,
        X: Operand,
        *,
        cats_int64s: Sequence[int] | None = None,
        cats_strings: Sequence[str] | None = None,
        default_int64: int = -1,
        default_string: str = "_Unused",
        outputs: int | None = None,
    ) -> Tensor:
        """Converts strings to integers and vice versa.<br> Two sequences of equal length are
        used to map between integers and strings, with strings and integers at the same index
        detailing the mapping.<br> Each operator converts either integers to strings or
        """
    def DictVectorizer(self, *operands: Operand, **named: Any) -> Any:
        """Uses an index mapping to convert a dictionary to an array.<br> Given a dictionary,
        each key is looked up in the vocabulary attribute corresponding to the key type.
        """
    def FeatureVectorizer(
        self,
        *X: Operand,
        inputdimensions: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Concatenates input tensors into one continuous output.<br> All input shapes are 2-D
        and are concatenated along the second dimension.
        """
    def Imputer(
        self,
        X: Operand,
        *,
        imputed_value_floats: Sequence[float] | None = None,
        imputed_value_int64s: Sequence[int] | None = None,
        replaced_value_float: float = 0.0,
        replaced_value_int64: int = 0,
        outputs: int | None = None,
    ) -> Tensor:
        """Replaces inputs that equal one value with another, leaving all other elements
        alone.<br> This operator is typically used to replace missing values in situations
        where they have a canonical representation, such as -1, 0, NaN, or some extreme
        """
    def LabelEncoder(
        self,
        X: Operand,
        *,
        default_float: float = -0.0,
        default_int64: int = -1,
        default_string: str = "_Unused",
        default_tensor: TensorLike | None = None,
        keys_floats: Sequence[float] | None = None,
        keys_int64s: Sequence[int] | None = None,
        keys_strings: Sequence[str] | None = None,
        keys_tensor: TensorLike | None = None,
        values_floats: Sequence[float] | None = None,
        values_int64s: Sequence[int] | None = None,
        values_strings: Sequence[str] | None = None,
        values_tensor: TensorLike | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Maps each element in the input tensor to another value.<br> The mapping is determined
        by the two parallel attributes, 'keys_*' and 'values_*' attribute.
        """
    def LinearClassifier(
        self,
        X: Operand,
        *,
        classlabels_ints: Sequence[int] | None = None,
        classlabels_strings: Sequence[str] | None = None,
        coefficients: Sequence[float],
        intercepts: Sequence[float] | None = None,
        multi_class: int = 0,
        post_transform: str = "NONE",
        outputs: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Linear classifier"""
    def LinearRegressor(
        self,
        X: Operand,
        *,
        coefficients: Sequence[float] | None = None,
        intercepts: Sequence[float] | None = None,
        post_transform: str = "NONE",
        targets: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Generalized linear regression evaluation.<br> If targets is set to 1 (default) then
        univariate regression is performed.<br> If targets is set to M then M sets of
        coefficients must be passed in as a sequence and M results will be output for each
        """
    def Normalizer(self, X: Operand, *, norm: str = "MAX", outputs: int | None = None) -> Tensor:
        """Normalize the input."""
    def OneHotEncoder(
        self,
        X: Operand,
        *,
        cats_int64s: Sequence[int] | None = None,
        cats_strings: Sequence[str] | None = None,
        zeros: int = 1,
        outputs: int | None = None,
    ) -> Tensor:
        """Replace each input element with an array of ones and zeros, where a single one is
        placed at the index of the category that was passed in.
        """
    def SVMClassifier(
        self,
        X: Operand,
        *,
        classlabels_ints: Sequence[int] | None = None,
        classlabels_strings: Sequence[str] | None = None,
        coefficients: Sequence[float] | None = None,
        kernel_params: Sequence[float] | None = None,
        kernel_type: str = "LINEAR",
        post_transform: str = "NONE",
        prob_a: Sequence[float] | None = None,
        prob_b: Sequence[float] | None = None,
        rho: Sequence[float] | None = None,
        support_vectors: Sequence[float] | None = None,
        vectors_per_class: Sequence[int] | None = None,
        outputs: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Support Vector Machine classifier"""
    def SVMRegressor(
        self,
        X: Operand,
        *,
        coefficients: Sequence[float] | None = None,
        kernel_params: Sequence[float] | None = None,
        kernel_type: str = "LINEAR",
        n_supports: int = 0,
        one_class: int = 0,
        post_transform: str = "NONE",
        rho: Sequence[float] | None = None,
        support_vectors: Sequence[float] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Support Vector Machine regression prediction and one-class SVM anomaly detection."""
    def Scaler(
        self,
        X: Operand,
        *,
        offset: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """Rescale input data, for example to standardize features by removing the mean and
        scaling to unit variance.
        """
    def TreeEnsemble(
        self,
        X: Operand,
        *,
        aggregate_function: int = 1,
        leaf_targetids: Sequence[int],
        leaf_weights: TensorLike,
        membership_values: TensorLike | None = None,
        n_targets: int | None = None,
        nodes_falseleafs: Sequence[int],
        nodes_falsenodeids: Sequence[int],
        nodes_featureids: Sequence[int],
        nodes_hitrates: TensorLike | None = None,
        nodes_missing_value_tracks_true: Sequence[int] | None = None,
        nodes_modes: TensorLike,
        nodes_splits: TensorLike,
        nodes_trueleafs: Sequence[int],
        nodes_truenodeids: Sequence[int],
        post_transform: int = 0,
        tree_roots: Sequence[int],
        outputs: int | None = None,
    ) -> Tensor:
        """Tree Ensemble operator."""
    def ZipMap(self, *operands: Operand, **named: Any) -> Any:
        """Creates a map from the input and the attributes.<br> The values are provided by the
        input tensor, while the keys are specified by the attributes.
        """

op: Standard
ml: MachineLearning
