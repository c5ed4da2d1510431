import math
import statistics
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import optuna
import pytest
from simulation import open_control, run_all, tiny_spec

from sweeps.errors import MeaningError, StorageError
from sweeps.paths import SweepPaths
from sweeps.search.attributes import TRIAL, asked_attributes, record_from
from sweeps.search.records import (
    Outcome,
    Progress,
    StudyKey,
    TrialKey,
    TrialRecord,
    TrialState,
)
from sweeps.search.studies import OptunaStudies, read_records
from sweeps.search.suggestions import (
    DRIVER_STOPPED,
    SPREAD_TRIALS,
    InMemoryStudies,
    Pruning,
    Question,
    spread,
)
from sweeps.spec.cells import Stage
from sweeps.spec.searches import Range

SPACE = {"learning_rate": Range(low=1e-3, high=1e-1, log=True), "decay": Range(low=1.0, high=4.0)}
STUDY = StudyKey(cell_id="scratch-s0-12345678", stage=Stage.CLASSIFIER)
MEANING = {"labels.train": 10, "search.classifier.decay": {"range": [1, 4]}}


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def reopen(request, tmp_path):
    opened = []
    memory = InMemoryStudies("tiny")
    url, name = f"sqlite:///{tmp_path / 'ledger.db'}", "tiny"
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres")
        url, name = postgres.database("ledgers"), request.node.name  # one database, many sweeps

    def studies():
        if request.param == "memory":
            return memory
        opened.append(OptunaStudies(url, name))
        return opened[-1]

    yield studies
    for each in opened:
        each.close()


def trial(number, *, values=(), state=TrialState.RUNNING, study=STUDY, **changes):
    progress = tuple(
        Progress(epoch=epoch, num_epochs=3, value=value) for epoch, value in enumerate(values, 1)
    )
    record = TrialRecord(
        key=TrialKey(study=study, number=number),
        params={"learning_rate": 0.01 * (number + 1), "decay": 1.0 + number / 2},
        state=state,
        progress=progress,
        started_at=100.0 + number,
        outcome=Outcome(value=values[-1]) if state is TrialState.FINISHED else None,
    )
    return replace(record, **changes)


def question(number, *, history=(), seed=7):
    return Question(number=number, space=SPACE, maximize=True, seed=seed, history=history)


def test_the_first_suggestion_is_the_middle_of_every_range(reopen):
    suggested = reopen().suggest(question(0))
    assert suggested == pytest.approx({"learning_rate": 1e-2, "decay": 2.5})


def test_suggestions_lie_in_their_ranges_and_repeat_with_their_seed_and_history(reopen):
    studies = reopen()
    history = tuple(
        trial(
            n,
            values=(0.5, 0.6 + n / 100),
            state=TrialState.FINISHED,
            params=spread(question(n)),
        )
        for n in range(14)
    )
    for number in range(15):
        asked = question(number, history=history[:number])
        first = studies.suggest(asked)
        assert studies.suggest(asked) == first
        assert SPACE["learning_rate"].low <= first["learning_rate"] <= SPACE["learning_rate"].high
        assert SPACE["decay"].low <= first["decay"] <= SPACE["decay"].high


def test_from_the_eleventh_trial_on_optuna_suggests_by_the_history(tmp_path):
    studies = OptunaStudies(f"sqlite:///{tmp_path / 'ledger.db'}", "tiny")
    history = [
        trial(n, values=(0.5,), state=TrialState.FINISHED, params=spread(question(n)))
        for n in range(SPREAD_TRIALS)
    ]
    asked = question(SPREAD_TRIALS, history=(*history,))
    assert studies.suggest(asked) != spread(asked)
    assert studies.suggest(asked) != studies.suggest(replace(asked, seed=8))
    studies.close()


def shares(space, numbers, history=()):
    """Where in the range of the rate, from 0 to 1, trials are asked."""
    low, high = space["learning_rate"].low, space["learning_rate"].high
    asked = [Question(number=n, space=space, maximize=True, seed=0) for n in numbers]
    points = [spread(replace(each, history=tuple(history))) for each in asked]
    return [math.log(point["learning_rate"] / low) / math.log(high / low) for point in points]


