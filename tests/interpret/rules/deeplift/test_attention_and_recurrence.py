"""DeepLIFT: contributions add up through attention and recurrent layers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.interpret.rules.deeplift.passes import Passes, check_complete, tensors


def plain_attention(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~allowed, -math.inf)
    return scores.softmax(-1) @ v


class TestAttention:
    SHAPES = ((2, 4, 5, 6), (2, 4, 5, 6), (2, 4, 5, 3))

    @pytest.mark.parametrize("masked", ["not", "booleans", "numbers", "causal", "scale"])
    def test_fused(self, masked: str) -> None:
        allowed = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(1)) > 0.3
        allowed[..., 0] = True
        numbers = torch.zeros(2, 1, 5, 5).double().masked_fill(~allowed, -math.inf)
        options: dict[str, Any] = {
            "not": {},
            "booleans": {"attn_mask": allowed},
            "numbers": {"attn_mask": numbers},
            "causal": {"is_causal": True},
            "scale": {"scale": 0.3},
        }[masked]
        check_complete(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options), *self.SHAPES
        )

    def test_a_query_that_may_look_at_nothing(self) -> None:
        allowed = torch.ones(5, 5).bool()
        allowed[2] = False
        check_complete(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=allowed),
            *self.SHAPES,
        )

    def test_grouped_queries(self) -> None:
        check_complete(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
            (2, 4, 5, 6),
            (2, 2, 5, 6),
            (2, 2, 5, 6),
        )

    def test_fused_or_written_out(self) -> None:
        allowed = torch.ones(5, 5).bool().tril()
        x, x_0 = tensors(*self.SHAPES, seed=1), tensors(*self.SHAPES, seed=2)
        fused = Passes.of(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, allowed), x, x_0)
        plain = Passes.of(lambda q, k, v: plain_attention(q, k, v, allowed), x, x_0)
        assert all(map(torch.allclose, fused.multipliers, plain.multipliers))

    @pytest.mark.parametrize("kind", ["self", "cross", "other-sizes", "no-bias"])
    @pytest.mark.parametrize("masked", ["not", "padding", "causal", "both", "per-head"])
    def test_multi_head(self, kind: str, masked: str) -> None:
        sizes = {"kdim": 6, "vdim": 4} if kind == "other-sizes" else {}
        layer = nn.MultiheadAttention(8, 2, batch_first=True, bias=kind != "no-bias", **sizes)
        layer = layer.double().eval().requires_grad_(False)
        padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
        causal = nn.Transformer.generate_square_subsequent_mask(5).double()
        heads = (torch.rand(4, 5, 5, generator=torch.Generator().manual_seed(2)) > 0.8) & (
            torch.ones(5, 5).tril(-1) > 0
        )
        options: dict[str, Any] = {
            "not": {},
            "padding": {"key_padding_mask": padding},
            "causal": {"attn_mask": causal, "is_causal": True},
            "both": {"attn_mask": causal < 0, "key_padding_mask": padding},
            "per-head": {"attn_mask": heads},
        }[masked]
        for weights in ({"need_weights": False}, {}, {"average_attn_weights": False}):
            options |= weights

            def function(q: Tensor, *kv: Tensor, options: Any = options) -> Tensor:
                out, attended = layer(q, *(kv or (q, q)), **options)
                return out if attended is None else torch.cat([out.flatten(), attended.flatten()])

            shapes = {
                "self": [(2, 5, 8)],
                "no-bias": [(2, 5, 8)],
                "cross": [(2, 5, 8)] * 3,
                "other-sizes": [(2, 5, 8), (2, 5, 6), (2, 5, 4)],
            }[kind]
            check_complete(function, *shapes)

    @pytest.mark.parametrize("norm_first", [True, False])
    def test_transformer_encoder(self, norm_first: bool) -> None:
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
        encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        encoder = encoder.double().eval().requires_grad_(False)
        padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
        check_complete(lambda x: encoder(x, src_key_padding_mask=padding)[:, 0], (2, 5, 8))

    def test_transformer_decoder(self) -> None:
        layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        layer = layer.double().eval().requires_grad_(False)
        check_complete(layer, (2, 3, 8), (2, 4, 8))


class TestRecurrent:
    @pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN-tanh", "RNN-relu"])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"bidirectional": True},
            {"num_layers": 2, "bidirectional": True, "batch_first": True},
            {"num_layers": 2, "bias": False},
        ],
    )
    @pytest.mark.parametrize("packed", [True, False])
    def test_as_torch_computes_it(self, kind: str, options: dict[str, Any], packed: bool) -> None:
        torch.manual_seed(0)
        name, _, nonlinearity = kind.partition("-")
        more = {"nonlinearity": nonlinearity} if nonlinearity else {}
        layer = getattr(nn, name)(3, 4, **options, **more).double().requires_grad_(False)
        first = bool(options.get("batch_first"))

        def function(x: Tensor) -> Tensor:
            given: Any = x
            if packed:
                given = nn.utils.rnn.pack_padded_sequence(
                    x, torch.tensor([2, 5, 4]), batch_first=first, enforce_sorted=False
                )
            out, states = layer(given)
            if packed:
                out, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=first)
            states = states if isinstance(states, tuple) else (states,)
            return torch.cat([part.flatten() for part in (out, *states)])

        check_complete(function, (3, 5, 3) if first else (5, 3, 3))

    def test_own_initial_states(self) -> None:
        layer = nn.LSTM(3, 4).double().requires_grad_(False)
        check_complete(lambda x, h, c: layer(x, (h, c))[0], (5, 2, 3), (1, 2, 4), (1, 2, 4))

    @pytest.mark.parametrize("bias", [True, False])
    def test_cells(self, bias: bool) -> None:
        lstm = nn.LSTMCell(3, 4, bias=bias).double().requires_grad_(False)
        gru = nn.GRUCell(3, 4, bias=bias).double().requires_grad_(False)
        check_complete(lambda x, h, c: torch.cat(lstm(x, (h, c))), (2, 3), (2, 4), (2, 4))
        check_complete(gru, (2, 3), (2, 4))

    def test_projected_states_are_refused(self) -> None:
        layer = nn.LSTM(3, 4, proj_size=2).double().requires_grad_(False)
        (x,) = tensors((5, 2, 3), seed=1)
        with pytest.raises(NotImplementedError, match="proj_size"):
            Passes.of(lambda x: layer(x)[0], [x], [x])
