"""Our AdamW over layer groups against torch's, to the bit."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from ulm.training.optimizer import EPSILON, SQUARED_MOMENTUM, GroupedAdamW

pytestmark = pytest.mark.torch
STEPS = 6
FROZEN_UNTIL = 3  # the lower group has no gradient before this step


class Net(nn.Module):
    """Two groups, one of them with a normalisation."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.low, self.norm, self.high = nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.high(self.norm(torch.tanh(self.low(inputs))))

    def layer_groups(self):
        return [list(self.low.parameters()), [*self.norm.parameters(), *self.high.parameters()]]


def rates_at(step):
    return (0.01 * (step + 1), 0.03 / (step + 1)), 0.95 - 0.01 * step


def batch_at(step):
    generator = torch.Generator().manual_seed(step)
    return torch.randn(7, 5, generator=generator), torch.randint(0, 3, (7,), generator=generator)


def backward(net, step):
    inputs, targets = batch_at(step)
    nn.functional.cross_entropy(net(inputs), targets).backward()


def ours(net, weight_decay, *, stops_after=None):
    optimizer = GroupedAdamW(net, net.layer_groups(), weight_decay=weight_decay)
    for step in range(STEPS):
        if step == stops_after:  # as a trial that goes on elsewhere
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = GroupedAdamW(net, net.layer_groups(), weight_decay=weight_decay)
            optimizer.load_state_dict(state)
        optimizer.freeze_below(0 if step >= FROZEN_UNTIL else 1)
        rates, momentum = rates_at(step)
        optimizer.set_rates(rates, momentum=momentum)
        backward(net, step)
        optimizer.step()
        assert all(parameter.grad is None for parameter in net.parameters())
    return net.state_dict()


def torchs(net, weight_decay):
    low, high = net.layer_groups()
    undecayed, decayed = high[:2], high[2:]
    groups = [
        {"params": low, "weight_decay": weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
        {"params": decayed, "weight_decay": weight_decay},
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=0.0, betas=(0.9, SQUARED_MOMENTUM), eps=EPSILON, fused=True
    )
    for step in range(STEPS):
        for parameter in low:
            parameter.requires_grad_(step >= FROZEN_UNTIL)
        rates, momentum = rates_at(step)
        for group, rate in zip(optimizer.param_groups, (rates[0], rates[1], rates[1]), strict=True):
            group["lr"], group["betas"] = rate, (momentum, SQUARED_MOMENTUM)
        backward(net, step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return net.state_dict()


@pytest.mark.parametrize("weight_decay", [0.1, 0.0])
@pytest.mark.parametrize("stops_after", [None, 2, 4])
def test_weights_are_those_of_torchs_optimizer_to_the_bit(weight_decay, stops_after):
    expected = torchs(Net(), weight_decay)
    found = ours(Net(), weight_decay, stops_after=stops_after)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_training_does_not_load_torchs_compiler():
    code = (
        "import sys, torch\n"
        "from tests.ulm.training.test_optimizer import Net, ours\n"
        "ours(Net(), 0.1)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
