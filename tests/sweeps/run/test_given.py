"""What each stage gives to training: its own documents, labels, settings and seed alone."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from tiny import context_of, fresh_store, tiny_spec

from sweeps.run import bow, classifiers, final, language_models
from sweeps.run.classifiers import FOLDS_FILE
from sweeps.run.context import Materials
from sweeps.run.final import ENSEMBLE_FILE
from sweeps.run.job import STATE_FILE
from sweeps.run.stages import run_trial
from sweeps.search.records import StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import ClassifierSpec, LabelSpec, LanguageModelSpec, ModelSpec, TestSpec
from ulm.model.architecture import Architecture
from ulm.model.encoder import random_encoder
from ulm.seeding import seed_for
from ulm.text.listing import Part
from ulm.text.vocabulary import SPECIAL_WORDS, Vocabulary

pytestmark = pytest.mark.torch

PARAMS = {"learning_rate": 0.003, "decay": 1.7}
SEED = 3


class GivenError(Exception):
    """Ends a trial where training would begin."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture
def spec(tmp_path):
    """No setting is a default, and no two stages share one."""
    return tiny_spec(
        tmp_path,
        labels=LabelSpec(train=20, validation=0.3),
        test=TestSpec(documents=30),
        seeds=(SEED,),
        model=ModelSpec(embedding=8, hidden=10, layers=2, vocabulary=250, minimum_count=2),
        general=GeneralSpec(kind="synthetic-general", documents=60, epochs=5, minimum_steps=7),
        language_model=LanguageModelSpec(
            epochs=2, minimum_steps=9, batch=4, bptt=20, dropout=0.3, weight_decay=0.02, clip=0.7
        ),
        classifier=ClassifierSpec(
            epochs=3,
            minimum_steps=11,
            batch=6,
            bptt=21,
            maximum_tokens=84,
            dropout=0.4,
            weight_decay=0.03,
            ensemble=2,
        ),
    )


class Bench:
    """Runs one trial of a sweep up to where it would train."""

    def __init__(self, spec, cache, monkeypatch):
        self.context = context_of(spec, cache)
        self.spec, self.store, self.given = spec, fresh_store(spec), {}
        words = Vocabulary(words=(*SPECIAL_WORDS, "the", "good"))
        sizes = Architecture(embedding=8, hidden=10, layers=2)
        self.encoder = random_encoder(sizes, words, seed=0)
        self.store.save("own", self.encoder, {})

        def note(*arguments, **options):
            self.given = {"arguments": arguments, **options}
            raise GivenError

        monkeypatch.setattr(language_models, "train_language_model", note)
        for module in (classifiers, final):
            monkeypatch.setattr(module, "train_classifier", note)
        monkeypatch.setattr(bow, "train_bag_of_words", note)

    def run(self, regime, stage, size=None, encoder=None, params=PARAMS, resume_from=None):
        cell = next(c for c in make_cells(self.spec) if (c.regime, c.size) == (regime, size))
        key = TrialKey(study=StudyKey(cell_id=cell.id, stage=stage), number=0)
        request = TrialRequest(key=key, cell=cell, params=params, encoder=encoder)
        with pytest.raises(GivenError):
            run_trial(
                request,
                self.context,
                self.store,
                lambda progress, save: None,
                resume_from=resume_from,
            )
        return Materials(self.context, cell), self.given


@pytest.fixture
def bench(spec, cache, monkeypatch):
    return Bench(spec, cache, monkeypatch)


def texts_of(documents, vocabulary):
    return [[vocabulary.words[i] for i in documents[n]] for n in range(len(documents))]


def same(documents, materials, indices, vocabulary):
    wanted = materials.encode(np.asarray(indices), vocabulary)
    assert texts_of(documents, vocabulary) == texts_of(wanted, vocabulary)
    assert len(documents) > 0


@pytest.mark.parametrize(
    ("regime", "size"), [("general", None), ("domain", 60), ("ulm+domain", 20)]
)
def test_a_language_model_reads_nine_tenths_of_its_documents_and_is_judged_on_the_rest(
    bench, regime, size
):
    encoder = "own" if regime == "ulm+domain" else None
    materials, given = bench.run(regime, Stage.LANGUAGE_MODEL, size, encoder)
    start, train, validation = given["arguments"][:3]
    documents = materials.documents
    same(validation, materials, documents[1::10], start.vocabulary)
    same(train, materials, np.delete(documents, np.s_[1::10]), start.vocabulary)
    assert given["seed"] == seed_for("language model", SEED if regime != "general" else 0)


