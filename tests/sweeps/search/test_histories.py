"""Every order of what can happen to a sweep: drivers and workers that vanish, speak late or twice.

A history is a list of events on a control whose studies outlive it, as a database outlives a
driver. A history is *orderly* while nothing in it may change a result: no trial failed or broke for
good, no worker left out an epoch, and studies ask one trial at a time. Such a sweep, however often
it was killed and extended, must end with the table of one that ran through.
"""

from dataclasses import replace
from functools import lru_cache

import pytest
from histories import (
    EPOCHS,
    EXTENSIONS,
    HistoryStudies,
    Tenths,
    Worker,
    cells_of,
    extensions,
    open_driver,
    specs,
)
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from simulation import run_all, table

from sweeps.errors import MeaningError
from sweeps.search.control import NoRequest
from sweeps.search.decisions import CellState
from sweeps.search.ledger import Ledger
from sweeps.search.records import StudyKey, TrialState
from sweeps.spec.cells import Stage
from sweeps.spec.cost import TrialCosts
from sweeps.spec.values import BudgetSpec, LabelSpec

WITH_REASON = (CellState.FAILED, CellState.UNSTARTED)


@lru_cache
def undisturbed_table(spec):
    control = open_driver(spec, HistoryStudies(), Tenths())
    run_all(control)
    return table(control)


def answers(ledger, spec, now):
    """Everything a ledger can be asked."""
    cells = cells_of(spec)
    studies = [StudyKey(cell_id=cell.id, stage=stage) for cell in cells for stage in cell.stages]
    return {
        "ready": ledger.ready(now),
        "next": [ledger.next_trial(study) for study in studies],
        "chosen": [ledger.chosen(study) for study in studies],
        "cells": [ledger.cell_status(cell, now) for cell in cells],
        "records": ledger.records,
        "counted": ledger.num_counted,
        "running": ledger.num_running,
        "spent": pytest.approx(ledger.spent(now).accelerator_seconds),
    }


