import numpy as np
import pytest

from ulm.training.schedules import (
    discriminative_rates,
    epochs_for,
    first_trainable_group,
    one_cycle,
    one_cycle_momentum,
    slanted_triangular,
)


def test_one_cycle_is_that_of_fastai():
    from fastai.callback.schedule import combined_cos

    rate, momentum = combined_cos(0.25, 1 / 25, 1, 1e-5), combined_cos(0.25, 0.8, 0.7, 0.8)
    for progress in np.linspace(0, 1, 41):
        assert one_cycle(progress) == pytest.approx(float(rate(progress)), abs=1e-6)
        assert one_cycle_momentum(progress) == pytest.approx(float(momentum(progress)), abs=1e-6)


def test_slanted_triangle_is_equation_three_of_ulmfit():
    # T = 1000 iterations, cut_frac 0.1, ratio 32
    cut, ratio = 100, 32
    for t in range(0, 1000, 7):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / 0.1 - 1))
        assert slanted_triangular(t / 1000) == pytest.approx((1 + p * (ratio - 1)) / ratio)
    assert slanted_triangular(0.1) == pytest.approx(1.0)
    assert slanted_triangular(1.0) == pytest.approx(1 / 32)


def test_discriminative_rates_divide_from_the_top():
    assert discriminative_rates(0.01, decay=2.0, num_groups=3) == pytest.approx(
        (0.0025, 0.005, 0.01)
    )
    assert discriminative_rates(0.01, decay=1.0, num_groups=2) == (0.01, 0.01)


def test_gradual_unfreezing_adds_one_group_an_epoch():
    lowest = [first_trainable_group(epoch, num_groups=4, gradual=True) for epoch in range(1, 7)]
    assert lowest == [3, 2, 1, 0, 0, 0]
    assert first_trainable_group(1, num_groups=4, gradual=False) == 0


def test_epochs_reach_the_minimum_of_steps():
    assert epochs_for(epochs=3, minimum_steps=0, steps_per_epoch=10) == 3
    assert epochs_for(epochs=3, minimum_steps=31, steps_per_epoch=10) == 4
    assert epochs_for(epochs=8, minimum_steps=31, steps_per_epoch=10) == 8
