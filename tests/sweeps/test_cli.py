import io
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

from sweeps import cli
from sweeps.check_result import CheckResult
from sweeps.errors import MeaningError
from sweeps.paths import SweepPaths
from sweeps.run import cluster
from sweeps.run.driver import driver_lock
from sweeps.search.ledger import Ledger
from sweeps.search.records import Outcome, StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.search.studies import OptunaStudies
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.load import load_spec, spec_to_json
from ulm.errors import UlmError

ROOT = Path(__file__).parents[2]
SIX_MISTAKES = """\
name: a/b
corpus: {kind: imbd}
labels: {train: 2}
sizes: [500, 200]
regimes: [bow, scrach]
trials: 3
"""


MEMORY = "driver 0.41 GiB, largest worker 0.80 GiB"


def summary(num_trained, num_recorded, **others):
    """What `run_sweep` returns; a stand-in, because the real one would import Ray here."""
    values = {
        "num_trained": num_trained,
        "num_recorded": num_recorded,
        "num_wanted": 97,
        "num_left_out": 0,
        "num_broken": 0,
        "is_over_budget": False,
        "memory": MEMORY,
        "answer": ("The answer.", "More of it."),
        "tokenising": ("synthetic: 9 s, peak 0.48 GiB, 1 processes",),
    }
    return SimpleNamespace(**{**values, **others})


SIX_KEYS = ["name", "corpus.kind", "labels.train", "sizes", "regimes", "trials"]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sweep():
    def invoke(*arguments):
        return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])

    return invoke


def in_new_process(*command):
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def launched(monkeypatch):
    """A `run_sweep` that trains nothing and remembers what it was called with."""
    calls = []
    module = ModuleType("sweeps.run.launch")

    def run_sweep(spec, listener, own_ray):
        assert own_ray == "a Ray"
        calls.append(spec)
        listener.message("the listener is heard")
        return module.summary

    module.run_sweep = run_sweep
    module.summary = summary(95, 97)
    monkeypatch.setitem(sys.modules, "sweeps.run.launch", module)
    monkeypatch.setattr(cluster, "ray_ahead", lambda: nullcontext("a Ray"))
    return calls


@pytest.fixture
def run_folder(tmp_path):
    spec = load_spec("demo", {"storage": str(tmp_path)})
    paths = SweepPaths.of(spec)
    paths.folder.mkdir()
    paths.spec_json.write_text(spec_to_json(spec), encoding="utf-8")
    paths.ledger_db.touch()
    return paths.folder


def ledger_of(*records):
    return lambda paths, spec: Ledger(spec, make_cells(spec), records=records)


def refuse(error):
    def refuse_any(*_, **__):
        raise error

    return refuse_any


def mistaken_keys(text):
    return [line.split(": ")[1] for line in text.splitlines()]


