"""What happens to the driver: it is killed, asked to end, doubled, and its clock jumps."""

import os
import random
import signal
import time

import pytest
from faulty import NUM_TRIALS, PATIENCE_SECONDS, Row

from sweeps.spec.values import BudgetSpec

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.slow]

KILLS = 5
GOES_ON = "the next run goes on"
JUMPING = """
import os, time
_time, _file = time.time, os.environ["CLOCK_JUMP"]
def _jumped():
    with open(_file) as file:
        return _time() + float(file.read() or 0)
time.time = _jumped
"""  # the clock of every Python process of the sweep, as a file says it


def random_moment(sweep, driver, random_number, num_finished):
    """Wait for a moment after so many trials: while starting, training, or reporting."""
    wanted = min(sweep.num_finished + num_finished, NUM_TRIALS)
    sweep.wait_for(lambda: sweep.num_finished >= wanted, driver)
    time.sleep(random_number.uniform(0.0, 8.0 if num_finished == 0 else 0.5))


@pytest.mark.parametrize("seed", range(4))
def test_a_driver_that_is_killed_again_and_again_loses_nothing(sweep, undisturbed, tell, seed):
    generator, snapshots = random.Random(seed), []
    for _ in range(KILLS):
        driver = sweep.start()
        random_moment(sweep, driver, generator, generator.randrange(3))
        sweep.kill(driver)
        snapshots.append(sweep.finished())
    driver, events = sweep.start(), sweep.num_events
    seconds = sweep.recovered(driver, events) if len(snapshots[-1]) < NUM_TRIALS else None
    sweep.complete(driver)
    found = [sweep.kept_lost_repeated(before) for before in snapshots]
    equal = sweep.table() == undisturbed
    for each in found:
        tell(
            Row(
                fault="driver SIGKILL, random moment",
                equal=equal,
                seconds=seconds,
                note=GOES_ON,
                **each,
            )
        )
    assert equal
    assert not any(each["lost"] or each["repeated"] for each in found)
    sweep.check_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_driver_that_is_told_to_end_leaves_nothing_running(sweep, undisturbed, tell, number):
    driver = sweep.start()
    sweep.wait_for(lambda: sweep.num_finished >= 3 and sweep.workers(), driver)
    driver.send_signal(number)
    _, err = driver.communicate(timeout=PATIENCE_SECONDS)
    assert (driver.returncode, "Traceback" in err) == (130, False), err
    assert "interrupted; go on with: " in err
    assert "sweep run" in err
    sweep.check_nothing_is_left(finished=False)
    before, events = sweep.finished(), sweep.num_events
    driver = sweep.start()
    seconds = sweep.recovered(driver, events)
    sweep.complete(driver)
    found, equal = sweep.kept_lost_repeated(before), sweep.table() == undisturbed
    tell(Row(fault=f"driver {number.name}", equal=equal, seconds=seconds, note=GOES_ON, **found))
    assert (found["lost"], found["repeated"], equal) == (0, 0, True)
    sweep.check_nothing_is_left()


def test_a_driver_killed_once_goes_on_and_a_second_beside_it_is_refused(sweep, undisturbed, tell):
    killed = sweep.start()
    sweep.wait_for(lambda: sweep.num_finished >= 4, killed)
    sweep.kill(killed)
    before, events = sweep.finished(), sweep.num_events
    driver = sweep.start()
    seconds = sweep.recovered(driver, events)
    said = sweep.refuse(sweep.start())
    assert f"one driver at a time, found process {driver.pid} on " in said
    sweep.complete(driver)
    found, equal = sweep.kept_lost_repeated(before), sweep.table() == undisturbed
    fault = "driver SIGKILL after four trials"
    tell(Row(fault=fault, equal=equal, seconds=seconds, note=GOES_ON, **found))
    tell(Row(fault="a second driver", equal=equal, note="refused, naming the first", **found))
    assert (found["lost"], found["repeated"], equal) == (0, 0, True)
    sweep.check_nothing_is_left()


def test_a_clock_that_jumps_changes_no_decision(make_sweep, undisturbed, tell, tmp_path):
    sweep, jump = make_sweep(budget=BudgetSpec(hours=1.0)), tmp_path / "jump"
    jump.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    sweep.environment |= {"PYTHONPATH": path, "CLOCK_JUMP": str(jump)}
    driver = sweep.start()
    for num_finished, seconds in ((2, 3 * 86_400), (5, -30 * 86_400), (8, 3600)):
        sweep.wait_for(lambda wanted=num_finished: sweep.num_finished >= wanted, driver)
        jump.write_text(str(seconds))
    sweep.complete(driver)
    records, equal = sweep.attempts(), sweep.table() == undisturbed
    fault, note = "clock jumps by days, both ways", "no decision and no duration follows it"
    tell(Row(fault=fault, times=3, kept=len(records), equal=equal, note=note))
    assert equal
    assert all(0 <= r.ended_at - r.started_at < PATIENCE_SECONDS for r in records)
    assert len(records) == NUM_TRIALS
    sweep.check_nothing_is_left()
