"""Trainings of a tiny sweep and tokens of a short text, as numbers and strings to be recorded.

What a trained encoder is stored under tells of the code that trained it by two versions alone.
Everything between text and weights is at work here as in a sweep's trials, on a CPU, in fp32, with
dropout and in one thread. The command that prints what it gives today:

    python -m tests.golden.trainings
"""

import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from sweeps.run.context import TrialContext
from sweeps.run.encoders import EncoderStore
from sweeps.run.stages import run_trial
from sweeps.search.records import StudyKey, TrialKey, TrialRequest
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.general import GeneralSpec
from sweeps.spec.values import ClassifierSpec, LabelSpec, LanguageModelSpec, ModelSpec, SweepSpec
from ulm.regimes import Regime
from ulm.text.corpora import CorpusSource
from ulm.text.token_folder import RULES_VERSION
from ulm.text.tokeniser import tokenise
from ulm.text.tokens import prepare_tokens
from ulm.text.vocabulary import SPECIAL_WORDS, count_vocabulary
from ulm.training import TRAINING_VERSION

TEXT = """Well... I <b>LOVED</b> it!!!!!!!<br /><br />No, REALLY: it's film-noir of 1947, isn't it?
The  The the acting (by Ann &amp; Bob) was so so so so good :-) 10/10, café-au-lait & all.
But don't -- I repeat: don't! -- see Part II @ $9.99 at 9 p.m., e.g. on http://x.org/a_b #sequel."""

SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru")
LABELS = ("no", "yes")
PARTS = {"train": 48, "unlabelled": 40, "test": 12}
GENERAL_DOCUMENTS = 40
LONGEST = 30  # words of a document


def _word(number: int) -> str:
    return "".join(SYLLABLES[int(digit)] for digit in f"{number:03d}")


def _document(rng: np.random.Generator, label: int) -> str:
    """Words of which one is known from the last, half of the time; every third tells the label."""
    words = [int(rng.integers(60))]
    for place in range(1, int(rng.integers(8, LONGEST))):
        follows = int(rng.integers(2))
        words.append((7 * words[-1] + 1) % 60 if follows else int(rng.integers(60)))
        if place % 3 == 0:
            words[-1] = 60 + 10 * label + int(rng.integers(10))
    return " ".join(_word(number) for number in words)


def _write_corpora(folder: Path) -> tuple[Path, Path]:
    """A general corpus and a domain with labels, as tables; the same text on every machine."""
    rng = np.random.default_rng(1)
    general, domain = folder / "general.csv", folder / "domain.csv"
    with general.open("w", newline="", encoding="utf-8") as file:
        rows = [[_document(rng, number % 2)] for number in range(GENERAL_DOCUMENTS)]
        csv.writer(file).writerows([["text"], *rows])
    with domain.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "part"])
        for part, count in PARTS.items():
            for number in range(count):
                label = "" if part == "unlabelled" else LABELS[number % 2]
                writer.writerow([_document(rng, number % 2), label, part])
    return general, domain


def _spec(folder: Path) -> SweepSpec:
    general, domain = _write_corpora(folder)
    return SweepSpec(
        name="golden",
        storage=str(folder),
        corpus=CorpusSource(kind="csv", path=domain, part_column="part"),
        general=GeneralSpec(kind="csv", path=general, epochs=3),
        labels=LabelSpec(train=40),
        sizes=(80,),
        seeds=(0,),
        model=ModelSpec(embedding=8, hidden=12, layers=2, vocabulary=80, minimum_count=2),
        language_model=LanguageModelSpec(
            epochs=1, minimum_steps=120, batch=4, bptt=10, dropout=1.0, weight_decay=0.5
        ),
        classifier=ClassifierSpec(
            epochs=1, minimum_steps=26, batch=8, bptt=10, dropout=1.0, weight_decay=0.5
        ),
    )


def _context(spec: SweepSpec, folder: Path) -> TrialContext:
    assert spec.general.source is not None
    return TrialContext(
        spec=spec,
        domain=prepare_tokens(spec.corpus, folder / "tokens", processes=1).folder,
        general=prepare_tokens(spec.general.source, folder / "tokens", processes=1).folder,
        encoders=str(folder / "encoders"),
        predictions=str(folder / "predictions"),
        models=str(folder / "models"),
    )


def losses(folder: Path) -> dict[str, list[float]]:
    """Train and validation loss of every epoch: a general model, a domain's, its classifiers.

    Args:
        folder: Empty; everything is written there.
    """
    spec = _spec(folder)
    context, store, found = _context(spec, folder), EncoderStore(str(folder / "store")), {}

    def run(regime: str, stage: Stage, encoder: str | None, **params: float) -> str | None:
        cell = next(cell for cell in make_cells(spec) if cell.regime == regime)
        key = TrialKey(study=StudyKey(cell_id=cell.id, stage=stage), number=0)
        request = TrialRequest(key=key, cell=cell, params=params, encoder=encoder)
        told: list[float] = []

        def report(progress, save):
            names = ("train_loss", "validation_loss")
            told.extend(progress.metrics[name] for name in names if name in progress.metrics)

        outcome = run_trial(request, context, store, report)
        found[f"{regime} {stage.value}"] = told
        return outcome.artifacts.get("encoder")

    general = run("general", Stage.LANGUAGE_MODEL, None, learning_rate=0.05)
    domain = run(Regime.ULM_DOMAIN, Stage.LANGUAGE_MODEL, general, learning_rate=0.05, decay=1.5)
    for stage in (Stage.CLASSIFIER, Stage.FINAL):
        run(Regime.ULM_DOMAIN, stage, domain, learning_rate=0.01, decay=2.0)
    return found


def tokens() -> list[str]:
    """Tokens of the short text."""
    chunk = tokenise(TEXT.splitlines())
    return [chunk.types[number] for number in chunk.ids]


def words() -> list[str]:
    """The short text's vocabulary, in its order, behind the special words."""
    chunk = tokenise(TEXT.splitlines())
    counts = np.bincount(chunk.ids)
    found = count_vocabulary(counts, chunk.types, size=1000, minimum_count=1)
    return list(found.words[len(SPECIAL_WORDS) :])


def main() -> None:
    """Print what is to be recorded."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        rounded = {
            name: [float(f"{loss:.6g}") for loss in each]
            for name, each in losses(Path(folder)).items()
        }
    told = {
        "training version": TRAINING_VERSION,
        "rules version": RULES_VERSION,
        "torch": torch.__version__,
        "losses": rounded,
        "tokens": tokens(),
        "words": words(),
    }
    print(json.dumps(told, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
