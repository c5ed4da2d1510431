"""Jobs: one trial at work, and what every stage needs: its encoder, its epochs told, its numbers.

A `Job` carries a request, the sweep's context, the encoder store and the `report` that hears of
each epoch; the functions here turn training's own reports into the ledger's words.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sweeps.run.context import Materials, TrialContext
from sweeps.run.draws import Indices
from sweeps.run.encoders import EncoderStore
from sweeps.run.settings import architecture, device
from sweeps.search.records import Progress, TrialRequest
from ulm.model.architecture import Architecture
from ulm.model.encoder import Encoder, adapt_encoder, random_encoder
from ulm.training.listener import EpochReport

Save = Callable[[Path], None]
"""Writes into a folder the state from which a trial goes on."""
Report = Callable[[Progress, Save], None]
"""Tells an epoch; what it raises ends the trial."""

STATE_FILE = "training.pt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One trial at work.

    Args:
        request: What is asked.
        context: What every trial of the sweep shares.
        store: Trained encoders.
        materials: Documents, labels and words of the cell.
        report: Hears of every epoch.
        resume_from: Folder that an earlier attempt's `Save` wrote.
        accumulation: Parts that batches are computed in to save memory.
    """

    request: TrialRequest
    context: TrialContext
    store: EncoderStore
    materials: Materials
    report: Report
    resume_from: Path | None = None
    accumulation: int = 1

    @property
    def device(self) -> str:
        """The torch device the spec's resources stand for."""
        return device(self.context.spec)

    @property
    def architecture(self) -> Architecture:
        """Sizes of the sweep's encoders."""
        return architecture(self.context.spec)

    def starting_encoder(self, documents: Indices) -> Encoder:
        """The general encoder, or random weights, with rows for the words of documents.

        Random weights depend on the cell's seed alone, so that regimes are paired.
        """
        if self.request.encoder is None:
            vocabulary = self.materials.vocabulary(documents)
            seed = self.materials.seed("weights")
            return random_encoder(self.architecture, vocabulary, seed=seed)
        general = self.store.load(self.request.encoder, keep=True)
        return adapt_encoder(general, self.materials.vocabulary(documents, general.vocabulary))

    @property
    def general_coverage(self) -> float | None:
        """Share of the tokens of the cell's documents that the general model knows, if it starts.

        Of a trial that starts from the cell's own language model it is not asked.
        """
        if self.request.encoder is None:
            return None
        general = self.store.load(self.request.encoder, keep=True)
        return self.materials.coverage(general.vocabulary, self.materials.documents)


class EpochTeller:
    """An `EpochListener` that tells a job of each epoch.

    Args:
        job: The job.
        value: What the study minimises or maximises, of an epoch.
        earlier: Epochs of earlier folds; told epochs count on from there.
        num_folds: Trainings the trial consists of.
        save_more: Adds to the folder that a state is saved in.
    """

    def __init__(
        self,
        job: Job,
        value: Callable[[EpochReport], float],
        *,
        earlier: int = 0,
        num_folds: int = 1,
        save_more: Save | None = None,
    ) -> None:
        self._job = job
        self._value = value
        self._earlier = earlier
        self._num_folds = num_folds
        self._save_more = save_more

    def after_epoch(self, report: EpochReport, save: Callable[[Path], None]) -> bool:
        """See `EpochListener`."""
        progress = progress_of(report, value=self._value(report))
        progress = replace(
            progress,
            epoch=self._earlier + report.epoch,
            num_epochs=self._num_folds * report.num_epochs,
        )

        def save_all(folder: Path) -> None:
            save(folder / STATE_FILE)
            if self._save_more is not None:
                self._save_more(folder)

        self._job.report(progress, save_all)
        return True


def progress_of(report: EpochReport, *, value: float) -> Progress:
    """An epoch of training as the ledger keeps it."""
    metrics = {
        name: float(number)
        for name, number in asdict(report).items()
        if name not in ("epoch", "num_epochs") and number is not None
    }
    metrics["tokens_per_second"] = rate(report.tokens, report.seconds)
    return Progress(epoch=report.epoch, num_epochs=report.num_epochs, value=value, metrics=metrics)


def rate(tokens: float, seconds: float) -> float:
    """Tokens per second."""
    return tokens / max(seconds, 1e-9)


def known(numbers: Mapping[str, float | None]) -> dict[str, float]:
    """The numbers that are there, as floats."""
    return {name: float(number) for name, number in numbers.items() if number is not None}