def test_a_spec_with_six_mistakes_reports_all_six_and_exits_2(sweep, tmp_path):
    Path("bad.yaml").write_text(SIX_MISTAKES, encoding="utf-8")
    for verb in ("run", "plan", "check"):
        result = sweep(verb, "bad.yaml")
        assert result.exit_code == 2
        assert mistaken_keys(result.stderr) == SIX_KEYS
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize("command", [["-m", "sweeps.cli"], [str(ROOT / "sweeps" / "sweep.py")]])
def test_six_mistakes_exit_2_without_a_traceback_in_a_process_too(command, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT) if command[0] == "-m" else "")
    Path("bad.yaml").write_text(SIX_MISTAKES, encoding="utf-8")
    done = in_new_process(*command, "run", "bad.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert mistaken_keys(done.stderr) == SIX_KEYS
    assert done.stderr.startswith("bad.yaml:1: name: ")


def test_the_script_works_from_a_clone_and_its_folder_hides_no_package():
    code = (
        "import runpy, sys; sys.argv = ['sweep.py', '--help']\n"
        f"sys.path.insert(0, {str(ROOT / 'sweeps')!r})\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'sweeps' / 'sweep.py')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print(end.code, sys.path[0], [p for p in sys.path if p.endswith('/sweeps')])\n"
    )
    done = in_new_process("-c", code)
    assert "Usage" in done.stdout
    assert done.stdout.splitlines()[-1] == f"0 {ROOT} []"


@pytest.mark.parametrize(
    ("arguments", "shown"), [(["--help"], "Usage: sweep.py"), (["plan", "demo"], "ulm+domain")]
)
def test_the_script_works_from_any_folder_and_leaves_at_most_rates_in_it(
    arguments, shown, tmp_path
):
    done = in_new_process(str(ROOT / "sweeps" / "sweep.py"), *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files <= {"rates.json"}


def test_the_script_joins_words_that_a_shell_split_and_looks_in_the_mounted_clone(
    tmp_path, monkeypatch
):
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "my spec.yaml").write_text(SIX_MISTAKES, encoding="utf-8")
    monkeypatch.setenv("SWEEP_PROJECT", str(tmp_path / "clone"))
    done = in_new_process(str(ROOT / "sweeps" / "sweep.py"), "plan", "my", "spec.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path}/clone/my spec.yaml:1: name: ")


def test_status_finds_a_sweep_on_the_shared_folder_of_a_cluster(tmp_path, monkeypatch, sweep):
    monkeypatch.setenv("SWEEP_STORAGE", str(tmp_path / "shared"))
    folder = tmp_path / "shared" / "demo"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec_to_json(load_spec("demo")), encoding="utf-8")
    OptunaStudies(SweepPaths.at(folder).ledger_url, "demo").close()
    done = sweep("status", "runs/demo")
    assert done.exit_code == 0, done.output
    assert "ulm+domain" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "imdb"]])
def test_help_and_plan_load_nothing_heavy(arguments):
    code = (
        "import sys\nfrom sweeps import cli\n"
        "heavy = {'torch', 'ray', 'mlflow', 'optuna', 'fastai', 'pandas'}\n"
        f"sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['sweep', *{arguments!r}]\n"
        "assert not heavy & set(sys.modules)\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not heavy & set(sys.modules)\n"
    )
    done = in_new_process("-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}")
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_what_a_run_that_trains_nothing_needs_loads_neither_torch_nor_ray_nor_figures():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import sweeps.run.launch\n"
        "sys.exit(str({'torch', 'ray', 'matplotlib', 'fastai'} & set(sys.modules) or ''))\n"
    )
    assert in_new_process("-c", code).stderr.strip() == ""


def test_plan_shows_regimes_totals_and_assumptions(sweep):
    result = sweep("plan", "imdb", "--set", "budget.price_per_accelerator_hour=2")
    assert result.exit_code == 0
    (total,) = [line for line in result.stdout.splitlines() if "│ all " in line]
    assert [cell.strip() for cell in total.split("│")[2:6]] == ["95", "320", "760", "95"]
    assert "per accelerator hour" in result.stdout
    assert "assumed: 294 tokens a domain document" in result.stdout


def test_plan_takes_overrides_and_warns(sweep):
    result = sweep("plan", "imdb", "--set", "sizes=[500, 90000]", "--set", "seeds=1")
    assert "warning: sizes: must not exceed the pool of 75,000 documents" in result.stdout
    result = sweep("plan", "imdb", "--set", "seeds")
    assert result.exit_code == 2
    assert "--set must be KEY=VALUE, found 'seeds'" in result.stderr


def finished(cell, stage):
    return TrialRecord(
        key=TrialKey(study=StudyKey(cell_id=cell.id, stage=stage), number=0),
        params={},
        state=TrialState.FINISHED,
        outcome=Outcome(value=4.0, metrics={"seconds": 100.0}),
    )


def test_plan_uses_the_rates_of_recorded_trials(sweep, run_folder, monkeypatch):
    spec = load_spec("demo")
    cell = next(c for c in make_cells(spec) if c.regime == "domain")
    records = [finished(cell, stage) for stage in (Stage.LANGUAGE_MODEL, Stage.CLASSIFIER)]
    monkeypatch.setattr("sweeps.search.studies.read_ledger", ledger_of(*records))
    result = sweep("plan", "demo", "--storage", run_folder.parent)
    assert "measured in this sweep" in result.stdout
    assert "recorded: 2 of 97 trials; a run trains 95 more, " in result.stdout
    assert "recorded" not in sweep("plan", "demo", "--storage", "elsewhere").stdout