@pytest.mark.parametrize("space", [SPACE, {"learning_rate": SPACE["learning_rate"]}])
def test_the_first_rates_leave_no_large_gap(space):
    """A random draw of K points leaves a gap of ln(K)/K or so; evenly spaced ones one of 1/K."""
    assert shares(space, range(4)) == pytest.approx([0.5, 0.118, 0.736, 0.354], abs=1e-3)
    for number in range(2, SPREAD_TRIALS + 1):
        ends = sorted([0.0, *shares(space, range(number)), 1.0])
        assert max(b - a for a, b in pairwise(ends)) < 2 / number


def test_the_second_hyperparameter_is_spread_as_well_and_does_not_follow_the_first():
    points = [spread(question(number)) for number in range(SPREAD_TRIALS)]
    decays = [(point["decay"] - 1) / 3 for point in points]
    ends = sorted([0.0, *decays, 1.0])
    assert max(b - a for a, b in pairwise(ends)) < 0.25
    assert abs(statistics.correlation(shares(SPACE, range(SPREAD_TRIALS)), decays)) < 0.4


def test_all_cells_are_asked_the_same_rates_however_their_first_trials_ended():
    ends = trial(0, values=(0.5,), state=TrialState.FINISHED), trial(0, state=TrialState.LOST)
    first, second = (spread(question(1, history=(end,), seed=n)) for n, end in enumerate(ends))
    assert first == second


def test_rates_at_and_above_one_that_diverged_are_passed_over_and_none_is_asked_twice():
    space, history = {"learning_rate": SPACE["learning_rate"]}, []
    for number in range(8):
        params = spread(
            Question(number=number, space=space, maximize=True, seed=0, history=tuple(history))
        )
        is_high = params["learning_rate"] >= SPACE["learning_rate"].at(0.45)
        state = TrialState.FAILED if is_high else TrialState.FINISHED
        history.append(trial(number, values=(0.5,), state=state, params=params))
    rates = [record.params["learning_rate"] for record in history]
    assert len({*rates}) == 8
    assert sum(record.state is TrialState.FAILED for record in history) == 1
    broken = [replace(record, retryable=True) for record in history]
    assert shares(space, [8], broken) == pytest.approx([(0.5 + 8 * 0.6180339887) % 1])


def test_where_every_rate_diverged_the_search_goes_on():
    space = {"learning_rate": SPACE["learning_rate"]}
    failed = trial(0, state=TrialState.FAILED, params={"learning_rate": 1e-3})
    assert shares(space, [1], [failed]) == shares(space, [1])


@pytest.mark.parametrize("sign", [1, -1])
def test_optuna_suggests_what_is_nearer_to_the_best_of_the_history_than_the_history(tmp_path, sign):
    def miss(rate):
        return abs(math.log(rate / 0.02))

    studies = OptunaStudies(f"sqlite:///{tmp_path / 'ledger.db'}", "tiny")
    space = {"learning_rate": SPACE["learning_rate"]}
    rates = [1e-3 * 100 ** (n / 11) for n in range(12)]
    history = tuple(
        trial(
            n,
            values=(-sign * miss(rate) ** 2,),
            state=TrialState.FINISHED,
            params={"learning_rate": rate},
        )
        for n, rate in enumerate(rates)
    )
    asked = Question(number=12, space=space, maximize=sign > 0, seed=0, history=history)
    found = [studies.suggest(replace(asked, seed=seed))["learning_rate"] for seed in range(20)]
    studies.close()
    assert statistics.mean(map(miss, found)) < statistics.mean(map(miss, rates)) / 2


def diverge_above(edge, trials, seed, tmp_path, **failure):
    """How many of a study's trials diverge, each rate suggested by those before."""
    studies = OptunaStudies(f"sqlite:///{tmp_path / 'ledger.db'}", "tiny")
    space = {"learning_rate": Range(low=1e-3, high=1.0, log=True)}
    history = []
    for number in range(trials):
        asked = Question(
            number=number, space=space, maximize=True, seed=100 * seed + number, history=(*history,)
        )
        params = studies.suggest(asked)
        rate = params["learning_rate"]
        if rate > edge:
            ended = trial(number, values=(0.9,), state=TrialState.FAILED, **failure)
        else:
            score = 0.8 - 0.05 * math.log10(rate / 1e-2) ** 2
            ended = trial(number, values=(score,), state=TrialState.FINISHED)
        history.append(replace(ended, params=params))
    studies.close()
    return sum(record.state is TrialState.FAILED for record in history)


