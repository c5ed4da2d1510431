"""Corpora laid out as folders with one file per document.

``train/<label>/*.txt``, ``test/<label>/*.txt`` and ``unsup/*.txt`` or ``unlabelled/*.txt`` become a
`Listing` whose texts are read when asked for. Documents are ordered by part, label and file name,
so the order does not depend on the file system. They may lie in folders of these folders; hidden
names, as of notebooks and macOS, are passed over, and `left_out` names what else is no document.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ulm.errors import CorpusError
from ulm.text.listing import NO_LABEL, Listing, Part, check_spelling
from ulm.text.texts import FileTexts

UNLABELLED_NAMES = ("unlabelled", "unlabeled", "unsup")
SHOWN = 5  # folders in a message
LAYOUT = "train/<label>/*.txt, test/<label>/*.txt and unlabelled/*.txt"


def _is_text(name: str) -> bool:
    return name.lower().endswith(".txt")


def _visible(folder: Path) -> Iterator[Path]:
    """What lies below a folder and is not hidden; links to folders are named, not followed."""
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False) and not _is_text(entry.name):
                    folders.append(Path(entry.path))
                else:
                    yield Path(entry.path)


def _text_files(folder: Path) -> list[Path]:
    files = sorted(path for path in _visible(folder) if _is_text(path.name))
    for file in files:
        if not file.is_file():  # a pipe or a device would be read without end
            raise CorpusError(
                f"{file}: each document must be a file, found a folder, a pipe or a link "
                "that leads nowhere; remove it"
            )
    return files


def _label_folders(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    if not folder.is_dir():
        return
    for child in sorted(folder.iterdir()):
        if child.name in UNLABELLED_NAMES or child.name.startswith(".") or not child.is_dir():
            continue
        if not child.name.isprintable():
            raise CorpusError(f"{child}: a folder is named for its label, in UTF-8; rename it")
        if files := _text_files(child):
            yield child.name, files


def _unlabelled_files(folder: Path) -> list[Path]:
    # The original IMDB archive keeps its unlabelled reviews in train/unsup.
    places = [folder / name for name in UNLABELLED_NAMES]
    places += [folder / "train" / name for name in UNLABELLED_NAMES]
    return [path for place in places if place.is_dir() for path in _text_files(place)]


def _check_names(folder: Path) -> None:
    for child in sorted(folder.iterdir()):
        name = child.name.casefold()
        is_ours = name in ("train", "test", *UNLABELLED_NAMES) and child.is_dir()
        if is_ours and not (folder / name).exists():
            raise CorpusError(f"{child}: the folder must be called {name!r}; rename it")


def _is_document(path: Path) -> bool:
    return not path.name.startswith(".") and _is_text(path.name) and path.is_file()


def _check_labels(folder: Path, train: dict[str, list[Path]], test: dict[str, list[Path]]) -> None:
    if unknown := sorted(set(test) - set(train)):
        raise CorpusError(
            f"{folder / 'test'}: labels of the test part must occur in train, found {unknown} "
            f"where train has {sorted(train)}; rename or remove the folder"
        )
    if missing := sorted(set(train) - set(test)):
        raise CorpusError(
            f"{folder}: every label needs test documents, {missing} have none; "
            f"add test/{missing[0]}/*.txt"
        )


def read_folder(folder: Path) -> Listing:
    """List a corpus of folders; no document is opened.

    Args:
        folder: the folder that holds ``train``, ``test`` and ``unlabelled`` or ``unsup``.

    Raises:
        CorpusError: where there is no document, or train and test do not have the same labels.
    """
    train = dict(_label_folders(folder / "train"))
    test = dict(_label_folders(folder / "test"))
    unlabelled = _unlabelled_files(folder)
    if bool(train) != bool(test) or not (train or unlabelled):
        _check_names(folder)
    folders = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
    if not folders:
        unlabelled = sorted(path for path in folder.iterdir() if _is_document(path))
    if not train and not unlabelled:
        found = folders[:SHOWN]
        raise CorpusError(
            f"{folder}: a corpus folder must hold {LAYOUT}, or texts without labels and no folder "
            f"beside them, found {f'folders {found}' if found else 'no such file'}; check the "
            f"path, put folders of labels into train and test, or remove a half-unpacked folder"
        )
    check_spelling(str(folder / "train"), {name: len(files) for name, files in train.items()})
    _check_labels(folder, train, test)
    names = tuple(sorted(train))
    rows = [(path, Part.LABELLED, names.index(name)) for name in names for path in train[name]]
    rows += [(path, Part.UNLABELLED, NO_LABEL) for path in unlabelled]
    rows += [(path, Part.TEST, names.index(name)) for name in names for path in test[name]]
    paths = tuple(path for path, _, _ in rows)
    return Listing(
        texts=FileTexts(paths),
        parts=np.array([part for _, part, _ in rows], dtype=np.uint8),
        labels=np.array([label for _, _, label in rows], dtype=np.int16),
        label_names=names,
    )


def left_out(folder: Path) -> tuple[Path, ...]:
    """What lies visibly in a corpus of folders and is no document of it, sorted.

    Args:
        folder: a folder that `read_folder` reads.
    """
    listing = read_folder(folder)
    assert isinstance(listing.texts, FileTexts)
    documents = set(listing.texts.paths)
    folders = {parent for path in documents for parent in path.parents}  # some may be links
    return tuple(sorted(set(_visible(folder)) - documents - folders))
