"""Kinds of operations, by name."""

from __future__ import annotations

PRODUCTS = frozenset(
    """
mul matmul rmatmul einsum linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d
conv_transpose3d bilinear chain_matmul multi_dot tensordot inner vdot cross kron
""".split()
)
"""Operations that are linear in each of several operands."""

READS = frozenset(
    "item tolist numpy __array__ __bool__ __int__ __float__ __index__ __len__ __contains__".split()
)
"""Operations that make numbers of Python of a tensor."""

FRESH = frozenset(
    """
empty_like full_like new_empty new_full new_ones new_tensor new_zeros ones_like rand_like
randn_like zeros_like size numel dim __len__
""".split()
)
"""Operations to which a tensor gives its shape and type alone."""

SHAPED_LIKE = frozenset("expand_as view_as reshape_as type_as".split())
"""Operations to which their second tensor gives its shape or type alone."""

VIEWS = frozenset(
    """
T H __get__ __getitem__ as_strided broadcast_to chunk contiguous detach diagonal expand expand_as
flatten hsplit vsplit dsplit mT movedim narrow permute ravel real imag reshape reshape_as select
split split_with_sizes squeeze swapaxes swapdims tensor_split to transpose type type_as unbind
unflatten unfold unsafe_chunk unsafe_split unsqueeze view view_as view_as_complex view_as_real
float double half bfloat16 adjoint atleast_1d atleast_2d broadcast_tensors copy __setitem__
""".split()
)
"""Operations that move numbers alone, and whose results may be their operand in another form:
changed in place, both are."""

STRUCTURAL = READS | FRESH | SHAPED_LIKE | VIEWS
STRUCTURAL |= frozenset(
    """
adaptive_avg_pool1d adaptive_avg_pool2d add addbmm addmm addmv addr all allclose alpha_dropout
__and__ any argmax argmin argsort avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bincount
bucketize can_cast cat channel_shuffle clone column_stack concat concatenate conj constant_pad_nd
conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d count_nonzero cpu cuda
cumsum cumulative_trapezoid data_ptr dequantize diag diag_embed diagonal_scatter diff div dropout
dropout1d dropout2d dropout3d dstack einsum embedding __eq__ eq equal feature_alpha_dropout fft_fft
fft_fft2 fft_fftn fft_ifft fft_ifft2 fft_ifftn fft_irfft fft_rfft fill flip fliplr flipud
floor_divide fold __format__ gather __ge__ ge ger get_device greater greater_equal _grouped_mm
grouped_mm grouped_mm_fallback __gt__ gt has_torch_function __hash__ histc histogram hstack
index_add index_copy index_fill index_put index_select interpolate __invert__ is_complex
is_contiguous is_floating_point is_inference is_nested is_nonzero is_same_size is_set_to isclose
isfinite isinf isnan isneginf isposinf isreal __le__ le less less_equal linear logical_and
logical_not logical_or logical_xor __lt__ lt masked_fill masked_scatter masked_select matmul mean
meshgrid mul multinomial nanmean nansum native_channel_shuffle __ne__ ne neg nll_loss nonzero
not_equal one_hot __or__ outer _pack_padded_sequence pad _pad_packed_sequence pixel_shuffle
pixel_unshuffle positive promote_types register_hook repeat repeat_interleave __repr__ requires_grad
resolve_conj resolve_neg result_type retain_grad rmatmul roll rot90 rsub scatter scatter_add
searchsorted select_scatter __set__ slice_scatter stack storage_offset stride sub sum take_along_dim
tile trace trapezoid trapz tril triu unique unique_consecutive unsafe_split_with_sizes upsample
vstack where __xor__ zero
""".split()
)
"""Operations that are linear in what depends on the embeddings (products: as long as one factor
does), or whose results carry no gradient."""

ELEMENTWISE = frozenset(
    """
relu relu6 gelu silu mish elu selu celu leaky_relu prelu hardtanh hardswish hardsigmoid softplus
softsign logsigmoid log_sigmoid tanhshrink hardshrink softshrink threshold rrelu tanh sigmoid acos
asin acosh asinh atanh exp exp2 expm1 log log1p log2 log10 sqrt rsqrt reciprocal square pow rpow
abs sin cos tan atan sinh cosh erf erfc erfinv lgamma digamma sinc i0 entr frac deg2rad rad2deg
nan_to_num sgn float_power clamp clamp_min clamp_max logit sign floor ceil round trunc
""".split()
)
"""Functions of each number by itself."""
