"""Schedules as pure functions of progress: learning rates, momentum, layer groups.

`progress` is the share of all steps done, in [0, 1]. Sources: one-cycle as fastai's
`fit_one_cycle`; slanted triangular, discriminative rates and gradual unfreezing as ULMFiT
(Howard & Ruder 2018, sections 3.2 and 3.3).
"""

import math


def _cosine(start: float, end: float, position: float) -> float:
    return start + (1 + math.cos(math.pi * (1 - position))) * (end - start) / 2


def one_cycle(
    progress: float,
    *,
    warmup: float = 0.25,
    start_divisor: float = 25.0,
    end_divisor: float = 1e5,
) -> float:
    """Factor of the peak learning rate, cosine up then cosine down (fastai `combined_cos`).

    Args:
        progress: Share of steps done, in [0, 1].
        warmup: Share of steps until the peak.
        start_divisor: The first factor is 1 / start_divisor.
        end_divisor: The last factor is 1 / end_divisor.

    Returns:
        A factor in (0, 1].
    """
    if progress < warmup:
        return _cosine(1 / start_divisor, 1.0, progress / warmup)
    return _cosine(1.0, 1 / end_divisor, (progress - warmup) / (1 - warmup))


def one_cycle_momentum(
    progress: float, *, warmup: float = 0.25, high: float = 0.8, low: float = 0.7
) -> float:
    """Momentum that mirrors `one_cycle`: high → low → high (fastai's `moms`)."""
    if progress < warmup:
        return _cosine(high, low, progress / warmup)
    return _cosine(low, high, (progress - warmup) / (1 - warmup))


def slanted_triangular(progress: float, *, cut: float = 0.1, ratio: float = 32.0) -> float:
    """Factor of the peak learning rate: short linear rise, long linear fall (ULMFiT, equation 3).

    Args:
        progress: Share of steps done, in [0, 1].
        cut: Share of steps that rise.
        ratio: How much smaller the lowest factor is than the peak.

    Returns:
        A factor in [1 / ratio, 1].
    """
    position = progress / cut if progress < cut else 1 - (progress - cut) / (1 - cut)
    return (1 + max(0.0, position) * (ratio - 1)) / ratio


def discriminative_rates(
    learning_rate: float, *, decay: float, num_groups: int
) -> tuple[float, ...]:
    """One learning rate per layer group, the last the highest (ULMFiT, section 3.2).

    Args:
        learning_rate: Rate of the last group.
        decay: Divisor from one group to the one below.
        num_groups: Number of layer groups.

    Returns:
        `num_groups` rates, from the first group to the last.
    """
    return tuple(learning_rate / decay ** (num_groups - 1 - group) for group in range(num_groups))


def first_trainable_group(epoch: int, *, num_groups: int, gradual: bool) -> int:
    """Index of the lowest layer group that trains in an epoch (ULMFiT, section 3.3).

    Gradual unfreezing starts with the last group and adds the next lower one each epoch.

    Args:
        epoch: Epoch from 1.
        num_groups: Number of layer groups.
        gradual: False trains every group from the first epoch.
    """
    return max(0, num_groups - epoch) if gradual else 0


def epochs_for(*, epochs: int, minimum_steps: int, steps_per_epoch: int) -> int:
    """Epochs to train so that both a number of epochs and of steps are reached.

    Args:
        epochs: Passes asked for.
        minimum_steps: Optimiser steps asked for.
        steps_per_epoch: Optimiser steps of one pass.
    """
    return max(epochs, math.ceil(minimum_steps / steps_per_epoch))
