"""Where fastai's own corpora lie, downloaded once by fastai's `untar_data`.

A name goes in (``imdb``), a folder comes out. `untar_data` returns a folder that is already there
without looking at the network, so that case is answered here from fastai's `config.ini` alone:
importing fastai costs three seconds and 350 MiB, which a second start should not pay.
"""

import configparser
import os
import tarfile
from pathlib import Path
from typing import Any

from ulm.errors import CorpusError

# name -> the attribute of fastai's URLs; the archive unpacks to a folder of the same name.
URL_NAMES = {"imdb": "IMDB", "wikitext-2": "WIKITEXT_TINY", "wikitext-103": "WIKITEXT"}


def data_folder() -> Path:
    """Return the folder that fastai unpacks data into.

    Read as `fastai.data.external.fastai_cfg` does: ``$FASTAI_HOME`` or ``~/.fastai``, key ``data``
    of its ``config.ini``, which may be absolute.
    """
    home = Path(os.environ.get("FASTAI_HOME", "~/.fastai")).expanduser()
    config = configparser.ConfigParser()
    config.read(home / "config.ini", encoding="utf-8")
    return home / Path(config["DEFAULT"].get("data", "data")).expanduser()


def downloaded_folder(name: str) -> Path:
    """Return the folder of one of fastai's corpora, downloading it where it is missing.

    Args:
        name: a key of `URL_NAMES`.

    Raises:
        CorpusError: where it is neither there nor can be downloaded.
    """
    folder = data_folder() / name
    return folder if folder.is_dir() else _download(name, folder)


def unpacked(url: str, **options: Any) -> Path:
    """What fastai's `untar_data` returns; a file that would land outside its folder is refused.

    Python extracts archives trustingly before 3.14, and fastai asks for nothing else.
    """
    from fastai.data.external import untar_data

    trusting = tarfile.TarFile.extraction_filter
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        return Path(untar_data(url, **options))
    finally:
        tarfile.TarFile.extraction_filter = trusting


def _download(name: str, folder: Path) -> Path:
    from fastai.data.external import URLs

    url = getattr(URLs, URL_NAMES[name])
    try:
        return unpacked(url)
    # fastdownload raises plain Exception for a corrupt file and urllib's errors for the rest.
    except Exception as error:
        raise CorpusError(
            f"corpus {name} must lie in {folder} or be downloadable; {url} failed with "
            f"{type(error).__name__}: {error}; connect to the network, or unpack the archive there "
            f"by hand"
        ) from error
