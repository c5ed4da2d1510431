"""setup_node.sh in a home of its own, with a Python that records what it is asked to install."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "cluster").glob("*.sh"))
START, END = "# >>> ulm-sweeps >>>", "# <<< ulm-sweeps <<<"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cluster nodes are Linux")

# Stands for an interpreter: makes a venv with itself inside and writes down each `pip` call.
PYTHON = """#!/bin/bash
case "$1 $2" in
  "--version "*) echo "Python 3.12.1" ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") echo "$*" >> "$HOME/pip.log"
    [ "$3" = uninstall ] || ls "${@: -1}" >> "$HOME/source.log" ;;
esac
"""


@pytest.fixture
def home(tmp_path):
    """A home with a clone, a Python, tmux and rsync, and no rights to install more."""
    folder = tmp_path / "home"
    tools = tmp_path / "bin"
    folder.mkdir()
    tools.mkdir()
    write_tool(tools / "python3.12", PYTHON)
    for name in ("tmux", "rsync"):
        write_tool(tools / name, "#!/bin/bash\n")
    write_tool(tools / "sudo", "#!/bin/bash\nexit 1\n")
    write_tool(tools / "id", "#!/bin/bash\necho 1000\n")
    clone = folder / "ulm-sweeps"
    for name in ("cluster", "sweeps", "ulm"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone / name)
    return folder


def write_tool(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def run_setup(home, **variables):
    environment = {"HOME": str(home), "PATH": f"{home.parent / 'bin'}:/usr/bin:/bin", **variables}
    return subprocess.run(
        ["bash", str(home / "ulm-sweeps/cluster/setup_node.sh")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def set_up(home, **variables):
    done = run_setup(home, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pip_calls(home):
    log = home / "pip.log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def environment_after_login(home):
    done = subprocess.run(
        ["bash", "-c", 'source ~/.bashrc; env; echo "LIMIT=$(ulimit -n)"'],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_valid_bash(script):
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_packages_are_installed_at_the_pinned_versions_into_a_venv(home):
    set_up(home, SWEEP_EXTRAS="aws")
    first, second = pip_calls(home)
    assert "uninstall --quiet --yes ulm-sweeps" in first, "the version number is the same"
    assert f"--constraint {home}/ulm-sweeps/constraints.txt" in second
    assert f"--requirement {home}/ulm-sweeps/cluster/requirements/aws.txt" in second
    assert (home / ".ulm-sweeps/venv/bin/python").exists()


def test_the_package_is_built_from_a_copy_and_the_clone_stays_as_it_was(home):
    set_up(home)
    source = pip_calls(home)[-1].split()[-1]
    assert not source.startswith(str(home / "ulm-sweeps"))
    assert {"pyproject.toml", "sweeps", "ulm"} <= set((home / "source.log").read_text().split())
    assert not Path(source).exists()


def test_a_second_run_installs_nothing_and_leaves_the_profile_alone(home):
    set_up(home, SWEEP_STORAGE="s3://bucket/a")
    profile = (home / ".bashrc").read_text(encoding="utf-8")
    set_up(home, SWEEP_STORAGE="s3://bucket/a")
    assert len(pip_calls(home)) == 2
    assert (home / ".bashrc").read_text(encoding="utf-8") == profile


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml", "sweeps/cli.py"])
def test_a_changed_pin_or_source_is_installed_again(home, name):
    set_up(home)
    file = home / "ulm-sweeps" / name
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    set_up(home)
    assert len(pip_calls(home)) == 4


def test_sessions_of_a_tmux_that_runs_already_get_the_new_storage(home):
    write_tool(home.parent / "bin" / "tmux", '#!/bin/bash\necho "$@" >> "$HOME/tmux.log"\nexit 1\n')
    set_up(home, SWEEP_STORAGE="s3://bucket/a b")
    assert (home / "tmux.log").read_text().splitlines() == [
        "set-environment -g SWEEP_STORAGE s3://bucket/a b",
        "set-environment -g MLFLOW_TRACKING_URI http://127.0.0.1:5000",
    ]


def test_the_environment_of_a_node_is_written_once_and_replaced_when_it_changes(home):
    (home / ".bashrc").write_text("export MINE=1\n", encoding="utf-8")
    set_up(home, SWEEP_STORAGE="s3://bucket/a b")
    set_up(home, SWEEP_STORAGE="s3://bucket/new")
    text = (home / ".bashrc").read_text(encoding="utf-8")
    assert text.count(START) == text.count(END) == 1
    after = environment_after_login(home)
    assert after["MINE"] == "1"
    assert after["SWEEP_STORAGE"] == "s3://bucket/new"
    assert after["SWEEP_PROJECT"] == str(home / "ulm-sweeps")
    assert after["SWEEP_CACHE"] == str(home / ".cache/ulm-sweeps")
    assert after["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
    assert after["RAY_AUTH_MODE"] == "token"
    assert after["PATH"].startswith(str(home / ".ulm-sweeps/venv/bin"))
    assert int(after["LIMIT"]) > 1024


def test_a_value_with_spaces_survives_the_profile(home):
    set_up(home, SWEEP_STORAGE="/mnt/my share/runs")
    assert environment_after_login(home)["SWEEP_STORAGE"] == "/mnt/my share/runs"


def test_without_a_venv_the_interpreter_itself_is_used(home):
    python = home.parent / "bin/python3.12"
    set_up(home, SWEEP_VENV="", SWEEP_PYTHON=str(python))
    assert not (home / ".ulm-sweeps/venv").exists()
    assert len(pip_calls(home)) == 2


def test_storage_that_was_not_filled_in_is_refused_before_anything_is_installed(home):
    done = run_setup(home, SWEEP_STORAGE="s3://FILL-IN/ulm-sweeps")
    assert done.returncode == 2
    assert "storage must be yours, found s3://FILL-IN/ulm-sweeps" in done.stderr
    assert pip_calls(home) == []


def test_an_unknown_extra_is_refused(home):
    done = run_setup(home, SWEEP_EXTRAS="aws azure")
    assert done.returncode == 2
    assert "found azure" in done.stderr


def test_an_old_python_is_refused_with_the_remedy(home):
    write_tool(home.parent / "bin/python-old", "#!/bin/bash\nexit 1\n")
    done = run_setup(home, SWEEP_PYTHON="python-old")
    assert done.returncode == 2
    assert "Python 3.11 or later is needed" in done.stderr
    assert "set SWEEP_PYTHON" in done.stderr


def test_missing_tools_without_the_right_to_install_them_are_named(home):
    tools = home.parent / "bin"
    (tools / "tmux").unlink()
    for name in ("bash", "dirname", "cat", "mkdir"):
        (tools / name).symlink_to(shutil.which(name))
    done = run_setup(home, PATH=str(tools))
    assert done.returncode == 2
    assert "missing: tmux" in done.stderr


APT = """#!/bin/bash
echo "$*" >> "$HOME/apt.log"
case "$*" in
  *update) [ "$(grep -c update "$HOME/apt.log")" -gt "$BUSY_TRIES" ] ||
    { echo "E: Could not get lock /var/lib/apt/lists/lock" >&2; exit 100; } ;;
  *install*) touch "$HOME/../bin/tmux" && chmod +x "$HOME/../bin/tmux" ;;
