import pickle
from collections import Counter

import pytest
import torch

from tests.ulm.fastai_reference import SMALL, WORDS, small_encoder
from ulm.errors import UlmError
from ulm.model.encoder import (
    Encoder,
    EncoderError,
    adapt_encoder,
    random_encoder,
)
from ulm.model.fastai_format import export_fastai, import_fastai, load_wikitext103
from ulm.text.vocabulary import Vocabulary

pytestmark = pytest.mark.torch


def _same(first, second):
    assert first.architecture == second.architecture
    assert first.vocabulary.words == second.vocabulary.words
    assert set(first.weights) == set(second.weights)
    for name, tensor in first.weights.items():
        assert torch.equal(tensor, second.weights[name]), name


def test_a_saved_encoder_comes_back_whole(tmp_path):
    encoder = small_encoder()
    encoder.save(tmp_path / "one")
    _same(Encoder.load(tmp_path / "one"), encoder)


def test_fastai_files_go_out_and_come_back(tmp_path):
    _, weights, vocabulary = export_fastai(small_encoder(), tmp_path)
    _same(import_fastai(weights, vocabulary), small_encoder())


def test_paths_may_be_text(tmp_path):
    encoder = small_encoder()
    encoder.save(str(tmp_path / "one"))
    _same(Encoder.load(str(tmp_path / "one")), encoder)
    _, weights, vocabulary = export_fastai(encoder, str(tmp_path / "two"))
    _same(import_fastai(str(weights), str(vocabulary)), encoder)


def test_older_fastai_files_that_hold_recurrent_weights_twice_are_read(tmp_path):
    _, weights, vocabulary = export_fastai(small_encoder(), tmp_path)
    state = torch.load(weights, weights_only=True)
    for layer in range(SMALL.layers):
        raw = state[f"0.rnns.{layer}.weight_hh_l0_raw"]
        state[f"0.rnns.{layer}.module.weight_hh_l0"] = raw.clone()
    torch.save({"model": state, "opt": {}}, weights)
    _same(import_fastai(weights, vocabulary), small_encoder())


def test_files_of_fastai_1_have_another_order_of_special_words(tmp_path):
    """As the published WikiText-103 model has it."""
    first = ["xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxmaj", "xxup", "xxrep", "xxwrep"]
    words = [*first, *WORDS.words[9:]]
    _, weights, vocabulary = export_fastai(small_encoder(), tmp_path)
    state = torch.load(weights, weights_only=True)
    numbers = list(map(WORDS.words.index, words))
    for name in ("0.encoder.weight", "0.encoder_dp.emb.weight", "1.decoder.weight"):
        state[name] = state[name][numbers]
    state["1.decoder.bias"] = state["1.decoder.bias"][numbers]
    torch.save(state, weights)
    vocabulary.write_bytes(pickle.dumps(words))
    _same(import_fastai(weights, vocabulary), small_encoder())


def test_words_that_fastai_fills_a_vocabulary_up_with_are_left_out(tmp_path):
    from fastai.text.data import make_vocab

    counts = Counter({word: len(WORDS.words) - row for row, word in enumerate(WORDS.words)})
    filled = make_vocab(counts, min_freq=1)
    assert filled[:60] == list(WORDS.words)
    assert filled.count("xxfake") == len(filled) - 60 > 1
    _, weights, vocabulary = export_fastai(small_encoder(), tmp_path)
    state = torch.load(weights, weights_only=True)
    for name in ("0.encoder.weight", "1.decoder.bias"):
        more = torch.ones(len(filled) - 60, *state[name].shape[1:])
        state[name] = torch.cat([state[name], more])
    torch.save(state, weights)
    vocabulary.write_bytes(pickle.dumps(filled))
    _same(import_fastai(weights, vocabulary), small_encoder())


def test_what_a_learner_saves_with_its_optimizer_is_refused_with_the_remedy(tmp_path):
    from fastcore.foundation import L

    _, weights, vocabulary = export_fastai(small_encoder(), tmp_path)
    state = {"model": torch.load(weights, weights_only=True), "opt": {"hypers": L({"lr": 1.0})}}
    torch.save(state, weights)
    with pytest.raises(EncoderError, match="with_opt=False"):
        import_fastai(weights, vocabulary)


