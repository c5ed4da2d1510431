"""AdamW over layer groups as fastai's text learners use it: one learning rate per group.

fastai's `Adam` with decoupled weight decay is torch's AdamW with epsilon 1e-5; biases of decoders
and batch normalisation are not decayed. Freezing a group means it gets no gradient and no decay.

torch's functional AdamW is called, not its `Optimizer`, which loads the compiler when it is first
made: 1.6 s in every worker, for nothing that is used here. The numbers are the same to the bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

SQUARED_MOMENTUM = 0.99
EPSILON = 1e-5


@dataclass(slots=True)
class _Part:
    """Parameters that are updated alike: those of a layer group that are decayed, or not."""

    parameters: list[nn.Parameter]
    layer_group: int
    weight_decay: float


@dataclass(slots=True)
class _Moments:
    """What is remembered of a parameter: means of gradients and their squares, and how many."""

    mean: Tensor
    square: Tensor
    steps: Tensor

    @classmethod
    def before_any(cls, parameter: nn.Parameter) -> "_Moments":
        return cls(
            mean=torch.zeros_like(parameter, memory_format=torch.preserve_format),
            square=torch.zeros_like(parameter, memory_format=torch.preserve_format),
            steps=torch.zeros((), dtype=torch.float32, device=parameter.device),
        )


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
        self._parameters = [parameter for group in self.groups for parameter in group]
        self._parts: list[_Part] = []
        for index, group in enumerate(self.groups):
            for is_decayed in (True, False):
                parameters = [p for p in group if (id(p) in undecayed) != is_decayed]
                self._parts.append(_Part(parameters, index, weight_decay if is_decayed else 0.0))
        self._moments: dict[nn.Parameter, _Moments] = {}
        self._rates: Sequence[float] = [0.0] * len(self.groups)
        self._momentum = 0.9

    def set_rates(self, rates: Sequence[float], *, momentum: float) -> None:
        """Sets the learning rate of each layer group and the momentum of all."""
        self._rates, self._momentum = rates, momentum

    def freeze_below(self, first_trainable: int) -> None:
        """Trains the layer groups from `first_trainable` up and freezes those below."""
        for index, group in enumerate(self.groups):
            for parameter in group:
                parameter.requires_grad_(index >= first_trainable)

    @torch.no_grad()
    def step(self) -> None:
        """One update of what has a gradient, then forgets the gradients."""
        for part in self._parts:
            self._update(part)
        for parameter in self._parameters:
            parameter.grad = None

    def state_dict(self) -> dict[int, dict[str, Tensor]]:
        """What is remembered, by the place of the parameter; of those updated so far."""
        places = enumerate(self._parameters)
        kept = ((index, self._moments.get(parameter)) for index, parameter in places)
        return {
            index: {"mean": moments.mean, "square": moments.square, "steps": moments.steps}
            for index, moments in kept
            if moments is not None
        }

    def load_state_dict(self, state: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Goes on from a `state_dict`, wherever its tensors lie."""
        self._moments.clear()
        for index, tensors in state.items():
            parameter = self._parameters[index]
            moved = {name: tensor.to(parameter.device) for name, tensor in tensors.items()}
            self._moments[parameter] = _Moments(**moved)

    def _update(self, part: _Part) -> None:
        trained = [p for p in part.parameters if p.grad is not None]
        if not trained:
            return
        for parameter in trained:
            if parameter not in self._moments:
                self._moments[parameter] = _Moments.before_any(parameter)
        moments = [self._moments[parameter] for parameter in trained]
        adamw(
            [*trained],
            [p.grad for p in trained if p.grad is not None],
            [each.mean for each in moments],
            [each.square for each in moments],
            [],
            [each.steps for each in moments],
            fused=True,
            amsgrad=False,
            beta1=self._momentum,
            beta2=SQUARED_MOMENTUM,
            lr=self._rates[part.layer_group],
            weight_decay=part.weight_decay,
            eps=EPSILON,
            maximize=False,
        )


def _undecayed(model: nn.Module) -> set[int]:
    norms = [p for m in model.modules() if isinstance(m, nn.BatchNorm1d) for p in m.parameters()]
    biases = [p for name, p in model.named_parameters(recurse=False) if name == "bias"]
    return {id(parameter) for parameter in [*norms, *biases]}
