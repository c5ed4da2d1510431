"""One test for each fault AWD-LSTM implementations had in the past (facts.md names them)."""

import pytest
import torch

from tests.ulm.fastai_reference import SMALL, WORDS, random_documents, small_encoder
from ulm.model.architecture import (
    CLASSIFIER_DROPOUTS,
    LANGUAGE_MODEL_DROPOUTS,
    AwdLstm,
    Dropouts,
)
from ulm.model.encoder import build_language_model

pytestmark = pytest.mark.torch

HALF = Dropouts(input=0, hidden=0, weight=0.5, embedding=0, output=0)


def _ids():
    return torch.from_numpy(random_documents(20, seed=1).ids[:80].astype("int64")).view(4, 20)


def _run(model, ids):
    raw, out, _ = model(ids, model.encoder.initial_state(ids.shape[0]))
    return raw, out


def test_dropped_recurrent_weights_receive_their_gradient():
    # fastai2 issue 427: the optimiser's parameter was not the one in the graph
    model = build_language_model(small_encoder(), HALF).train()
    _run(model, _ids())[0].square().sum().backward()
    for layer in model.encoder.layers:
        assert layer.weight_hh_l0.grad is not None
        assert layer.weight_hh_l0.grad.count_nonzero() > 0


def test_an_optimiser_step_changes_what_the_layer_computes():
    model = build_language_model(small_encoder(), HALF).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    before = _run(model.eval(), _ids())[0].detach()
    _run(model.train(), _ids())[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        if "weight_hh" not in name:
            parameter.grad = None
    optimizer.step()
    assert not torch.allclose(before, _run(model.eval(), _ids())[0])


def test_weight_dropout_is_off_when_evaluating():
    # awd-lstm-lm issues 72 and 79
    trained = build_language_model(small_encoder(), HALF).eval()
    plain = build_language_model(small_encoder())
    first, second = _run(trained, _ids())[0], _run(trained, _ids())[0]
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    torch.testing.assert_close(first, _run(plain, _ids())[0], atol=0, rtol=0)


def test_weight_dropout_is_on_when_training_and_drawn_anew():
    model = build_language_model(small_encoder(), HALF).train()
    torch.manual_seed(0)
    assert not torch.allclose(_run(model, _ids())[0], _run(model, _ids())[0])


def test_weight_dropout_keeps_the_raw_parameter_undropped():
    model = build_language_model(small_encoder(), HALF).train()
    before = model.encoder.layers[0].weight_hh_l0.detach().clone()
    _run(model, _ids())
    assert torch.equal(before, model.encoder.layers[0].weight_hh_l0)


def test_dropout_defaults_stand_at_the_names_fastai_gives_them():
    # fastai issue 1809: defaults once permuted
    from fastai.text.models.awdlstm import awd_lstm_clas_config, awd_lstm_lm_config

    for ours, theirs in (
        (LANGUAGE_MODEL_DROPOUTS, awd_lstm_lm_config),
        (CLASSIFIER_DROPOUTS, awd_lstm_clas_config),
    ):
        assert (ours.input, ours.hidden, ours.weight, ours.embedding, ours.output) == (
            theirs["input_p"],
            theirs["hidden_p"],
            theirs["weight_p"],
            theirs["embed_p"],
            theirs["output_p"],
        )


def test_recurrent_weights_stay_contiguous_after_training_steps():
    # salesforce issue 120: a non-contiguous weight made epochs ten times slower
    model = build_language_model(small_encoder(), HALF).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(3):
        _run(model, _ids())[0].square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(p.is_contiguous() for p in model.parameters())


def test_embedding_dropout_drops_whole_words_and_rescales_the_rest():
    model = AwdLstm(
        SMALL,
        len(WORDS.words),
        Dropouts(input=0, hidden=0, weight=0, embedding=0.5, output=0),
    ).train()
    ids = torch.tensor([[20, 21, 20, 21, 20, 22]])
    torch.manual_seed(0)
    seen = set()
    for _ in range(20):
        x = model._embed(ids, model.draw_masks(1).words)
        for column in range(ids.shape[1]):
            word = model.embedding.weight[ids[0, column]]
            scale = 0.0 if x[0, column].abs().sum() == 0 else 2.0
            torch.testing.assert_close(x[0, column], word * scale)
            seen.add(scale)
        torch.testing.assert_close(x[0, 0], x[0, 2])
    assert seen == {0.0, 2.0}


def test_a_dropout_of_one_or_more_is_refused():
    with pytest.raises(ValueError, match=r"weight must be in \[0, 1\), found 1.0"):
        CLASSIFIER_DROPOUTS.scaled(2.0)