def test_known_words_keep_their_rows_and_unknown_words_get_the_mean():
    encoder = small_encoder()
    other = Vocabulary(words=(*WORDS.words[:9], "unseen", "word7"))
    adapted = adapt_encoder(encoder, other)
    old, new = (
        encoder.weights["encoder.embedding.weight"],
        adapted.weights["encoder.embedding.weight"],
    )
    assert torch.equal(new[10], old[WORDS.words.index("word7")])
    torch.testing.assert_close(new[9], old.mean(0))
    assert torch.equal(adapted.weights["bias"][10], encoder.weights["bias"][16])
    torch.testing.assert_close(adapted.weights["bias"][9], encoder.weights["bias"].mean())
    assert torch.equal(
        adapted.weights["encoder.layers.0.weight_hh_l0"],
        encoder.weights["encoder.layers.0.weight_hh_l0"],
    )


def test_adapting_agrees_with_fastai_match_embeds():
    from fastai.text.learner import match_embeds

    encoder = small_encoder()
    other = (*WORDS.words[:9], "unseen", "word7", "word50", "new")
    theirs = match_embeds(
        {
            "0.encoder.weight": encoder.weights["encoder.embedding.weight"].clone(),
            "1.decoder.bias": encoder.weights["bias"].clone(),
        },
        list(WORDS.words),
        list(other),
    )
    ours = adapt_encoder(encoder, Vocabulary(words=other)).weights
    torch.testing.assert_close(ours["encoder.embedding.weight"], theirs["0.encoder.weight"])
    torch.testing.assert_close(ours["bias"], theirs["1.decoder.bias"])


def test_a_random_encoder_depends_on_its_seed_only():
    torch.manual_seed(1)
    first = random_encoder(SMALL, WORDS, seed=4)
    torch.manual_seed(2)
    _same(random_encoder(SMALL, WORDS, seed=4), first)
    other = random_encoder(SMALL, WORDS, seed=5)
    assert not torch.equal(
        other.weights["encoder.embedding.weight"], first.weights["encoder.embedding.weight"]
    )


class _Bomb:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_hostile_vocabulary_pickle_runs_no_code(tmp_path, capsys):
    _, weights, vocabulary = export_fastai(small_encoder(), tmp_path)
    vocabulary.write_bytes(pickle.dumps([_Bomb()]))
    with pytest.raises(EncoderError, match=r"found builtins\.print"):
        import_fastai(weights, vocabulary)
    assert "code ran" not in capsys.readouterr().out


def test_hostile_weights_run_no_code(tmp_path, capsys):
    _, weights, vocabulary = export_fastai(small_encoder(), tmp_path)
    torch.save({"0.encoder.weight": _Bomb()}, weights)
    with pytest.raises(EncoderError, match="could not be read as plain weights"):
        import_fastai(weights, vocabulary)
    assert "code ran" not in capsys.readouterr().out


def test_an_encoder_without_decoder_is_refused_with_the_remedy(tmp_path):
    encoder_only, _, vocabulary = export_fastai(small_encoder(), tmp_path)
    with pytest.raises(EncoderError, match="not a fastai AWD-LSTM language model"):
        import_fastai(encoder_only, vocabulary)


def test_a_missing_or_damaged_folder_is_one_message(tmp_path):
    with pytest.raises(UlmError, match=r"could not be read .*save it again"):
        Encoder.load(tmp_path / "nowhere")
    small_encoder().save(tmp_path / "one")
    file = tmp_path / "one" / "encoder.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UlmError, match="could not be read"):
        Encoder.load(tmp_path / "one")


def test_weights_and_vocabulary_must_fit():
    encoder = small_encoder()
    with pytest.raises(EncoderError, match=r"a row per word, \(10, 12\) here, found \(60, 12\)"):
        Encoder(
            architecture=SMALL,
            vocabulary=Vocabulary(words=WORDS.words[:10]),
            weights=encoder.weights,
        )


@pytest.mark.filterwarnings(  # fastcore leaves the config.ini it creates to the collector
    "ignore:Exception ignored in.*config.ini:pytest.PytestUnraisableExceptionWarning"
)
def test_wikitext103_weights_at_hand_are_loaded_without_a_download(tmp_path, monkeypatch):
    _, weights, vocabulary = export_fastai(small_encoder(), tmp_path / "exported")
    folder = tmp_path / "models" / "wt103-fwd"
    folder.mkdir(parents=True)
    weights.rename(folder / "lstm_fwd.pth")
    vocabulary.rename(folder / "itos_wt103.pkl")
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path))
    _same(load_wikitext103(), small_encoder())


def test_wikitext103_weights_that_cannot_be_downloaded_are_one_message(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError("no route to host")

    monkeypatch.setenv("FASTAI_HOME", str(tmp_path))
    monkeypatch.setattr("fastai.data.external.untar_data", refuse)
    with pytest.raises(EncoderError, match=r"not at hand .*no route to host.*another `general`"):
        load_wikitext103()
