"""AdamW over layer groups as fastai's text learners use it: one learning rate per group.

fastai's `Adam` with decoupled weight decay is torch's AdamW with epsilon 1e-5; biases of decoders
and batch normalisation are not decayed. Freezing a group means it gets no gradient and no decay.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

SQUARED_MOMENTUM = 0.99
EPSILON = 1e-5


class GroupedAdamW:
    """AdamW over the layer groups of a model.

    Args:
        model: Its `BatchNorm` parameters and those named `bias` at the top level are not decayed.
        groups: Parameters of each layer group, from the input up.
        weight_decay: Decoupled weight decay.
    """

    def __init__(
        self, model: nn.Module, groups: Sequence[Sequence[nn.Parameter]], *, weight_decay: float
    ) -> None:
        undecayed = _undecayed(model)
        self.groups = [list(group) for group in groups]
        param_groups: list[dict[str, Any]] = []
        for index, group in enumerate(self.groups):
            for decay in (True, False):
                params = [p for p in group if (id(p) in undecayed) != decay]
                if params:
                    param_groups.append(
                        {
                            "params": params,
                            "weight_decay": weight_decay if decay else 0.0,
                            "layer_group": index,
                        }
                    )
        self.adamw = torch.optim.AdamW(
            param_groups, lr=0.0, betas=(0.9, SQUARED_MOMENTUM), eps=EPSILON, fused=True
        )

    def set_rates(self, rates: Sequence[float], *, momentum: float) -> None:
        """Sets the learning rate of each layer group and the momentum of all."""
        for group in self.adamw.param_groups:
            group["lr"] = rates[group["layer_group"]]
            group["betas"] = (momentum, SQUARED_MOMENTUM)

    def freeze_below(self, first_trainable: int) -> None:
        """Trains the layer groups from `first_trainable` up and freezes those below."""
        for index, group in enumerate(self.groups):
            for parameter in group:
                parameter.requires_grad_(index >= first_trainable)

    def step(self) -> None:
        """One update, then forgets the gradients."""
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)


def _undecayed(model: nn.Module) -> set[int]:
    norms = [p for m in model.modules() if isinstance(m, nn.BatchNorm1d) for p in m.parameters()]
    biases = [p for name, p in model.named_parameters(recurse=False) if name == "bias"]
    return {id(parameter) for parameter in [*norms, *biases]}
