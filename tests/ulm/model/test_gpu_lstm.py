"""An AWD-LSTM on a GPU computes what it computes on a CPU, and bf16 is bf16."""

import pytest
import torch

from tests.ulm.devices import needs_gpu
from tests.ulm.fastai_reference import SMALL, WORDS
from ulm.model.architecture import LANGUAGE_MODEL_DROPOUTS, AwdLstm

pytestmark = [pytest.mark.torch, pytest.mark.gpu, needs_gpu]

BATCH, TIME = 5, 9


def _problem():
    torch.manual_seed(0)
    model = AwdLstm(SMALL, len(WORDS.words), LANGUAGE_MODEL_DROPOUTS).double().train()
    ids = torch.randint(2, len(WORDS.words), (BATCH, TIME))
    return model, ids, model.initial_state(BATCH), model.draw_masks(BATCH)


def _moved(masks):
    words, inputs = masks.words.cuda(), masks.inputs.cuda()
    weights, hidden = ([mask.cuda() for mask in each] for each in (masks.weights, masks.hidden))
    return type(masks)(words=words, inputs=inputs, weights=weights, hidden=hidden)


def test_outputs_states_and_gradients_are_those_of_a_cpu():
    model, ids, state, masks = _problem()
    found = []
    for device in ("cpu", "cuda"):
        model.to(device)
        state = [(hidden.to(device), cell.to(device)) for hidden, cell in state]
        out, after = model(ids.to(device), state, masks if device == "cpu" else _moved(masks))
        gradients = torch.autograd.grad(out.square().sum(), list(model.parameters()))
        tensors = [out, *(tensor for pair in after for tensor in pair), *gradients]
        found.append([tensor.detach().cpu() for tensor in tensors])
    torch.testing.assert_close(found[1], found[0], atol=1e-10, rtol=1e-8)


def test_under_autocast_layers_run_in_bf16_and_not_in_fp16():
    model, ids, state, _ = _problem()
    model.float().cuda()
    with torch.autocast("cuda", torch.bfloat16):
        out, after = model(ids.cuda(), [(h.float().cuda(), c.float().cuda()) for h, c in state])
    assert {tensor.dtype for pair in after for tensor in pair} == {torch.bfloat16}
    tiny = torch.full_like(out, 1e-9)  # less than fp16 can tell from zero
    gradient = torch.autograd.grad(out, model.layers[0].weight_ih_l0, tiny)[0]
    assert gradient.count_nonzero() > 0
