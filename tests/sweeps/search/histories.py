"""What hypothesis draws for the histories of a sweep: specs, extensions, ways a worker speaks."""

from dataclasses import dataclass, replace
from functools import lru_cache
from zlib import crc32

from hypothesis import strategies as st
from simulation import SilentListener, outcome_of, tiny_search, tiny_spec, value_of

from sweeps.search.control import Control
from sweeps.search.records import Progress, TrialRequest
from sweeps.search.suggestions import InMemoryStudies
from sweeps.spec.cells import make_cells
from sweeps.spec.values import BudgetSpec
from ulm.regimes import Regime

EPOCHS = 3
cells_of = lru_cache(make_cells)

regimes = st.lists(st.sampled_from(Regime), min_size=1, max_size=2, unique=True).map(tuple)


@st.composite
def specs(draw):
    """A sweep of a few cells; half of them have a budget that histories can spend."""
    search = tiny_search(
        language_models=draw(st.integers(1, 2)),
        classifiers=draw(st.integers(1, 3)),
        parallel_trials=draw(st.sampled_from([1, 1, 2])),
        pruner=draw(st.sampled_from(["median", "none"])),
    )
    return tiny_spec(
        search=search,
        regimes=draw(regimes),
        sizes=(10,),
        seeds=(0,),
        retries=draw(st.integers(0, 2)),
        budget=BudgetSpec(accelerator_hours=draw(st.sampled_from([None, 10 / 3600]))),
    )


def _others(spec):
    return [regime for regime in Regime if regime not in spec.regimes]


def _more_trials(spec, stage):
    search = getattr(spec.search, stage)
    more = {stage: replace(search, trials=search.trials + 1)}
    return replace(spec, search=replace(spec.search, **more))


EXTENSIONS = {
    "a seed": lambda spec: replace(spec, seeds=(0, 1)),
    "a size": lambda spec: replace(spec, sizes=(10, 40)),
    "a regime": lambda spec: replace(spec, regimes=(*spec.regimes, *_others(spec)[:1])),
    "a language model": lambda spec: _more_trials(spec, "language_model"),
    "a classifier": lambda spec: _more_trials(spec, "classifier"),
    "a C of bow": lambda spec: _more_trials(spec, "bow"),
    "no budget": lambda spec: replace(spec, budget=BudgetSpec()),
}
extensions = st.sampled_from(sorted(EXTENSIONS))


@dataclass
class Worker:
    """A process that trains what it was asked to, and what it has still to say.

    Its numbers follow from the request alone, as on one machine.
    """

    request: TrialRequest
    said: int = 0
    vanished: int = 0

    @property
    def key(self):
        return self.request.key

    def epoch(self, number):
        value = value_of(self.request, number)
        return Progress(epoch=number, num_epochs=EPOCHS, value=value)

    def say(self, control, message):
        """Tells an epoch, or its outcome as the message after the last."""
        if message <= EPOCHS:
            return control.report(self.key, self.epoch(message))
        control.finish(self.key, outcome_of(self.request))
        return False

    def say_next(self, control):
        self.said += 1
        return self.say(control, self.said)


class HistoryStudies(InMemoryStudies):
    """Every suggestion depends on all that its history holds: a wrong history is another trial."""

    def suggest(self, question):
        others = question.number - len(question.history)
        assert 0 <= others <= 1, "at most one trial of the study runs beside this one"
        past = [(r.key.number, r.params, r.state, r.outcome) for r in question.history]
        return super().suggest(replace(question, seed=crc32(repr((question.seed, past)).encode())))


class Unrecorded:
    """A recorder that keeps nothing: thousands of sweeps would be described in full."""

    def changed(self, *told):
        pass

    reconcile = spent = changed


class Tenths:
    """A clock that advances by a tenth of a second each time it is read."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        self.now += 0.1
        return self.now


def open_driver(spec, studies, clock):
    return Control(spec, cells_of(spec), studies, Unrecorded, SilentListener(), clock=clock)
