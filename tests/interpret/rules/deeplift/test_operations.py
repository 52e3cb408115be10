"""DeepLIFT: contributions of every operation add up."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.interpret.rules.deeplift.passes import Function, Passes, check_complete, t, tensors

OPERATIONS: dict[str, tuple[Function, list[tuple[int, ...]]]] = {
    "rdiv": (lambda x: 2 / (1 + x.abs()), [(3, 4)]),
    "rsub": (lambda x: (1 - x) ** 2, [(3, 4)]),
    "rpow": (lambda x: 3**x, [(3, 4)]),
    "rmatmul": (lambda x: torch.ones(2, 3).double() @ x.tanh(), [(3, 4)]),
    "gelu-by-erf": (lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))), [(3, 4)]),
    "gated": (lambda x: F.silu(x[..., :2]) * x[..., 2:], [(3, 4)]),
    "glu": (F.glu, [(3, 4)]),
    "geglu": (lambda x, y: F.gelu(x, approximate="tanh") * y, [(3, 4), (3, 4)]),
    "three-factors": (lambda x, y, z: x * y * z, [(3, 4)] * 3),
    "broadcast": (lambda x, y: x * y, [(3, 4), (4,)]),
    "addcmul": (lambda x, y, z: torch.addcmul(x, y, z, value=0.5), [(3, 4)] * 3),
    "addmm": (
        lambda x, y, z: torch.addmm(x, y, z, beta=0.5, alpha=2),
        [(3, 5), (3, 4), (4, 5)],
    ),
    "addbmm": (lambda x, y, z: torch.addbmm(x, y, z), [(3, 5), (2, 3, 4), (2, 4, 5)]),
    "baddbmm": (
        lambda x, y, z: torch.baddbmm(x, y, z, beta=0.5, alpha=2),
        [(2, 3, 5), (2, 3, 4), (2, 4, 5)],
    ),
    "linear-of-three": (F.linear, [(3, 4), (5, 4), (5,)]),
    "bilinear": (
        lambda x, y: F.bilinear(x, y, torch.ones(2, 4, 5).double(), torch.ones(2).double()),
        [(3, 4), (3, 5)],
    ),
    "einsum-of-a-list": (lambda x, y: torch.einsum("bi,bj->bij", [x, y]), [(3, 4), (3, 5)]),
    "log-sum-exp-over-two": (lambda x: x.logsumexp((0, 2)), [(2, 3, 4)]),
    "norm": (lambda x: x.norm(dim=-1), [(3, 4)]),
    "norm-1": (lambda x: torch.norm(x, 1, -1), [(3, 4)]),
    "vector-norm": (lambda x: torch.linalg.vector_norm(x, dim=0), [(3, 4)]),
    "linalg-norm": (lambda x: torch.linalg.norm(x, dim=-1, keepdim=True), [(3, 4)]),
    "frobenius": (torch.linalg.norm, [(3, 4)]),
    "normalize": (lambda x: F.normalize(x, dim=-1), [(3, 4)]),
    "cosine": (lambda x, y: F.cosine_similarity(x, y, dim=-1), [(3, 4), (3, 4)]),
    "var": (lambda x: x.var(-1), [(3, 4)]),
    "var-of-all": (lambda x: x.var(unbiased=False), [(3, 4)]),
    "var-biased": (lambda x: x.var(False), [(3, 4)]),
    "std": (lambda x: torch.std(x, -1, unbiased=False, keepdim=True), [(3, 4)]),
    "std-correction": (lambda x: torch.std(x, dim=0, correction=0), [(3, 4)]),
    "max-pool": (lambda x: F.max_pool1d(x, 3, stride=2, padding=1), [(2, 3, 9)]),
    "max-pool-module": (nn.MaxPool1d(2), [(2, 3, 8)]),
    "cross-entropy": (
        lambda x: F.cross_entropy(x, torch.tensor([0, 3, 1]), reduction="none"),
        [(3, 4)],
    ),
    "cross-entropy-smoothed": (
        lambda x: F.cross_entropy(x, torch.tensor([0, 3, 1]), label_smoothing=0.1),
        [(3, 4)],
    ),
    "cross-entropy-of-shares": (
        lambda x: F.cross_entropy(
            x, torch.eye(3, 4).double(), label_smoothing=0.1, reduction="sum"
        ),
        [(3, 4)],
    ),
    "cross-entropy-module": (
        lambda x: nn.CrossEntropyLoss(ignore_index=3)(x, torch.tensor([0, 3, 1])),
        [(3, 4)],
    ),
    "prod": (lambda x: x.prod(-1), [(3, 5)]),
    "prod-of-all": (lambda x: x.prod(), [(3, 2)]),
    "prod-kept": (lambda x: torch.prod(x, 0, keepdim=True), [(3, 2)]),
    "cumprod": (lambda x: x.cumprod(-1), [(3, 4)]),
    "top-k": (lambda x: x.topk(2).values, [(6, 5)]),
    "top-k-first": (lambda x: torch.topk(x, k=2, dim=0, largest=False)[0], [(6, 5)]),
    "sort": (lambda x: x.sort(descending=True).values, [(6, 5)]),
    "median": (lambda x: x.median(-1).values, [(6, 5)]),
    "k-th": (lambda x: x.kthvalue(2, dim=0, keepdim=True).values, [(6, 5)]),
    "outer": (torch.outer, [(3,), (4,)]),
    "addr": (lambda x, y, z: torch.addr(x, y, z, beta=0.5, alpha=3), [(3, 4), (3,), (4,)]),
    "addmv": (lambda x, y, z: torch.addmv(x, y, z, beta=2), [(3,), (3, 4), (4,)]),
    "baddbmm-by-name": (
        lambda x, y, z: x.baddbmm(batch1=y, batch2=z, beta=0.5, alpha=2),
        [(2, 3, 5), (2, 3, 4), (2, 4, 5)],
    ),
    "addbmm-by-name": (
        lambda x, y, z: x.addbmm(batch1=y, batch2=z, alpha=2),
        [(3, 5), (2, 3, 4), (2, 4, 5)],
    ),
    "lerp": (torch.lerp, [(3, 4)] * 3),
    "addcdiv": (lambda x, y, z: torch.addcdiv(x, y, z**2 + 1, value=2), [(3, 4)] * 3),
    "clamp-between-tensors": (torch.clamp, [(3, 4)] * 3),
    "conv-of-a-made-kernel": (lambda x, w: F.conv1d(x, w, padding=1), [(2, 3, 5), (4, 3, 2)]),
    "conv-of-a-made-kernel-with-bias": (
        lambda x, w: F.conv1d(x, w, torch.ones(4).double()),
        [(2, 3, 5), (4, 3, 2)],
    ),
    "conv-2d": (
        lambda x: F.conv2d(x, torch.ones(2, 3, 2, 2).double(), torch.ones(2).double()).relu(),
        [(1, 3, 4, 4)],
    ),
    "max-pool-2d": (lambda x: F.max_pool2d(x, (2, 3), stride=1, padding=1), [(1, 2, 4, 5)]),
    "group-norm": (
        lambda x: F.group_norm(x, 2, torch.arange(4.0).double(), torch.ones(4).double()),
        [(3, 4, 5)],
    ),
    "instance-norm": (lambda x: F.instance_norm(x, weight=torch.arange(4.0).double()), [(3, 4, 5)]),
    "batch-norm": (
        lambda x: F.batch_norm(x.tanh(), torch.ones(4).double(), torch.ones(4).double() * 2),
        [(3, 4)],
    ),
    "squared-error": (lambda x, y: F.mse_loss(x, y, reduction="none"), [(3, 4)] * 2),
    "absolute-error": (lambda x, y: F.l1_loss(x, y), [(3, 4)] * 2),
    "binary-cross-entropy": (
        lambda x: F.binary_cross_entropy(x.sigmoid(), torch.ones(3, 4).double() * 0.3),
        [(3, 4)],
    ),
    "binary-cross-entropy-of-logits": (
        lambda x: F.binary_cross_entropy_with_logits(
            x, torch.eye(4).double(), pos_weight=torch.arange(1, 5).double(), reduction="sum"
        ),
        [(4, 4)],
    ),
    "log-add-exp": (torch.logaddexp, [(3, 4)] * 2),
    "softmin": (lambda x: F.softmin(x, -1), [(3, 4)]),
    "solve": (lambda a, b: torch.linalg.solve(a + 4 * torch.eye(3).double(), b), [(3, 3), (3, 2)]),
    "inverse": (lambda a: torch.inverse(a + 4 * torch.eye(3).double()), [(3, 3)]),
    "solve-unit-triangular": (
        lambda a, b: torch.linalg.solve_triangular(a, b, upper=False, unitriangular=True),
        [(2, 3, 3), (2, 3, 2)],
    ),
    "solve-triangular": (
        lambda a: torch.linalg.solve_triangular(
            a + 4 * torch.eye(3).double(), torch.ones(3, 2).double(), upper=True
        ),
        [(3, 3)],
    ),
    "fourier": (lambda x: torch.fft.fftn(x, dim=(-2, -1)).real.tanh(), [(2, 3, 4)]),
    "complex-rotation": (
        lambda x: torch.view_as_real(
            torch.view_as_complex(x.reshape(3, 2, 2)) * torch.polar(*[torch.ones(2).double()] * 2)
        ).tanh(),
        [(3, 4)],
    ),
    "depthwise": (
        lambda x: F.silu(F.conv1d(x, torch.ones(3, 1, 2).double(), padding=1, groups=3)),
        [(2, 3, 5)],
    ),
    "views": (
        lambda x: torch.stack([part.tanh() for part in x.chunk(2, -1)]).flatten().cumsum(0),
        [(3, 4)],
    ),
    "convolution": (
        lambda x: F.conv1d(x, torch.ones(2, 3, 2).double(), padding=1).relu(),
        [(2, 3, 5)],
    ),
    "residual": (lambda x: x + torch.tanh(x + F.gelu(x)), [(3, 4)]),
    "other-widths": (lambda x: (x.float().double() * 2).tanh(), [(3, 4)]),
}


class TestOperations:
    @pytest.mark.parametrize("name", OPERATIONS)
    def test_same_values_and_sums(self, name: str) -> None:
        function, shapes = OPERATIONS[name]
        x = tensors(*shapes, seed=1)
        if name == "other-widths":
            # float32 in the middle: only so far do the sums go.
            passes = Passes.of(function, x, tensors(*shapes, seed=2))
            total = float(passes.change.sum())
            assert sum(passes.contributions) == pytest.approx(total, abs=1e-5)
            return
        assert check_complete(function, *shapes).unsupported_ops == set()

    @pytest.mark.parametrize("name", ["norm", "normalize", "var", "softmax", "gated", "addmm"])
    def test_from_zero(self, name: str) -> None:
        more = {"softmax": (lambda x: (x @ x.mT).softmax(-1) @ x, [(3, 4)])}
        function, shapes = (OPERATIONS | more)[name]
        check_complete(function, *shapes, zero=True)

    def test_the_same_module_twice(self) -> None:
        module = nn.Sequential(nn.Linear(4, 4), nn.GELU()).double().requires_grad_(False)
        check_complete(lambda x: module(module(x) - 0.1), (3, 4))

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: x.logcumsumexp(-1),
            lambda x: torch.cdist(x, x + 1),
            lambda x: x[:, :3].det(),
            lambda x: x.renorm(2, 0, 1.0),
        ],
    )
    def test_an_operation_without_a_rule_is_named(self, function: Function) -> None:
        (x, x_0) = tensors((3, 4), (3, 4), seed=1)
        passes = Passes.of(function, [x], [x_0])
        (name,) = passes.unsupported_ops
        assert name in ("logcumsumexp", "cdist", "det", "renorm")
        leaf = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(function(leaf).sum(), leaf)
        assert torch.allclose(passes.multipliers[0], g)

    @pytest.mark.parametrize(
        ("function", "named"),
        [
            (lambda x: torch.einsum("ij,jk,kl->il", x, x.T, x), "more than two"),
            (lambda x: x.abs() ** x, "two operands"),
            (lambda x: torch.linalg.norm(x, 2), "order 2"),
            (lambda x: x.norm(3), "order 3"),
            (lambda x: x.amax((0, 1)), "several dimensions"),
        ],
    )
    def test_what_has_no_rule_at_all_says_so(self, function: Function, named: str) -> None:
        (x, x_0) = tensors((4, 4), (4, 4), seed=1)
        with pytest.raises(NotImplementedError, match=named):
            Passes.of(function, [x], [x_0])


def inplace_relu(x: Tensor) -> Tensor:
    h = x * 1
    F.relu(h, inplace=True)
    return h


def plus(x: Tensor) -> Tensor:
    h = torch.tanh(x)
    h += x
    h.sub_(x**2)
    return h


def times(x: Tensor) -> Tensor:
    h = torch.sigmoid(x)
    h *= x
    h /= 1 + x.abs()
    return h


def power_of_a_view(x: Tensor) -> Tensor:
    h = x.tanh()
    h[:, 1:] *= h[:, :1]
    h[:, 0].exp_()
    return h


class TestInPlace:
    @pytest.mark.parametrize(
        "function",
        [
            inplace_relu,
            plus,
            times,
            power_of_a_view,
            lambda x: nn.ReLU(inplace=True)(x * 2),
            lambda x: nn.LeakyReLU(0.1, True)(x * 2),
            lambda x: nn.Hardtanh(inplace=True)(x * 2),
            lambda x: nn.ELU(inplace=True)(x * 2),
            lambda x: torch.relu_(x * 2) ** 2,
            lambda x: (x * 2).tanh_().add_(x).mul_(x).masked_fill_(x.detach() * 0 > 1, 7),
            lambda x: F.dropout(x * x, 0.5, False, True),
        ],
    )
    def test_complete(self, function: Function) -> None:
        check_complete(function, (3, 4))

    def test_the_tensor_itself_changes(self) -> None:
        seen: list[Tensor] = []

        def function(x: Tensor) -> Tensor:
            h = x * 1
            same = nn.ReLU(inplace=True)(h)
            seen.append(h)
            assert same is h
            return same

        Passes.of(function, [t(-1, 2)], [t(1, -2)])
        assert [h.tolist() for h in seen] == [[1, 0], [0, 2]]
