import ctypes
import signal
from functools import partial

import pytest

from sweeps.run.signals import signals_as_before, terminated_like_interrupt


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("interrupts", [signal.default_int_handler, signal.SIG_IGN])
def test_termination_ends_a_block_as_ctrl_c_does_and_leaves_the_handler_as_it_was(
    interrupts, end, request
):
    earlier = signal.signal(signal.SIGINT, interrupts)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, earlier))
    before = signal.getsignal(end)
    with pytest.raises(KeyboardInterrupt, match=r"^$"), terminated_like_interrupt():
        signal.raise_signal(end)
    assert signal.getsignal(end) is before


def test_a_terminal_that_is_closed_ends_nothing_that_ignores_it(request):
    request.addfinalizer(partial(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP)))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with terminated_like_interrupt():
        signal.raise_signal(signal.SIGHUP)


def test_after_a_block_that_changes_handlers_below_python_signals_are_heard_again(request):
    heard = []
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.signal(number, lambda number, frame: heard.append(number))
        request.addfinalizer(partial(signal.signal, number, before))
    with signals_as_before():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ctypes.pythonapi.PyOS_setsig(int(signal.SIGTERM), ctypes.c_void_p(int(signal.SIG_IGN)))
        signal.raise_signal(signal.SIGTERM)
        assert not heard
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGINT, signal.SIGTERM]
