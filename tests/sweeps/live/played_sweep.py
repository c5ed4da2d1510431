"""A sweep played in simulated time on a number of workers: its events, without any training."""

import heapq
import random

from sweeps.search.ledger import Ledger
from sweeps.search.records import Progress, TrialRecord
from sweeps.spec.cells import make_cells
from sweeps.spec.cost import TrialCosts
from tests.sweeps.example_sweep import outcome_of, params_of

EPOCHS = 4
BEGIN = 1_700_000_000.0


def even_pace(cell, stage, rng):
    """Every trial takes what the plan says."""
    return 1.0


def played(spec, workers=2, pace=even_pace, seed=0):
    """(Unix seconds, what happens, record) in order: `started`, `progress`, `ended`.

    Args:
        spec: The sweep.
        workers: Trials at once.
        pace: Factor on the planned seconds of a trial, from (cell, stage, random generator).
        seed: Of that generator.
    """
    cells = {cell.id: cell for cell in make_cells(spec)}
    costs = TrialCosts.of(spec)
    ledger = Ledger(spec, tuple(cells.values()), cost=costs.seconds, general_encoder="pretrained")
    rng, now, events, order = random.Random(seed), BEGIN, [], 0
    while True:
        while ledger.num_running < workers and (ready := ledger.ready(now)):
            wanted = ledger.next_trial(ready[0])
            cell, stage = cells[wanted.key.study.cell_id], wanted.key.study.stage
            params = wanted.params or params_of(spec, cell, stage, rng)
            record = _record(wanted, params, now)
            ledger.asked(record)
            yield now, "started", record
            seconds = costs.seconds(cell, stage) * pace(cell, stage, rng)
            for epoch in range(1, EPOCHS + 1):
                order += 1
                at = now + seconds * epoch / EPOCHS
                heapq.heappush(events, (at, order, record.key, epoch))
        if not events:
            return
        now, _, key, epoch = heapq.heappop(events)
        cell = cells[key.study.cell_id]
        outcome = outcome_of(cell, key.study.stage, ledger.running(key).params, rng)
        progress = Progress(epoch=epoch, num_epochs=EPOCHS, value=outcome.value)
        ledger.progressed(key, progress, now)
        yield now, "progress", ledger.running(key)
        if epoch == EPOCHS:
            ledger.finished(key, outcome, now)
            yield now, "ended", ledger.latest(key)


def _record(wanted, params, now):
    return TrialRecord(
        key=wanted.key,
        params=params,
        encoder=wanted.basis.encoder,
        started_at=now,
        told_at=now,
    )
