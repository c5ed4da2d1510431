"""What happens to a sweep between two runs: moved, edited, deleted from; trained without Ray."""

from dataclasses import replace

import pytest
from tiny import run_session, tiny_spec

from sweeps.errors import MeaningError
from sweeps.opening import open_sweep
from sweeps.paths import SweepPaths
from sweeps.record.mlflow_client import open_client
from sweeps.run.prepare import prepare_context
from sweeps.run.session import RunSession
from sweeps.search.listener import RunListener
from sweeps.spec.values import LabelSpec, TestSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource

GOOD, BAD = "a fine and good text, number {}", "a dull and bad text, number {}"


def make_project(folder):
    folder.mkdir()
    rows = [f"{GOOD if i % 2 else BAD},{i % 2}".format(i).replace(", n", " n") for i in range(120)]
    (folder / "reviews.csv").write_text("\n".join(["text,label", *rows]) + "\n")


def spec_in(project):
    return tiny_spec(
        project / "runs",
        corpus=CorpusSource(kind="csv", path=project / "reviews.csv"),
        regimes=(Regime.BOW,),
        labels=LabelSpec(train=20),
        test=TestSpec(),
    )


def run(spec):
    """Number of trials that were trained."""
    return run_session(spec).control.num_trained


def artifacts(paths):
    """Names of the artifacts of a sweep's own run."""
    client = open_client(paths.mlflow_uri)
    experiment = client.get_experiment_by_name(paths.name)
    assert experiment.artifact_location == paths.mlartifacts.as_uri()
    (run,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    return {file.path for file in client.list_artifacts(run.info.run_id)}


def test_a_moved_project_goes_on_and_an_edited_corpus_is_refused(tmp_path):
    make_project(tmp_path / "before")
    assert run(spec_in(tmp_path / "before")) == 3
    (tmp_path / "before").rename(tmp_path / "after")

    moved = spec_in(tmp_path / "after")
    assert run(replace(moved, seeds=(0, 1))) == 3, "the second seed alone"
    assert open_sweep(str(tmp_path / "after" / "runs" / "tiny"))[1].corpus == moved.corpus
    assert not (tmp_path / "before").exists()
    assert {"accuracy.png", "spec.json"} <= set(artifacts(SweepPaths.of(moved)))

    with moved.corpus.path.open("a") as file:
        file.write("one more,1\n")
    with pytest.raises(
        MeaningError, match=r"corpus\.content: recorded '\w+', now '\w+' \(a finger"
    ):
        run(moved)


def test_another_general_encoder_is_refused_by_its_content(tmp_path):
    make_project(tmp_path / "project")
    spec = spec_in(tmp_path / "project")
    paths = SweepPaths.of(spec)
    paths.folder.mkdir(parents=True)
    _, tokens = prepare_context(spec, paths, RunListener())

    def session(general):
        return RunSession(spec, paths, RunListener(), tokens=tokens, general=general)

    for key in ("ab" * 16, "ab" * 16):
        session(key).close()
    with pytest.raises(MeaningError, match=r"general\.content: recorded '(ab){8}', now '(cd){8}'"):
        session("cd" * 16)


def kinds_of_runs(paths):
    client = open_client(paths.mlflow_uri)
    experiment = client.get_experiment_by_name(paths.name)
    runs = client.search_runs([experiment.experiment_id])
    return client, experiment, sorted(run.data.tags["kind"] for run in runs)


def test_what_a_person_deletes_from_the_record_is_there_again_after_the_next_run(tmp_path):
    make_project(tmp_path / "project")
    spec = spec_in(tmp_path / "project")
    paths = SweepPaths.of(spec)
    run(spec)
    client, experiment, kinds = kinds_of_runs(paths)
    assert kinds == ["cell", "curve", "sweep", "trial", "trial", "trial"]
    before = paths.mlflow_db.stat().st_mtime_ns
    assert run(spec) == 0
    assert paths.mlflow_db.stat().st_mtime_ns == before, "nothing is opened where all is recorded"

    for kind in ("cell", "sweep"):
        (deleted,) = client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'")
        client.delete_run(deleted.info.run_id)
        assert run(spec) == 0
        assert kinds_of_runs(paths)[2] == kinds
    *below, sweep = sorted(
        client.search_runs([experiment.experiment_id]),
        key=lambda found: found.data.tags["kind"] == "sweep",
    )
    assert {r.data.tags["mlflow.parentRunId"] for r in below} == {sweep.info.run_id}

    (model,) = client.search_logged_models([experiment.experiment_id])
    client.delete_logged_model(model.model_id)
    assert run(spec) == 0
    assert len(client.search_logged_models([experiment.experiment_id])) == 1

    client.delete_experiment(experiment.experiment_id)
    assert run(spec) == 0
    assert kinds_of_runs(paths)[1].lifecycle_stage == "active"
    assert kinds_of_runs(paths)[2] == kinds
