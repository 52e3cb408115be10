"""Kinds of operations, by name."""

from __future__ import annotations

STRUCTURAL = frozenset(
    """
__and__ __array__ __bool__ __contains__ __eq__ __float__ __format__ __ge__ __get__ __getitem__
__gt__ __hash__ __index__ __int__ __invert__ __le__ __len__ __lt__ __ne__ __or__ __repr__ __set__
__setitem__ __xor__ _grouped_mm _pack_padded_sequence _pad_packed_sequence adaptive_avg_pool1d
adaptive_avg_pool2d add addbmm addmm addmv addr adjoint all allclose alpha_dropout any argmax
argmin argsort as_strided atleast_1d atleast_2d avg_pool1d avg_pool2d avg_pool3d baddbmm
batch_norm bfloat16 bincount broadcast_tensors broadcast_to bucketize can_cast cat channel_shuffle
chunk clone column_stack concat concatenate conj constant_pad_nd contiguous conv1d conv2d conv3d
conv_transpose1d conv_transpose2d conv_transpose3d copy count_nonzero cpu cuda cumsum
cumulative_trapezoid data_ptr dequantize detach diag diag_embed diagonal diagonal_scatter diff dim
div double dropout dropout1d dropout2d dropout3d dsplit dstack einsum embedding empty_like eq
equal expand expand_as feature_alpha_dropout fft_fft fft_fft2 fft_fftn fft_ifft fft_ifft2
fft_ifftn fft_irfft fft_rfft fill flatten flip fliplr flipud float floor_divide fold full_like
gather ge ger get_device greater greater_equal grouped_mm grouped_mm_fallback gt H half
has_torch_function histc histogram hsplit hstack imag index_add index_copy index_fill index_put
index_select interpolate is_complex is_contiguous is_floating_point is_inference is_nested
is_nonzero is_same_size is_set_to isclose isfinite isinf isnan isneginf isposinf isreal item le
less less_equal linear logical_and logical_not logical_or logical_xor lt masked_fill
masked_scatter masked_select matmul mean meshgrid movedim mT mul multinomial nanmean nansum narrow
native_channel_shuffle ne neg new_empty new_full new_ones new_tensor new_zeros nll_loss nonzero
not_equal numel numpy one_hot ones_like outer pad permute pixel_shuffle pixel_unshuffle positive
promote_types rand_like randn_like ravel real register_hook repeat repeat_interleave requires_grad
reshape reshape_as resolve_conj resolve_neg result_type retain_grad rmatmul roll rot90 rsub
scatter scatter_add searchsorted select select_scatter size slice_scatter split split_with_sizes
squeeze stack storage_offset stride sub sum swapaxes swapdims T take_along_dim tensor_split tile
to tolist trace transpose trapezoid trapz tril triu type type_as unbind unflatten unfold unique
unique_consecutive unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze upsample view
view_as view_as_complex view_as_real vsplit vstack where zero zeros_like
""".split()
)
"""Operations that are linear in what depends on the embeddings (products: as long as one factor
does), or whose results carry no gradient."""

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
