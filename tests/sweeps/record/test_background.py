import threading
import time

import pytest

from sweeps.record.background import Background

PATIENCE = 60.0


def make(**options):
    return Background("test", pauses=(0.01,), **options)


def test_operations_run_in_the_order_they_were_put():
    seen = []
    background = make()
    for number in range(5):
        background.put(str(number), lambda number=number: seen.append(number))
    assert background.close(5.0) == 0
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("hurry", ["flush", "close"])
def test_the_first_operation_waits_until_its_time_or_until_it_is_asked_for(hurry):
    seen = []
    background = make(grace_seconds=PATIENCE)
    background.put("a", lambda: seen.append("a"))
    time.sleep(0.05)
    assert not seen
    getattr(background, hurry)(PATIENCE)
    assert seen == ["a"]
    soon = make(grace_seconds=0.01)
    done = threading.Event()
    soon.put("b", done.set)
    assert done.wait(PATIENCE)


def test_a_newer_operation_of_the_same_name_replaces_a_waiting_one():
    seen = []
    gate = threading.Event()
    background = make()
    background.put("gate", gate.wait)
    background.put("a", lambda: seen.append("old"))
    background.put("a", lambda: seen.append("new"))
    gate.set()
    assert background.close(5.0) == 0
    assert seen == ["new"]


def test_a_failing_operation_is_repeated_until_it_succeeds():
    attempts = []

    def flaky():
        attempts.append(1)
        if len(attempts) < 4:
            raise ConnectionError("not yet")

    background = make()
    background.put("flaky", flaky)
    assert background.close(5.0) == 0
    assert len(attempts) == 4


def test_an_operation_that_never_succeeds_does_not_hold_up_the_others():
    reached = threading.Event()

    def broken():
        raise ValueError("refused")

    background = make()
    background.put("broken", broken)
    background.put("good", reached.set)
    assert reached.wait(30)
    assert background.close(0.1) == 1


def test_close_waits_for_a_call_that_takes_long():
    background = make()
    for number in range(2):
        background.put(str(number), lambda: time.sleep(0.5))
    assert background.close(0.1) == 0


def test_close_waits_for_a_long_call_that_is_made_again():
    attempts = []

    def upload():
        attempts.append(1)
        time.sleep(0.5)
        if len(attempts) == 1:
            raise ConnectionError("reset")

    background = make()
    background.put("upload", upload)
    assert background.close(0.1) == 0


def test_close_gives_up_on_a_server_that_fails_for_too_long_and_not_on_one_that_recovers():
    begin = time.monotonic()

    def away():
        if time.monotonic() < begin + 0.3:
            raise ConnectionError("not yet")

    background = make()
    background.put("away", away)
    assert background.close(PATIENCE) == 0
    begin = time.monotonic() + PATIENCE
    background = make()
    background.put("away", away)
    assert background.close(0.1, limit_seconds=PATIENCE) == 1


def test_close_has_its_patience_with_a_server_that_failed_before():
    attempts, is_back = [], threading.Event()

    def away():
        attempts.append(1)
        if not is_back.is_set():
            raise ConnectionError("not yet")

    background = make()
    background.put("away", away)
    while not attempts:
        time.sleep(0.01)
    with background._changed:
        background._failing_since = time.monotonic() - 2 * PATIENCE
    threading.Timer(0.2, is_back.set).start()
    assert background.close(PATIENCE) == 0


def test_pauses_grow_while_a_server_fails_and_the_last_one_repeats():
    at = []

    def flaky():
        at.append(time.monotonic())
        if len(at) < 4:
            raise ConnectionError("not yet")

    background = Background("test", pauses=(0.0, 0.2))
    background.put("flaky", flaky)
    assert background.close(PATIENCE) == 0
    assert at[2] - at[1] >= 0.2
    assert at[3] - at[2] >= 0.2


def test_close_waits_for_a_slow_server_no_longer_than_its_limit():
    background = make()
    for number in range(100):
        background.put(str(number), lambda: time.sleep(0.1))
    assert background.close(5.0, limit_seconds=0.5) > 50


def test_close_gives_up_on_a_call_that_hangs():
    gate = threading.Event()
    background = make()
    background.put("hanging", gate.wait)
    assert background.close(0.1, limit_seconds=0.5) == 1
    gate.set()


def test_a_failure_is_logged_once_and_without_a_password(caplog):
    attempts = []
    twice = threading.Event()

    def broken():
        attempts.append(1)
        if len(attempts) > 1:
            twice.set()
        raise ValueError("no answer from https://me:hunter2@server")

    background = make()
    background.put("broken", broken)
    assert twice.wait(30)
    background.close(0.0)
    (line,) = [record.message for record in caplog.records]
    assert line == "test: will be tried again: no answer from https://***@server"
