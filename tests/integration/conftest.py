import pytest

from sweeps.paths import SweepPaths
from sweeps.search.studies import OptunaStudies
from sweeps.spec.cells import make_cells
from sweeps.spec.load import spec_to_json
from sweeps.spec.meaning import meaning
from tests.sweeps.example_sweep import example_records, example_spec


@pytest.fixture
def paths(tmp_path):
    """A run folder with a ledger of twelve trials."""
    spec = example_spec(storage=str(tmp_path), sizes=(100,))
    paths = SweepPaths.of(spec)
    paths.folder.mkdir()
    paths.spec_json.write_text(spec_to_json(spec), encoding="utf-8")
    paths.summary_json.write_text('{"wall_seconds": 3.5}', encoding="utf-8")
    studies = OptunaStudies(paths.ledger_url, spec.name)
    studies.open(meaning(spec))
    for record in example_records(spec, limit=12):
        studies.begin(record, {})
    studies.close()
    paths.predictions_folder.mkdir()
    paths.predictions(make_cells(spec)[1]).write_bytes(b"no archive")
    return paths
