"""`pytest -n 2 --dist loadgroup`: what starts a Ray runs on one worker, all else on the other.

A local Ray takes every core it finds and its timeouts are those of an idle machine, so two at once
would disturb each other. For the same reason torch gets one thread in each process.

A shell lets what it runs in the background ignore SIGINT, and so would all that the tests start.
"""

import os
import signal

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

STARTS_RAY = ("ray", "slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put everything that starts a Ray into one group."""
    for item in items:
        if any(item.get_closest_marker(name) is not None for name in STARTS_RAY):
            item.add_marker(pytest.mark.xdist_group("ray"))
