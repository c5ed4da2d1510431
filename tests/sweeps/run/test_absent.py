import subprocess

import pytest

from sweeps.run.absent import absent_workers, explain, try_log_in

AUTH = {"ssh_user": "me", "ssh_private_key": "/nowhere/key"}
CONFIG = {
    "provider": {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2", "10.0.0.3"]},
    "auth": AUTH,
}


def refuse(auth, address):
    return f"{auth['ssh_user']}@{address}: Permission denied (publickey)."


def test_only_workers_that_have_not_joined_are_asked_and_told():
    found = absent_workers(CONFIG, {"10.0.0.1", "10.0.0.2"}, refuse)
    assert list(found) == ["10.0.0.3"]
    assert found["10.0.0.3"].startswith("it refuses the key (me@10.0.0.3: Permission denied")
    assert absent_workers(CONFIG, {"10.0.0.1", "10.0.0.2", "10.0.0.3"}, refuse) == {}


def test_names_are_compared_by_their_address():
    named = {"provider": {"type": "local", "worker_ips": ["localhost"]}, "auth": AUTH}
    assert absent_workers(named, {"127.0.0.1"}, refuse) == {}
    assert list(absent_workers(named, {"10.0.0.1"}, refuse)) == ["localhost"]


@pytest.mark.parametrize("config", [None, {}, {"provider": {"type": "aws"}}])
def test_machines_that_come_when_they_are_wanted_are_not_missed(config):
    assert absent_workers(config, set(), refuse) == {}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "it can be logged in to and has not joined the cluster: see `ray monitor`"),
        ("me@h: Permission denied (publickey).", "accept the key of ssh_private_key, and call"),
        ("ssh: connect to host h port 22: No route to host", "start it or correct its address"),
    ],
)
def test_every_reason_has_its_remedy(said, told):
    assert told in explain(said)
    assert (said or "") in explain(said)


def test_a_machine_is_logged_in_to_as_the_cluster_file_says(monkeypatch):
    asked = []

    def answer(command, **_):
        asked.append(command)
        return subprocess.CompletedProcess(command, 255, "", "a warning\nssh: it is down\n")

    monkeypatch.setattr("sweeps.run.absent.subprocess.run", answer)
    assert try_log_in({**AUTH, "ssh_proxy_command": "nc %h"}, "10.0.0.3") == "ssh: it is down"
    (command,) = asked
    assert command[-2:] == ["me@10.0.0.3", "true"]
    assert {"-i", "/nowhere/key", "ProxyCommand=nc %h", "BatchMode=yes"} <= set(command)
