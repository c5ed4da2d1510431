"""Both libraries give the products, and the processor decides which."""

import pytest
import torch

from tests.ulm.model.conftest import ONE_DNN
from ulm.model import products
from ulm.model.precision import cpu_has_bf16
from ulm.model.products import add_product, product, repeated_product, repeated_sum

pytestmark = pytest.mark.torch

ROWS, INNER, COLUMNS = 7, 300, 40
NEAR = {"atol": 1e-4, "rtol": 1e-5}


@pytest.fixture
def matrices():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(ROWS, INNER, generator=generator)
    return a, torch.randn(COLUMNS, INNER, generator=generator).t()


@pytest.mark.usefixtures("library")
def test_a_product_is_that_of_the_matrices_however_they_lie(matrices):
    for a, b in (matrices, tuple(matrix.contiguous() for matrix in matrices)):
        torch.testing.assert_close(product(a, b), a @ b, **NEAR)
        transposed = product(b.t(), a.t())
        torch.testing.assert_close(transposed, (a @ b).t(), **NEAR)


@pytest.mark.usefixtures("library")
def test_products_add_up_in_the_dtype_of_their_sum(matrices):
    a, b = matrices
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 1e-2)):
        total = torch.ones(ROWS, COLUMNS)
        for _ in range(3):
            total = add_product(total, a.to(dtype), b.to(dtype))
        assert total.dtype == torch.float32
        wanted = 1 + 3 * a.double() @ b.double()
        assert float((total - wanted).norm() / wanted.norm()) < tolerance


@pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bf16")
@pytest.mark.parametrize("kept", [True, False])
def test_repeated_products_and_sums_are_those_of_each_matrix(monkeypatch, matrices, kept):
    if not kept:  # a torch without the operators
        monkeypatch.setattr(torch.ops, "mkldnn", object())
    a, b = (matrix.bfloat16() for matrix in matrices)
    multiply = repeated_product(b, ROWS)
    add = repeated_sum(b, ROWS)
    total = torch.linspace(-1, 1, ROWS * COLUMNS).view(ROWS, COLUMNS).bfloat16()
    for rows in (a, -2 * a):
        torch.testing.assert_close(multiply(rows), rows @ b, atol=0, rtol=1e-2)
        exact = total.double() + rows.double() @ b.double()
        torch.testing.assert_close(add(total, rows).double(), exact, atol=0, rtol=2**-8)


@pytest.mark.skipif(ONE_DNN is None, reason="not in this torch")
@pytest.mark.parametrize(
    ("vendor", "capability", "is_other"),
    [
        ("AuthenticAMD", "AVX512", True),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
    ],
)
def test_an_amd_processor_with_avx_512_has_its_products_from_one_dnn(
    monkeypatch, tmp_path, vendor, capability, is_other
):
    file = tmp_path / "cpuinfo"
    file.write_text(f"vendor_id\t: {vendor}\n")
    monkeypatch.setattr(products, "CPUINFO", file)
    for library in ("mkl", "mkldnn"):
        monkeypatch.setattr(f"torch.backends.{library}.is_available", lambda: True)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    assert (products._one_dnn.__wrapped__() is not None) == is_other