def test_classifiers_alone_tell_the_rate_of_a_sweep_without_language_models(
    sweep, run_folder, monkeypatch
):
    regimes = "regimes=[bow, scratch]"
    spec = load_spec("demo", {"regimes": "[bow, scratch]"})
    cell = next(c for c in make_cells(spec) if c.regime == "scratch")
    record = finished(cell, Stage.CLASSIFIER)
    monkeypatch.setattr("sweeps.search.studies.read_ledger", ledger_of(record))
    asked = ("plan", "demo", "--storage", run_folder.parent)
    assert "measured in this sweep" in sweep(*asked, "--set", regimes).stdout
    assert "measured in this sweep" not in sweep(*asked).stdout


def test_run_says_what_was_trained_and_where_the_report_is(sweep, launched, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.tables.typed", str)
    result = sweep("run", "demo", "--storage", tmp_path / "my runs")
    assert result.exit_code == 0
    folder = tmp_path / "my runs" / "demo"
    assert result.stdout.splitlines() == [
        "the listener is heard",
        "trained 95 trials, 2 were recorded before",
        f"peak memory: {MEMORY}",
        "tokenised once, synthetic: 9 s, peak 0.48 GiB, 1 processes",
        f"report: {folder}/report/report.html",
        f"record: mlflow ui --backend-store-uri 'sqlite:///{folder}/mlflow.db'",
        "The answer.",
    ]
    assert launched[0].storage == str(tmp_path / "my runs")


def test_run_says_when_there_is_nothing_to_train(sweep, launched):
    module = sys.modules["sweeps.run.launch"]
    module.summary = summary(0, 97)
    result = sweep("run", "demo", "--quiet")
    assert "nothing to train: all 97 trials are recorded" in result.stdout
    assert "the listener is heard" not in result.stdout


def test_run_does_not_call_a_stopped_sweep_complete(sweep, launched):
    sys.modules["sweeps.run.launch"].summary = summary(0, 96)
    result = sweep("run", "demo")
    assert "nothing trained\nunfinished: 96 of 97 trials are recorded, the report" in result.stdout
    assert "nothing to train" not in result.stdout


def test_run_says_that_what_broke_is_asked_anew(sweep, launched):
    sys.modules["sweeps.run.launch"].summary = summary(7, 50, num_broken=4)
    told = sweep("run", "demo").stdout
    assert "unfinished: 50 of 97 trials are recorded, the report says why\nbroken: 4 of " in told
    assert "run again: each is asked anew" in told
    sys.modules["sweeps.run.launch"].summary = summary(7, 97)
    assert "asked anew" not in sweep("run", "demo").stdout


def test_a_quiet_run_says_that_the_budget_ended_it(sweep, launched):
    sys.modules["sweeps.run.launch"].summary = summary(3, 5, is_over_budget=True)
    result = sweep("run", "demo", "--quiet")
    assert "unfinished: 5 of 97 trials are recorded, the budget is spent: no" in result.stdout
    sys.modules["sweeps.run.launch"].summary = summary(3, 97, is_over_budget=True)
    assert "budget" not in sweep("run", "demo", "--quiet").stdout


def test_a_shorter_spec_says_what_it_leaves_out(sweep, launched):
    sys.modules["sweeps.run.launch"].summary = summary(0, 97, num_left_out=24)
    result = sweep("run", "demo")
    assert "left out: 24 recorded trials that the spec does not ask for" in result.stdout


def test_run_names_a_tracking_server_without_its_password(sweep, launched):
    result = sweep("run", "demo", "--set", "tracking.uri=https://me:secret@host:5000")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("record: ")]
    assert "https://" in line
    assert "host:5000" in line
    assert "secret" not in result.stdout


