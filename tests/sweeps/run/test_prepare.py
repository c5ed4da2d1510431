import pytest
from tiny import tiny_spec

from sweeps.errors import SweepError
from sweeps.paths import SweepPaths
from sweeps.run.prepare import prepare_context, pretrained_general
from sweeps.search.listener import RunListener
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import LabelSpec, TrackingSpec
from ulm.errors import UlmError
from ulm.model.architecture import Architecture
from ulm.model.encoder import random_encoder
from ulm.regimes import Regime
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary


def test_mistakes_about_the_corpus_are_found_before_the_sweep_has_a_folder(tmp_path):
    spec = tiny_spec(tmp_path, labels=LabelSpec(train=1050), sizes=(1050,))
    paths = SweepPaths.of(spec)
    with pytest.raises(UlmError, match="labels must not exceed"):
        prepare_context(spec, paths, RunListener())
    assert not paths.folder.exists()
    assert not list(paths.tokens.glob("synthetic-general*")), "before the general corpus is read"


def test_a_size_beyond_a_pool_that_is_known_is_refused_before_anything_is_tokenised(tmp_path):
    spec = tiny_spec(tmp_path, sizes=(20, 10**6))
    paths = SweepPaths.of(spec)
    with pytest.raises(SweepError, match=r"pool of 1,080 documents, found 1,000,000; leave"):
        prepare_context(spec, paths, RunListener())
    assert not paths.tokens.exists()


def test_trials_are_told_no_password(tmp_path):
    tracking = TrackingSpec(uri="http://me:pw@host:5000")
    spec = tiny_spec(tmp_path, regimes=(Regime.BOW,), tracking=tracking)
    context, _ = prepare_context(spec, SweepPaths.of(spec), RunListener())
    assert context.spec.tracking.uri == "http://me@host:5000"


@pytest.mark.torch
def test_a_saved_encoder_becomes_the_general_model_under_the_key_of_its_content(tmp_path):
    def saved(folder, seed):
        vocabulary = Vocabulary(words=(*SPECIAL_WORDS, "film"))
        sizes = Architecture(embedding=8, hidden=8, layers=2)
        random_encoder(sizes, vocabulary, seed=seed).save(folder)
        return tiny_spec(tmp_path, general=GeneralSpec(kind="encoder", path=folder))

    keys = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        spec = saved(tmp_path / name, seed)
        keys.append(pretrained_general(spec, SweepPaths.of(spec), RunListener()))
    assert keys[0] == keys[1] != keys[2]
    assert pretrained_general(tiny_spec(tmp_path), SweepPaths.of(spec), RunListener()) is None


@pytest.mark.torch
def test_an_encoder_of_other_sizes_is_refused(tmp_path):
    vocabulary = Vocabulary(words=(*SPECIAL_WORDS, "film"))
    random_encoder(Architecture(embedding=4, hidden=8, layers=2), vocabulary, seed=0).save(
        tmp_path / "e"
    )
    spec = tiny_spec(tmp_path, general=GeneralSpec(kind="encoder", path=tmp_path / "e"))
    with pytest.raises(SweepError, match=r"\(4, 8, 2\), found \(8, 8, 2\)"):
        pretrained_general(spec, SweepPaths.of(spec), RunListener())