def test_language_models_have_the_settings_of_the_spec_and_of_the_trial(bench):
    shape = asdict(bench.spec.language_model)
    for regime, size, length in (
        ("domain", 20, bench.spec.language_model),
        ("general", None, bench.spec.general),
    ):
        settings = asdict(bench.run(regime, Stage.LANGUAGE_MODEL, size)[1]["arguments"][3])
        del settings["accumulation"]
        lengths = {"epochs": length.epochs, "minimum_steps": length.minimum_steps}
        assert settings == {**shape, **lengths, **PARAMS}


def test_a_vocabulary_is_of_the_documents_that_a_cell_may_read(bench):
    materials, given = bench.run("domain", Stage.LANGUAGE_MODEL, 20)
    words = given["arguments"][0].vocabulary.words
    counts = materials.tokens.counts(materials.documents)
    often = {t for t, n in zip(materials.tokens.types, counts, strict=True) if n >= 2}
    assert set(words) - set(SPECIAL_WORDS) <= often
    assert len(words) <= 250
    assert len(often) < len(materials.tokens.types)


@pytest.mark.parametrize(
    ("regime", "size", "encoder"),
    [
        ("scratch", None, None),
        ("ulm", None, "own"),
        ("domain", 60, "own"),
        ("ulm+domain", 20, "own"),
    ],
)
def test_a_classifier_is_trained_and_judged_on_parts_of_the_labels(bench, regime, size, encoder):
    materials, given = bench.run(regime, Stage.CLASSIFIER, size, encoder)
    start, train, labels, settings = given["arguments"]
    ((own, held_out),) = materials.label_splits
    same(train, materials, own, start.vocabulary)
    same(given["validation"][0], materials, held_out, start.vocabulary)
    assert labels.tolist() == materials.labels(own).tolist()
    assert given["validation"][1].tolist() == materials.labels(held_out).tolist()
    assert (len(own), len(held_out)) == (14, 6)
    assert given["seed"] == seed_for("classifier", SEED)
    shape = asdict(bench.spec.classifier)
    for name in ("ensemble", "minimum_steps"):
        del shape[name]
    wanted = {**shape, **PARAMS, "epochs": 3, "gradual": regime != "scratch", "precision": "fp32"}
    assert {name: getattr(settings, name) for name in wanted} == wanted
    if regime in ("domain", "ulm+domain"):
        for name, weights in bench.encoder.weights.items():
            assert torch.equal(start.weights[name], weights), name
        assert start.vocabulary == bench.encoder.vocabulary


def test_classifiers_train_in_the_precision_of_the_language_models(spec, cache, monkeypatch):
    lowered = replace(spec, language_model=replace(spec.language_model, precision="bf16"))
    bench = Bench(lowered, cache, monkeypatch)
    for stage in (Stage.CLASSIFIER, Stage.FINAL):
        assert bench.run("scratch", stage)[1]["arguments"][3].precision == "bf16"
    settings = bench.run("domain", Stage.LANGUAGE_MODEL, 20)[1]["arguments"][3]
    assert settings.precision == "bf16"


def test_final_is_trained_on_all_labels_and_on_nothing_else(bench):
    searched = bench.run("domain", Stage.CLASSIFIER, 60, "own")[1]["arguments"][3]
    materials, given = bench.run("domain", Stage.FINAL, 60, "own")
    start, train, labels, settings = given["arguments"]
    same(train, materials, materials.labelled, start.vocabulary)
    assert labels.tolist() == materials.labels(materials.labelled).tolist()
    assert (materials.tokens.parts[materials.labelled] == Part.LABELLED).all()
    assert "validation" not in given
    assert settings == searched
    assert given["seed"] == seed_for("classifier", SEED)


def test_bow_is_fitted_on_a_part_in_the_search_and_on_all_labels_in_final(bench):
    params = {"inverse_regularization": 3.0}
    for stage in (Stage.CLASSIFIER, Stage.FINAL):
        materials, given = bench.run("bow", stage, params=params)
        documents, labels = given["arguments"]
        own = materials.labelled if stage is Stage.FINAL else materials.label_splits[0][0]
        same(documents, materials, own, given["vocabulary"])
        assert labels.tolist() == materials.labels(own).tolist()
        assert given["inverse_regularization"] == 3.0


