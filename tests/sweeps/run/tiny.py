"""A sweep small enough to train in seconds: the embedded corpus, an 8-unit model, two epochs."""

import tempfile
from pathlib import Path

from sweeps.paths import SweepPaths
from sweeps.record.recorder import ListRecorder
from sweeps.run.context import TrialContext
from sweeps.run.encoders import EncoderStore
from sweeps.run.memory import MemoryPeak
from sweeps.run.prepare import prepare_context
from sweeps.run.session import RunSession
from sweeps.run.stages import run_trial
from sweeps.search.control import Control, NoRequest
from sweeps.search.listener import RunListener
from sweeps.search.suggestions import InMemoryStudies
from sweeps.spec.cells import make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.searches import BagOfWordsSearch, NeuralSearch, Range, SearchSpec
from sweeps.spec.values import (
    ClassifierSpec,
    LabelSpec,
    LanguageModelSpec,
    ModelSpec,
    SweepSpec,
    TestSpec,
)
from ulm.text.corpora import CorpusSource
from ulm.text.tokens import prepare_tokens

RATES = Range(low=1e-3, high=1e-2, log=True)


def tiny_spec(storage: Path, **changes) -> SweepSpec:
    values = {
        "name": "tiny",
        "storage": str(storage),
        "corpus": CorpusSource(kind="synthetic", documents=80),
        "general": GeneralSpec(kind="synthetic-general", documents=60, epochs=1),
        "labels": LabelSpec(train=20),
        "test": TestSpec(documents=40),
        "sizes": (20, 60),
        "seeds": (0,),
        "model": ModelSpec(embedding=8, hidden=8, layers=2, vocabulary=300, minimum_count=1),
        "language_model": LanguageModelSpec(epochs=2, minimum_steps=0, batch=4, bptt=20),
        "classifier": ClassifierSpec(epochs=2, batch=8, bptt=20),
        "search": SearchSpec(
            language_model=NeuralSearch(trials=1, learning_rate=RATES),
            classifier=NeuralSearch(trials=2, learning_rate=RATES),
            bow=BagOfWordsSearch(trials=2),
        ),
    }
    return SweepSpec(**{**values, **changes})


def fresh_store(spec: SweepSpec) -> EncoderStore:
    """A store that holds nothing, whatever was trained before."""
    return EncoderStore(tempfile.mkdtemp(prefix="encoders-", dir=spec.storage))


def context_of(spec: SweepSpec, cache: Path) -> TrialContext:
    general = spec.general.source
    return TrialContext(
        spec=spec,
        domain=prepare_tokens(spec.corpus, cache, processes=1).folder,
        general=None if general is None else prepare_tokens(general, cache, processes=1).folder,
        encoders=str(Path(spec.storage) / "encoders"),
        predictions=str(Path(spec.storage) / spec.name / "predictions"),
        models=str(Path(spec.storage) / spec.name / "models"),
    )


def run_in_process(spec, context, store):
    """The whole sweep in this process, one trial after another; returns its control."""
    cells = make_cells(spec)
    recorder = ListRecorder(spec=spec, cells=cells)
    control = Control(spec, cells, InMemoryStudies(), lambda: recorder, RunListener())
    while (request := control.next_request()) is not NoRequest.DONE:
        outcome = run_trial(
            request, context, store, lambda p, save, key=request.key: control.report(key, p)
        )
        control.finish(request.key, outcome)
    return control


def run_session(spec):
    """A whole run of a sweep without encoders in this process, report and record included."""
    paths = SweepPaths.of(spec)
    paths.folder.mkdir(parents=True, exist_ok=True)
    context, tokens = prepare_context(spec, paths, RunListener())
    session = RunSession(spec, paths, RunListener(), tokens=tokens)

    def train(control):
        while (request := control.next_request()) is not NoRequest.DONE:
            control.finish(request.key, run_trial(request, context, None, lambda *told: None))

    try:
        session.train(train)
        session.keep_facts(1.0, MemoryPeak())
        session.answer()
    finally:
        session.close()
    return session
