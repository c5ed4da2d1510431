import logging
from pathlib import Path

import pytest

from sweeps.run.autoscaler import autoscaler_config, config_file

ADDRESS = "10.0.0.1:6379"
MONITOR = ("python", "-u", "/x/ray/autoscaler/v2/monitor.py", f"--gcs-address={ADDRESS}")


def test_the_configuration_is_that_of_this_clusters_monitor():
    other = [*MONITOR[:3], "--gcs-address=10.0.0.2:6379", "--autoscaling-config=/other.yaml"]
    lines = [[], ["sh"], other, [*MONITOR, "--autoscaling-config=~/ray_bootstrap_config.yaml"]]
    assert config_file(lines, ADDRESS) == Path.home() / "ray_bootstrap_config.yaml"


def test_a_cluster_started_without_a_configuration_does_not_grow():
    assert config_file([MONITOR], ADDRESS) is None
    assert config_file([["vim", "monitor.py", "--autoscaling-config=/x"]], ADDRESS) is None
    assert config_file([], ADDRESS) is None


def test_the_file_is_read_as_it_is_now(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("max_workers: 3\n", encoding="utf-8")
    head = [[*MONITOR, f"--autoscaling-config={file}"]]
    assert autoscaler_config(ADDRESS, head) == {"max_workers": 3}
    assert autoscaler_config("10.0.0.9:6379", head) is None


@pytest.mark.parametrize("text", [None, "- a list\n", "a: [\n"])
def test_a_file_that_can_not_be_read_is_told_and_the_cluster_counts_as_fixed(
    tmp_path, caplog, text
):
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert autoscaler_config(ADDRESS, [[*MONITOR, f"--autoscaling-config={file}"]]) is None
    assert "limits of the autoscaler can not be read" in caplog.text