def test_run_on_a_head_knows_its_price_from_the_file_it_was_started_from(
    sweep, launched, monkeypatch
):
    monkeypatch.setenv("HOME", str(Path.cwd()))
    sweep("run", "demo")
    shutil.copy(ROOT / "cluster" / "cluster.yaml", "ray_bootstrap_config.yaml")
    sweep("run", "demo")
    without, on_head = (spec.budget.price_per_accelerator_hour for spec in launched)
    assert without is None
    assert on_head > 0


def test_plan_on_a_cluster_file_shows_nodes_hours_and_money(sweep):
    result = sweep("plan", "imdb", "--cluster", ROOT / "cluster" / "cluster.yaml")
    assert result.exit_code == 0
    for text in ("gpu_worker", "spot", "node hours", "trials fit on the largest cluster at once"):
        assert text in result.stdout
    assert "warning" not in result.stdout
    small = sweep("plan", "imdb_small", "--cluster", ROOT / "cluster" / "cluster.yaml")
    assert "warning: resources.gpus is 0 and every worker has a GPU" in small.stdout
    refused = sweep("plan", "imdb", "--cluster", ROOT / "cluster" / "on_prem.yaml")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "set budget.price_per_accelerator_hour" in refused.stderr


def test_run_passes_settings_on(sweep, launched):
    sweep("run", "demo", "--set", "seeds=5", "--set", "search.bow.trials=1")
    assert len(launched[0].seeds) == 5
    assert launched[0].search.bow.trials == 1


@pytest.mark.parametrize("error", [MeaningError("the meaning"), UlmError("the text")])
def test_a_mistake_found_while_running_is_its_message_and_exit_2(
    sweep, launched, monkeypatch, error
):
    monkeypatch.setattr(sys.modules["sweeps.run.launch"], "run_sweep", refuse(error))
    result = sweep("run", "demo")
    assert (result.exit_code, result.stderr) == (2, f"{error}\n")


def test_ctrl_c_exits_130_and_says_how_to_go_on(sweep, launched, monkeypatch):
    module = sys.modules["sweeps.run.launch"]
    monkeypatch.setattr(module, "run_sweep", refuse(KeyboardInterrupt()))
    monkeypatch.setattr(sys, "argv", ["sweep", "run", "demo", "--storage", "my runs"])
    monkeypatch.setattr("sweeps.cli.typed", str)
    result = sweep("run", "demo")
    assert result.exit_code == 130
    assert result.stderr == "interrupted; go on with: sweep run demo --storage 'my runs'\n"
    monkeypatch.setattr(sys, "argv", ["sweep", "run", "--set", "ledger.url=postgresql://u:pw@h/db"])
    assert sweep("run", "demo").stderr.endswith("ledger.url=postgresql://***@h/db\n")


def test_our_own_mistakes_are_not_hidden(sweep, launched, monkeypatch):
    monkeypatch.setattr(sys.modules["sweeps.run.launch"], "run_sweep", refuse(AssertionError("x")))
    assert isinstance(sweep("run", "demo").exception, AssertionError)


def test_status_shows_every_cell_with_its_best_scores(sweep, run_folder, monkeypatch):
    spec = load_spec("demo")
    cell = next(c for c in make_cells(spec) if c.regime == "domain")
    study = StudyKey(cell_id=cell.id, stage=Stage.LANGUAGE_MODEL)
    records = (
        TrialRecord(
            key=TrialKey(study=study, number=0),
            params={},
            state=TrialState.FINISHED,
            outcome=Outcome(value=4.25),
        ),
        TrialRecord(key=TrialKey(study=study, number=1), params={}),
    )
    monkeypatch.setattr("sweeps.search.studies.read_ledger", ledger_of(*records))
    with driver_lock(SweepPaths.at(run_folder)):
        result = sweep("status", run_folder)
    assert result.exit_code == 0
    assert "1/2, loss 4.250, 1 running" in result.stdout
    assert f"0 of {len(make_cells(spec))} cells finished" in result.stdout
    assert "running" not in sweep("status", run_folder).stdout, "its driver is gone"


