"""A sweep without training: a spec, an objective with a known optimum, a runner that is a loop."""

import math

from sweeps.record.recorder import ListRecorder
from sweeps.search.control import Control, NoRequest
from sweeps.search.listener import RunListener
from sweeps.search.records import Outcome, Progress, TrialRequest
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.searches import BagOfWordsSearch, NeuralSearch, Range, SearchSpec
from sweeps.spec.values import ClassifierSpec, LabelSpec, LanguageModelSpec, SweepSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource

RATES = Range(low=1e-3, high=1e-1, log=True)


def tiny_spec(**changes):
    values = {
        "name": "tiny",
        "corpus": CorpusSource(kind="synthetic"),
        "general": GeneralSpec(kind="synthetic-general"),
        "labels": LabelSpec(train=10),
        "sizes": (10, 40),
        "seeds": (0, 1),
        "regimes": tuple(Regime),
        "language_model": LanguageModelSpec(epochs=3),
        "classifier": ClassifierSpec(epochs=3),
        "search": tiny_search(),
        "retries": 2,
    }
    return SweepSpec(**{**values, **changes})


def tiny_search(*, language_models=2, classifiers=3, own_warmup=None, **changes):
    return SearchSpec(
        language_model=NeuralSearch(
            trials=language_models, learning_rate=RATES, warmup_epochs=own_warmup
        ),
        classifier=NeuralSearch(trials=classifiers, learning_rate=RATES),
        bow=BagOfWordsSearch(trials=2),
        **{"warmup_epochs": 1, **changes},
    )


class Clock:
    """Advances by one second each time it is read."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        self.now += 1.0
        return self.now


class SilentListener(RunListener):
    """Keeps the keys of those that started, and messages."""

    def __init__(self):
        self.started = []
        self.messages = []

    def trial_started(self, record):
        self.started.append(record.key)

    def message(self, text):
        self.messages.append(text)


def value_of(request: TrialRequest, epoch: int) -> float:
    """Best near a learning rate of 0.02, better with more documents, with the right encoder."""
    miss = abs(math.log10(request.params.get("learning_rate", 0.02) / 0.02))
    size = math.log10(request.cell.size or 5)
    if request.key.study.stage is Stage.LANGUAGE_MODEL:
        return 6.0 - size + miss + 1.0 / epoch
    encoder = float(request.encoder.rsplit(":", 1)[1]) if request.encoder else 8.0
    return 1.0 / (1.0 + 0.1 * encoder + miss + 0.2 / epoch)


def run_trial(control: Control, request: TrialRequest) -> None:
    """Three epochs and an outcome, as a worker would tell them."""
    for epoch in (1, 2, 3):
        value = value_of(request, epoch)
        progress = Progress(epoch=epoch, num_epochs=3, value=value, metrics={"train_loss": value})
        if not control.report(request.key, progress):
            return
    control.finish(request.key, outcome_of(request))


def outcome_of(request: TrialRequest) -> Outcome:
    value = value_of(request, 3)
    artifacts = {}
    if request.key.study.stage is Stage.LANGUAGE_MODEL:
        artifacts = {"encoder": f"{request.cell.id}:{value!r}"}
    metrics = {"validation_loss": 1.0 - value / 10}
    return Outcome(value=value, metrics=metrics, artifacts=artifacts)


def open_control(spec, studies, *, listener=None, clock=None, general_encoder=None):
    cells = make_cells(spec)
    return Control(
        spec,
        cells,
        studies,
        lambda: ListRecorder(spec=spec, cells=cells),
        listener or SilentListener(),
        clock=clock or Clock(),
        general_encoder=general_encoder,
    )


def run_all(control: Control, *, at_most: int = 10_000) -> int:
    """Runs trials one at a time until none is wanted or the number is reached."""
    for done in range(at_most):
        request = control.next_request()
        if request is NoRequest.DONE:
            return done
        assert isinstance(request, TrialRequest), "one trial at a time never has to wait"
        run_trial(control, request)
    return at_most


def table(control: Control):
    """What must be equal however often a run was broken: no attempts, no times."""
    return {
        (str(record.key.study), record.key.number): (
            dict(record.params),
            record.encoder,
            record.state,
            record.outcome,
            tuple(progress.value for progress in record.progress),
        )
        for record in control.records
    }
