"""One number that is not finite is found wherever it is, and no finite one is taken for it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rvsense.finite import all_finite

DTYPES = ("<f2", "<f4", "<f8", ">f4")


@given(st.sampled_from(DTYPES).flatmap(lambda dtype: arrays.arrays(dtype, (3, 5))))
def test_it_agrees_with_numpy(values: np.ndarray) -> None:
    """Any bits: subnormal, negative zero, the largest, NaN of either sign."""
    assert all_finite(values) == np.isfinite(values).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_one_bad_number_is_found(dtype: str, bad: float) -> None:
    """At either end, among the largest that are finite."""
    for at in (0, -1):
        values = np.full(1000, np.finfo(dtype).max, dtype)
        values[::2] *= -1
        assert all_finite(values)
        values[at] = bad
        assert not all_finite(values)


def test_nothing_is_finite() -> None:
    """No number is no bad one."""
    assert all_finite(np.empty(0, np.float32))