esac
"""


def run_setup_on_a_machine_that_boots(home, busy_tries):
    """Without tmux, with the right to install it, and with lists that are locked for some tries."""
    tools = home.parent / "bin"
    (tools / "tmux").unlink()
    write_tool(tools / "sudo", '#!/bin/bash\nshift\nexec "$@"\n')
    write_tool(tools / "sleep", '#!/bin/bash\necho "$1" >> "$HOME/sleep.log"\n')
    write_tool(tools / "apt-get", APT)
    for tool in Path("/usr/bin").iterdir():
        if tool.name != "tmux" and not (tools / tool.name).exists():
            (tools / tool.name).symlink_to(tool)
    return run_setup(home, PATH=str(tools), BUSY_TRIES=str(busy_tries))


def waits(home):
    return (home / "sleep.log").read_text(encoding="utf-8").split()


def test_a_machine_that_still_updates_its_lists_is_waited_for(home):
    done = run_setup_on_a_machine_that_boots(home, busy_tries=2)
    assert done.returncode == 0, done.stderr
    assert waits(home) == ["5", "5"]
    assert "install" in (home / "apt.log").read_text(encoding="utf-8").splitlines()[-1]


def test_lists_that_stay_locked_for_five_minutes_end_with_what_is_missing(home):
    done = run_setup_on_a_machine_that_boots(home, busy_tries=1000)
    assert done.returncode == 2
    assert "missing: tmux" in done.stderr
    assert sum(map(int, waits(home))) == 295


def test_sweeps_on_a_shared_folder_are_found_at_the_same_place_as_those_of_a_bucket(home):
    shared = home.parent / "shared"
    for _ in range(2):
        set_up(home, SWEEP_STORAGE=str(shared))
        assert (home / "runs").readlink() == shared
    (home / "runs").unlink()
    (home / "runs").mkdir()
    set_up(home, SWEEP_STORAGE=str(shared))
    assert not (home / "runs").is_symlink()


def test_a_bucket_leaves_no_link(home):
    set_up(home, SWEEP_STORAGE="s3://bucket/prefix")
    assert not (home / "runs").is_symlink()