def test_where_trainings_diverged_is_not_asked_again_and_again(tmp_path):
    """Half of the range diverges, so that random search would ask 36 of 72 there."""
    diverged = sum(diverge_above(0.03, 12, seed, tmp_path) for seed in range(6))
    broken = sum(diverge_above(0.03, 12, seed, tmp_path, retryable=True) for seed in range(6))
    assert diverged <= 24
    assert broken > 36, "what broke of itself says nothing of its rate"


def test_fixed_values_are_suggested_as_they_are(reopen):
    space = {"learning_rate": Range(low=0.01, high=0.01), "decay": Range(low=1.0, high=4.0)}
    asked = Question(number=1, space=space, maximize=False, seed=3, history=(trial(0),))
    asked = replace(asked, history=(trial(0, values=(1.0,), state=TrialState.FINISHED),))
    asked.history[0].params["learning_rate"] = 0.01
    assert reopen().suggest(asked)["learning_rate"] == 0.01


def test_everything_of_a_trial_comes_back(reopen):
    studies = reopen()
    assert studies.open(MEANING) == ()
    begun = trial(0, encoder="abc")
    progress = Progress(epoch=1, num_epochs=3, value=0.7, metrics={"train_loss": 0.9})
    outcome = Outcome(value=0.75, metrics={"steps": 12.0}, artifacts={"encoder": "def"})
    ended = replace(
        begun, state=TrialState.FINISHED, progress=(progress,), outcome=outcome, ended_at=130.0
    )
    studies.begin(begun, SPACE)
    studies.report(begun.key, progress, 120.0)
    studies.end(ended)
    assert reopen().open(MEANING) == (ended,)


def test_what_an_earlier_version_kept_of_a_trial_besides_is_ignored():
    record = trial(0, encoder="abc")
    kept = asked_attributes(record)
    kept[TRIAL]["best_epoch"] = 4
    assert record_from(kept, record.params) == replace(record, told_at=None)


def test_optuna_reads_what_was_kept_as_its_own(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    studies = OptunaStudies(url, "tiny")
    studies.open(MEANING)
    values = (0.5, 0.7)
    for number, state in enumerate((TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED)):
        ended = trial(number, values=values, state=state, started_at=1e9, ended_at=1e9 + 60)
        studies.begin(replace(ended, state=TrialState.RUNNING, progress=()), SPACE)
        for progress in ended.progress:
            studies.report(ended.key, progress, 1e9 + 30)
        studies.end(ended)
    studies.begin(trial(3), SPACE)
    studies.close()

    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name=f"tiny/{STUDY}", storage=storage)
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert [each.number for each in study.trials] == [0, 1, 2, 3]
    assert [each.state.name for each in study.trials] == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert [each.value for each in study.trials] == [0.7, 0.7, None, None]
    first = study.trials[0]
    assert first.params == trial(0).params
    assert first.distributions["learning_rate"].log
    assert first.intermediate_values == {1: 0.5, 2: 0.7}
    assert first.duration.total_seconds() == 60
    assert first.datetime_start.astimezone(UTC) == datetime.fromtimestamp(1e9, UTC)
    assert study.best_params == first.params
    storage.engine.dispose()


@pytest.mark.parametrize(
    ("state", "failure"),
    [(TrialState.PRUNED, None), (TrialState.FAILED, "diverged"), (TrialState.LOST, "vanished")],
)
def test_trials_that_did_not_run_through_keep_their_reason(reopen, state, failure):
    studies = reopen()
    studies.open(MEANING)
    begun = trial(0)
    studies.begin(begun, SPACE)
    ended = replace(begun, state=state, failure=failure, ended_at=130.0)
    studies.end(ended)
    assert reopen().open(MEANING) == (ended,)


def test_trials_a_vanished_driver_left_running_are_closed_as_lost_when_last_heard_of(reopen):
    studies = reopen()
    studies.open(MEANING)
    studies.begin(trial(0), SPACE)
    studies.report(trial(0).key, Progress(epoch=1, num_epochs=3, value=0.5), 150.0)
    studies.begin(trial(0, study=replace(STUDY, stage=Stage.FINAL)), {})
    heard, silent = sorted(reopen().open(MEANING), key=lambda record: str(record.key.study))
    assert (heard.state, heard.failure, heard.ended_at) == (TrialState.LOST, DRIVER_STOPPED, 150.0)
    assert (silent.state, silent.ended_at) == (TrialState.LOST, 100.0)
    assert reopen().open(MEANING) in [(heard, silent), (silent, heard)]