def test_random_weights_are_the_same_for_all_regimes_of_a_seed(bench):
    scratch = bench.run("scratch", Stage.CLASSIFIER)[1]["arguments"][0]
    domain = bench.run("domain", Stage.LANGUAGE_MODEL, 20)[1]["arguments"][0]
    assert scratch.vocabulary == domain.vocabulary, "20 documents are the labelled ones"
    for name, weight in scratch.weights.items():
        assert weight.equal(domain.weights[name])


def test_training_goes_on_from_the_state_of_an_earlier_attempt(bench, tmp_path):
    (tmp_path / FOLDS_FILE).write_text("[]", encoding="utf-8")
    torch.save([], tmp_path / ENSEMBLE_FILE)
    asked = (
        ("domain", Stage.LANGUAGE_MODEL, 20),
        ("scratch", Stage.CLASSIFIER, None),
        ("scratch", Stage.FINAL, None),
    )
    for regime, stage, size in asked:
        assert bench.run(regime, stage, size)[1]["resume_from"] is None
        _, given = bench.run(regime, stage, size, resume_from=tmp_path)
        assert given["resume_from"] == tmp_path / STATE_FILE


def test_seeds_draw_other_documents_labels_splits_and_test_documents(spec, cache):
    context = context_of(spec, cache)
    cell = next(c for c in make_cells(spec) if c.size == 20)
    one, two = (Materials(context, replace(cell, seed=seed)) for seed in (0, 1))
    for drawn in ("documents", "labelled", "test"):
        assert set(getattr(one, drawn)) != set(getattr(two, drawn)), drawn
    unlabelled = [set(m.documents) - set(m.labelled) for m in (one, two)]
    assert unlabelled == [set(), set()], "20 documents are the labelled ones"
    larger = [Materials(context, replace(cell, seed=seed, size=60)) for seed in (0, 1)]
    rest = [set(m.documents) - set(m.labelled) for m in larger]
    assert len(rest[0] - rest[1]) > 0
    assert one.seed("language model") != two.seed("language model")


def test_all_that_determines_a_language_model_is_in_the_key_of_its_encoder(
    spec, cache, monkeypatch
):
    """Each change alone gives another key; what only changes cost gives the same."""

    def key(changed=spec, *, params=PARAMS, size=20, seed=SEED, encoder=None, regime="domain"):
        cell = next(c for c in make_cells(changed) if (c.regime, c.size) == (regime, size))
        cell = replace(cell, seed=seed)
        trial = TrialKey(study=StudyKey(cell_id=cell.id, stage=Stage.LANGUAGE_MODEL), number=0)
        request = TrialRequest(key=trial, cell=cell, params=params, encoder=encoder)
        context = context_of(changed, cache)
        job = language_models.Job(
            request=request,
            context=context,
            store=fresh_store(spec),
            materials=Materials(context, cell),
            report=lambda progress, save: None,
        )
        return language_models.key_for(language_models._determinants(job))

    def with_model(**changes):
        return key(replace(spec, model=replace(spec.model, **changes)))

    def with_shape(**changes):
        return key(replace(spec, language_model=replace(spec.language_model, **changes)))

    keys = [
        key(),
        key(params={**PARAMS, "learning_rate": 0.004}),
        key(params={**PARAMS, "decay": 2.0}),
        key(size=60),
        key(seed=SEED + 1),
        key(encoder="general"),
        key(encoder="another general"),
        key(replace(spec, corpus=replace(spec.corpus, seed=1))),
        *(with_model(**{name: getattr(spec.model, name) + 2}) for name in ("embedding", "hidden")),
        with_model(layers=3),
        with_model(vocabulary=260),
        with_model(minimum_count=3),
        with_model(vocabulary_rule="subset"),
        with_shape(epochs=3),
        with_shape(minimum_steps=10),
        with_shape(batch=5),
        with_shape(bptt=22),
        with_shape(dropout=0.2),
        with_shape(weight_decay=0.01),
        with_shape(clip=None),
        with_shape(precision="bf16"),
    ]
    monkeypatch.setattr(language_models, "TRAINING_VERSION", 0)
    keys.append(key())
    monkeypatch.setattr(language_models, "RULES_VERSION", 0)
    keys.append(key())
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    cheaper = replace(spec, resources=replace(spec.resources, cpus=2), name="other")
    assert key(cheaper) == keys[0]