class Histories(RuleBasedStateMachine):
    """A driver at a time, its workers, and workers of drivers before it."""

    workers = property(lambda self: self.at_work + self.gone)

    @initialize(spec=specs(), trials=st.integers(0, 12))
    def a_sweep_is_started(self, spec, trials):
        self.spec = spec
        self.studies = HistoryStudies()
        self.clock = Tenths()
        self.at_work, self.gone = [], []
        self.is_orderly = spec.search.parallel_trials == 1
        self.open()
        self.run_on(trials)

    def open(self):
        self.control = open_driver(self.spec, self.studies, self.clock)
        self.gone += self.at_work
        self.at_work = []
        self.asked = []

    def run_on(self, trials=10_000):
        """So many trials are asked and run through, one after another, unless there are fewer."""
        while trials and (self.ask() or self.at_work):
            trials -= 1
            worker = self.at_work[0]
            while worker.say_next(self.control):
                pass
            self.leaves(worker)

    def ask(self, waits=False):
        """Whether there was a trial to hand out."""
        may_start = self.held_seconds() < self.limit
        request = self.control.next_request(waits=waits)
        if isinstance(request, NoRequest):
            assert (request is NoRequest.WAIT) == bool(self.at_work)
            return False
        assert may_start
        self.asked.append((request.key.study, request.key.number))
        self.at_work.append(Worker(request))
        return True

    @property
    def limit(self):
        hours = self.spec.budget.accelerator_hours
        return float("inf") if hours is None else hours * 3600

    def held_seconds(self):
        attempts = self.control.ledger.attempts
        return sum(record.held_seconds(self.clock.now) for record in attempts)

    def leaves(self, worker):
        self.at_work.remove(worker)
        self.gone.append(worker)

    # what happens

    @rule(trials=st.integers(1, 3), waits=st.booleans())
    def trials_are_asked(self, trials, waits):
        for _ in range(trials):
            self.ask(waits)

    @rule(trials=st.integers(1, 8))
    def trials_run_through(self, trials):
        self.run_on(trials)

    @precondition(lambda self: self.at_work)
    @rule(data=st.data(), messages=st.integers(1, EPOCHS + 1), is_heard_twice=st.booleans())
    def a_worker_speaks(self, data, messages, is_heard_twice):
        worker = data.draw(st.sampled_from(self.at_work))
        for _ in range(messages):
            goes_on = worker.say_next(self.control)
            if is_heard_twice:
                assert worker.say(self.control, worker.said) == goes_on
            if not goes_on:
                self.leaves(worker)
                break

    @precondition(lambda self: self.at_work)
    @rule(data=st.data(), message=st.integers(1, EPOCHS + 1))
    def a_worker_leaves_out_messages(self, data, message):
        worker = data.draw(st.sampled_from(self.at_work))
        self.is_orderly &= message <= worker.said + 1
        worker.said = max(worker.said, message)
        if not worker.say(self.control, message):
            self.leaves(worker)

    @precondition(lambda self: self.gone)
    @rule(data=st.data(), message=st.integers(1, EPOCHS + 1))
    def a_worker_that_is_gone_speaks(self, data, message):
        before = self.control.ledger.attempts
        assert not data.draw(st.sampled_from(self.gone)).say(self.control, message)
        assert self.control.ledger.attempts == before

    @precondition(lambda self: self.at_work)
    @rule(data=st.data(), checkpoint=st.integers(0, EPOCHS))
    def a_worker_vanishes(self, data, checkpoint):
        """Its trial goes on from a checkpoint, `retries` times, as Ray Tune has it."""
        worker = data.draw(st.sampled_from(self.at_work))
        worker.vanished += 1
        if worker.vanished > self.spec.retries:
            self.ends_badly(worker, self.control.give_up)
        else:
            self.control.waits(worker.key, "its node vanished")
            worker.said = min(worker.said, checkpoint)

    @precondition(lambda self: self.control.ledger.attempts)
    @rule(data=st.data())
    def that_a_trial_was_asked_is_told_again(self, data):
        before = self.control.ledger.attempts
        record = data.draw(st.sampled_from(before))
        assert not self.control.ledger.asked(replace(record, state=TrialState.RUNNING))
        assert self.control.ledger.attempts == before

    @precondition(lambda self: self.at_work)
    @rule(data=st.data())
    def a_trial_begins(self, data):
        self.control.begins(data.draw(st.sampled_from(self.at_work)).key)

    @precondition(lambda self: self.at_work)
    @rule(data=st.data())
    def a_trial_fails(self, data):
        self.ends_badly(data.draw(st.sampled_from(self.at_work)), self.control.fail)

    def ends_badly(self, worker, event):
        event(worker.key, "it broke")
        self.is_orderly = False
        self.leaves(worker)

    @precondition(lambda self: self.at_work and self.control.is_over_budget)
    @rule(data=st.data())
    def a_trial_is_withdrawn(self, data):
        worker = data.draw(st.sampled_from(self.at_work))
        self.control.lose(worker.key, "budget spent")
        self.leaves(worker)

    @rule(is_closed=st.booleans(), trials=st.integers(0, 3))
    def the_driver_starts_anew(self, is_closed, trials):
        if is_closed:
            self.control.close()
        counted = self.control.num_recorded
        broken = sum(record.retryable for record in self.control.records)
        self.open()
        assert counted - broken <= self.control.num_recorded <= counted
        self.trials_are_asked(trials, waits=False)

    @rule(extension=extensions)
    def the_spec_is_extended(self, extension):
        self.spec = EXTENSIONS[extension](self.spec)
        self.open()

    @rule()
    def another_meaning_is_refused(self):
        labels = LabelSpec(train=self.spec.labels.train - 1)
        before = self.control.ledger.attempts
        with pytest.raises(MeaningError, match=r"labels\.train: recorded 10, now 9"):
            open_driver(replace(self.spec, labels=labels), self.studies, self.clock)
        assert self.control.ledger.attempts == before

    @rule(seconds=st.integers(1, 6))
    def time_passes(self, seconds):
        self.clock.now += seconds

    # what must hold

    @invariant()
    def no_trial_is_asked_twice_in_a_run(self):
        assert len(self.asked) == len(set(self.asked))

    @invariant()
    def no_study_runs_or_counts_more_than_it_may(self):
        studies = self.control.ledger._studies
        for study, attempts in studies.items():
            assert attempts.num_running <= self.spec.search.parallel_trials
            assert self.control.ledger._num_counted(study) <= attempts.wanted

    @invariant()
    def no_trial_is_counted_twice(self):
        counted = [
            (record.key.study, record.key.number, record.encoder, basis_params(record))
            for record in self.control.ledger.attempts
            if record.state.counts and not record.retryable
        ]
        assert len(counted) == len(set(counted))

    @invariant()
    def a_trial_asked_again_has_the_settings_it_had(self):
        settings = {}
        for record in self.control.ledger.attempts:
            if record.key.study.stage is not Stage.FINAL:
                trial = (record.key.study, record.key.number, record.encoder)
                assert settings.setdefault(trial, record.params) == record.params

    @invariant()
    def epochs_are_kept_once_and_in_order(self):
        for record in self.control.ledger.attempts:
            epochs = [progress.epoch for progress in record.progress]
            assert epochs == sorted(set(epochs))

    @invariant()
    def a_suggestion_rests_on_what_ended_before_it(self):
        for study in self.control.ledger.ready(self.clock.now):
            wanted = self.control.ledger.next_trial(study)
            numbers = [record.key.number for record in wanted.history]
            assert numbers == sorted(set(numbers))
            assert max(numbers, default=-1) < wanted.key.number
            assert all(record.state.counts for record in wanted.history)

    @invariant()
    def every_second_that_was_held_is_counted(self):
        ledger, held = self.control.ledger, pytest.approx(self.held_seconds())
        assert ledger.spent(self.clock.now).accelerator_seconds == held
        assert ledger._accelerator_seconds(self.clock.now) == held

    @invariant()
    def what_is_kept_is_what_is_known(self):
        known = {record.key: state_of(record) for record in self.control.ledger.attempts}
        kept = {record.key: state_of(record) for record in self.studies._records.values()}
        assert known == kept

    @invariant()
    def a_ledger_made_of_the_records_answers_the_same(self):
        ledger, now = self.control.ledger, self.clock.now
        anew = Ledger(
            self.spec,
            cells_of(self.spec),
            records=reversed(ledger.attempts),
            cost=TrialCosts.of(self.spec).seconds,
            opened_at=ledger._opened_at,
        )
        assert answers(anew, self.spec, now) == answers(ledger, self.spec, now)

    @invariant()
    def what_is_recorded_stands_on_the_choices_that_stand(self):
        for record in self.control.records:
            basis = self.control.ledger.basis(record.key.study)
            assert basis is None or basis.carries(record)

    # how every history ends

    def teardown(self):
        if not hasattr(self, "control"):
            return
        self.run_on()
        ledger, now = self.control.ledger, self.clock.now
        for status in (ledger.cell_status(cell, now) for cell in cells_of(self.spec)):
            assert status.state in (CellState.FINISHED, *WITH_REASON)
            assert status.reason or status.state is CellState.FINISHED
            assert ledger.over_budget(now) or status.state is not CellState.UNSTARTED
        self.spec = replace(self.spec, budget=BudgetSpec())
        self.open()
        self.run_on()
        assert not self.control.ledger.ready(self.clock.now)
        assert not any(record.retryable for record in self.control.records)
        if self.is_orderly:
            whole = replace(self.spec, retries=0)
            assert table(self.control) == undisturbed_table(whole)


def state_of(record):
    """What broke counts as failed in its run, and as lost in the next."""
    return "broke" if record.retryable else record.state


def basis_params(record):
    """Settings are part of what a `final` trial is based on."""
    is_final = record.key.study.stage is Stage.FINAL
    return tuple(sorted(record.params.items())) if is_final else None


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=2000,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