def test_status_says_why_trials_failed_the_newest_first(sweep, run_folder, monkeypatch):
    cell = next(c for c in make_cells(load_spec("demo")) if c.regime == "domain")
    study = StudyKey(cell_id=cell.id, stage=Stage.CLASSIFIER)
    records = [
        TrialRecord(
            key=TrialKey(study=study, number=number),
            params={},
            state=TrialState.FAILED,
            failure=f"out of [memory]\nat {number} of them",
            ended_at=100.0 + number,
        )
        for number in range(12)
    ]
    many = load_spec("demo", {"search.classifier.trials": "12"})
    read = ledger_of(*records)
    monkeypatch.setattr("sweeps.search.studies.read_ledger", lambda paths, _: read(paths, many))
    result = sweep("status", run_folder)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if "classifier 11" in line)
    told = f"{cell.label}, classifier 11: failed: out of [memory] at 11 of them"
    assert lines[first] == told
    assert "classifier 2:" in lines[first + 9]
    assert lines[first + 10] == "2 more failed; MLflow has the reasons of all"


def test_status_and_report_refuse_a_folder_that_is_no_sweep(sweep, tmp_path):
    for verb in ("status", "report"):
        result = sweep(verb, tmp_path)
        assert result.exit_code == 2
        assert "must be the folder of a sweep, found no spec.json" in result.stderr


@pytest.mark.parametrize("verb", ["status", "report", "advise"])
def test_a_sweep_whose_ledger_is_gone_is_not_taken_for_one_that_never_ran(
    sweep, run_folder, tmp_path, verb
):
    marked = shutil.copytree(run_folder, tmp_path / "a%20b" / "demo")
    result = sweep(verb, marked)
    assert result.exit_code == 2
    assert "must be a folder without %20 in its path" in result.stderr
    (run_folder / "ledger.db").unlink()
    result = sweep(verb, run_folder)
    assert result.exit_code == 2
    assert "must hold the ledger of its sweep, found no ledger.db in it: put it" in result.stderr


def test_report_is_written_from_the_records(sweep, run_folder, monkeypatch):
    calls = []
    module = ModuleType("sweeps.report.page")
    module.write_report = lambda *values: calls.append(values)
    monkeypatch.setitem(sys.modules, "sweeps.report.page", module)
    monkeypatch.setattr("sweeps.search.studies.read_ledger", ledger_of())
    result = sweep("report", run_folder)
    assert result.stdout == f"report: {run_folder}/report/report.html\n"
    ((paths, ledger),) = calls
    assert (paths.folder, ledger.spec.name, ledger.attempts) == (run_folder, "demo", ())


def test_two_folders_are_reported_side_by_side(sweep, run_folder, monkeypatch):
    monkeypatch.setattr("sweeps.search.studies.read_ledger", ledger_of())
    other = shutil.copytree(run_folder, "elsewhere/demo")
    result = sweep("report", run_folder, other)
    assert result.stdout == f"report: {run_folder}/report/beside-demo.html\n"
    assert "2 sweeps side by side" in (run_folder / "report" / "beside-demo.html").read_text()
    refused = sweep("report", run_folder, other, f"{run_folder}/../demo")
    assert refused.exit_code == 2
    assert f"report must be given different sweeps, found {run_folder} twice" in refused.stderr


@pytest.mark.parametrize(("result", "code"), [("ok", 0), ("note", 0), ("failed", 2)])
def test_check_exits_2_only_where_something_would_stop_a_run(sweep, monkeypatch, result, code):
    found = CheckResult(what="corpus", result=result, detail="what to do")
    monkeypatch.setattr("sweeps.checks.check_sweep", lambda spec: (found,))
    done = sweep("check", "demo")
    assert done.exit_code == code
    assert "what to do" in done.stdout


def test_a_terminal_that_lacks_a_character_shows_a_question_mark(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(cli, "app", lambda: print("20–34 min"))
    cli.main()
    assert shown.buffer.getvalue() == b"20?34 min\n"