@pytest.mark.parametrize("maximize", [True, False])
def test_a_trial_below_the_median_of_two_finished_ones_is_pruned_after_the_warm_up(
    reopen, maximize
):
    studies = reopen()
    sign = 1 if maximize else -1
    pruning = Pruning(startup=2, warmup_epochs=2, maximize=maximize)
    history = [
        trial(n, values=(sign * 0.6, sign * 0.7 + n / 100), state=TrialState.FINISHED)
        for n in range(2)
    ]
    bad = trial(2, values=(sign * 0.1, sign * 0.2))
    good = trial(2, values=(sign * 0.6, sign * 0.9))
    assert studies.should_prune(bad, history, pruning)
    assert not studies.should_prune(good, history, pruning)
    assert not studies.should_prune(bad, history[:1], pruning)
    early = replace(bad, progress=bad.progress[:1])
    assert not studies.should_prune(early, history, pruning)


def test_a_spec_that_means_something_else_is_refused_with_old_and_new_values(reopen):
    reopen().open(MEANING)
    changed = {**MEANING, "labels.train": 20, "model.layers": 2}
    with pytest.raises(MeaningError, match=r"(?s)labels.train: recorded 10, now 20.*model.layers"):
        reopen().open(changed)
    assert reopen().open(MEANING) == ()


def test_a_corpus_that_holds_something_else_is_refused_once_its_content_is_known(reopen):
    reopen().open(MEANING)  # as a version that kept no content
    known = {**MEANING, "corpus.content": "ab12"}
    reopen().open(known)
    reopen().open(MEANING)
    reopen().open({**known, "general.content": "ef56"})
    with pytest.raises(MeaningError, match=r"corpus\.content: recorded 'ab12', now 'cd34'"):
        reopen().open({**known, "corpus.content": "cd34"})
    with pytest.raises(MeaningError, match=r"general\.content: recorded 'ef56', now '0'"):
        reopen().open({**known, "general.content": "0"})


def test_sweeps_in_one_database_do_not_see_each_other(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    one, other = OptunaStudies(url, "one"), OptunaStudies(url, "one-more")
    one.open(MEANING)
    one.begin(trial(0), SPACE)
    assert other.open({"labels.train": 99}) == ()
    one.close()
    other.close()


def test_reading_a_run_folder_changes_nothing_and_needs_no_run(tmp_path):
    spec = tiny_spec(storage=str(tmp_path), sizes=(10,), seeds=(0,))
    paths = SweepPaths.of(spec)
    assert read_records(paths, spec) == ()
    assert not paths.folder.exists()

    paths.folder.mkdir()
    paths.ledger_db.touch()
    assert read_records(paths, spec) == ()
    assert paths.ledger_db.stat().st_size == 0
    studies = OptunaStudies(paths.ledger_url, spec.name)
    control = open_control(spec, studies)
    run_all(control, at_most=8)
    control.next_request()
    read = read_records(paths, spec)
    assert read == control.records
    assert [record.state for record in read].count(TrialState.RUNNING) == 1
    control.close()


def test_a_ledger_that_can_not_be_opened_says_so_without_its_password(tmp_path):
    with pytest.raises(StorageError, match="database that can be opened"):
        OptunaStudies(f"sqlite:///{tmp_path / 'no' / 'folder' / 'ledger.db'}", "tiny")
    with pytest.raises(StorageError, match="database that can be opened") as caught:
        OptunaStudies("postgresql://user:secret@127.0.0.1:1/ledger", "tiny")
    assert "secret" not in str(caught.value)
    assert "in PGPASSWORD or in ~/.pgpass" in str(caught.value)


def test_what_corpora_held_stays_known_where_a_later_run_says_more_and_not_of_them(tmp_path):
    studies = OptunaStudies(f"sqlite:///{tmp_path / 'ledger.db'}", "tiny")
    studies.open({"labels.train": 10, "corpus.content": "abc"})
    studies.open({"labels.train": 10, "general.content": "def"})
    assert studies.recorded_meaning() == {
        "labels.train": 10,
        "corpus.content": "abc",
        "general.content": "def",
    }
    studies.close()
