"""Linear probes of a sweep's encoders beside its fine-tuned classifiers.

    python benchmarks/linear_probe.py runs/imdb-small

For every finished cell with an encoder: logistic regression on frozen features of the same labelled
documents (mean embedding; pooled states [last, max, mean]), its C chosen by 5-fold cross-validation
on the labels, scored on the test documents of the cell's classifier or a sample of them. A
fine-tuned classifier that scores below a probe has lost what its encoder knew.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sweeps.answer.results import make_rows
from sweeps.paths import SweepPaths
from sweeps.run.context import Materials, TrialContext
from sweeps.run.encoders import EncoderStore
from sweeps.run.job import Job
from sweeps.search.records import StudyKey, TrialKey, TrialRequest
from sweeps.search.studies import read_ledger
from sweeps.spec.cells import Cell, Stage
from sweeps.spec.load import spec_from_json
from ulm.model.encoder import EMBEDDING, Encoder
from ulm.regimes import Regime
from ulm.text.tokens import Documents, prepare_tokens
from ulm.training.batches import by_length, pad_documents
from ulm.training.classifier import ClassifierSettings, build_classifier

Features = NDArray[np.float32]
CANDIDATES = (1e-4, 1e-3, 1e-2, 1e-1)


def mean_embedding(encoder: Encoder, documents: Documents) -> Features:
    """[N, E]."""
    rows = encoder.weights[EMBEDDING].numpy()
    return np.stack([rows[documents[index]].mean(0) for index in range(len(documents))])


@torch.no_grad()
def pooled_states(encoder: Encoder, documents: Documents) -> Features:
    """[N, 3E]: last, max and mean state."""
    settings = ClassifierSettings()
    model = build_classifier(encoder, num_classes=2, settings=settings, seed=0).eval()
    features = np.empty((len(documents), 3 * encoder.architecture.embedding), np.float32)
    for rows in by_length(documents.lengths, batch=64):
        texts = [documents[int(row)] for row in rows]
        ids = torch.from_numpy(pad_documents(texts, bptt=settings.bptt))
        lengths = [len(text) for text in texts]
        features[rows] = model.pool(*model.encode(ids, lengths), ids.shape[1], lengths).numpy()
    return features


def probe(train: Features, labels: NDArray[np.int64], test: Features) -> NDArray[np.int64]:
    """Predicted class of each test document."""
    regression = LogisticRegressionCV(
        Cs=list(CANDIDATES), cv=5, max_iter=2000, l1_ratios=(0.0,), use_legacy_attributes=False
    )
    pipeline = make_pipeline(StandardScaler(), regression).fit(train, labels)
    return np.asarray(pipeline.predict(test))


def encoder_of_cell(cell: Cell, key: str | None, context: TrialContext) -> Encoder:
    """The encoder a cell's classifiers started from."""
    store = EncoderStore(context.encoders)
    if Stage.LANGUAGE_MODEL in cell.stages:
        assert key is not None
        return store.load(key)
    study = StudyKey(cell_id=cell.id, stage=Stage.CLASSIFIER)
    job = Job(
        request=TrialRequest(
            key=TrialKey(study=study, number=0), cell=cell, params={}, encoder=key
        ),
        context=context,
        store=store,
        materials=Materials(context, cell),
        report=lambda progress, save: None,
    )
    return job.starting_encoder(job.materials.labelled)


def main() -> None:
    """Print one line per cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a sweep's folder, e.g. runs/imdb-small")
    parser.add_argument("--documents", type=int, help="score the probes on this many, not on all")
    arguments = parser.parse_args()
    paths = SweepPaths.at(arguments.folder)
    spec = spec_from_json(paths.spec_json.read_text(encoding="utf-8"), str(paths.spec_json))
    ledger = read_ledger(paths, spec)
    context = TrialContext(
        spec=spec,
        domain=prepare_tokens(spec.corpus, paths.tokens).folder,
        general=None,
        encoders=str(paths.encoders),
        predictions=str(paths.predictions_folder),
        models=str(paths.models),
    )
    rows = {(row.regime, row.size, row.seed): row for row in make_rows(ledger)}
    print("| cell | mean embedding | pooled states | fine-tuned |\n| :--- | ---: | ---: | ---: |")
    for cell in ledger.cells:
        row = rows.get((cell.regime, cell.size, cell.seed))
        if cell.is_general or cell.regime == Regime.BOW or row is None:
            continue
        basis = ledger.basis(StudyKey(cell_id=cell.id, stage=Stage.CLASSIFIER))
        if basis is None or row.test_accuracy is None:
            continue
        materials = Materials(context, cell)
        encoder = encoder_of_cell(cell, basis.encoder, context)
        train = materials.encode(materials.labelled, encoder.vocabulary)
        scored = np.random.default_rng(0).permutation(materials.test)[: arguments.documents]
        test = materials.encode(scored, encoder.vocabulary)
        labels, truth = materials.labels(materials.labelled), materials.labels(scored)
        scores = [
            float(
                (probe(features(encoder, train), labels, features(encoder, test)) == truth).mean()
            )
            for features in (mean_embedding, pooled_states)
        ]
        numbers = " | ".join(f"{100 * score:.1f} %" for score in (*scores, row.test_accuracy))
        print(f"| {cell.label} | {numbers} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
