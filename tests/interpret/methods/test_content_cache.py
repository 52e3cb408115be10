"""What is made of a matrix is kept by the numbers in it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret.methods.content_cache import ContentCache, fingerprint


def test_by_content() -> None:
    made: list[Tensor] = []
    cache: ContentCache[int] = ContentCache(lambda m: made.append(m) or len(made), size=2)
    one, two, three = (torch.full((2, 3), float(n)) for n in range(3))
    assert [cache(one), cache(two), cache(one.clone()), cache(two)] == [1, 2, 1, 2]
    # The one unused for longest goes.
    assert [cache(one), cache(three), cache(one), cache(two)] == [1, 3, 1, 4]


def test_fingerprints() -> None:
    matrix = torch.arange(6.0).view(2, 3)
    same = [matrix.clone(), matrix.T.contiguous().T, matrix.clone().requires_grad_()]
    assert {fingerprint(m) for m in same} == {fingerprint(matrix)}
    changed = matrix.clone()
    changed[1, 2] += 1e-6
    others = [changed, matrix.view(3, 2), matrix.double(), matrix.half(), -matrix]
    others += [matrix.flip(0), matrix.flip(1)]  # the same rows or columns in another order
    marks = {fingerprint(m) for m in (*others, matrix, matrix.bfloat16())}
    assert len(marks) == len(others) + 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_every_number_of_a_large_matrix_counts(dtype: torch.dtype) -> None:
    """One number at a time is changed by its last bit, in the first rows and in the last."""
    matrix = torch.randn(1100, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    marks = {fingerprint(matrix)}
    for row in (*range(0, 1100, 11), 511, 512, 1099):
        for column in (0, 1):
            changed = matrix.clone()
            changed[row, column] = changed[row, column].nextafter(changed.new_tensor(torch.inf))
            marks.add(fingerprint(changed))
    assert len(marks) == 1 + 2 * 103


def test_rows_that_change_places_in_pairs_make_another_matrix() -> None:
    matrix = torch.randn(1100, 2, generator=torch.Generator().manual_seed(0))
    marks = {fingerprint(matrix[torch.arange(1100).roll(by)]) for by in (0, 1, 2, 511, 512, 1024)}
    assert len(marks) == 6


def test_a_fingerprint_is_an_integer_of_all_its_bits() -> None:
    """A sum that was rounded to single precision would end in zeros."""
    matrices = torch.randn(64, 5, 4, generator=torch.Generator().manual_seed(0))
    lowest = [int(fingerprint(matrix).split()[-1], 16) & 0xFF for matrix in matrices]
    assert len(set(lowest)) > 32
