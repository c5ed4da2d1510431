"""The command line as one file: for `ray submit` and for `python sweeps/sweep.py` from a clone.

Arguments go to `sweeps.cli`; where `ray submit` has torn words with spaces apart they are joined
again (`sweeps.arguments` says why), nothing else happens here. Ray copies this file alone to the
head node, where the package is installed; from a clone, the clone itself comes first on the path.
Python puts the folder of a script first, where `search` and `record` would hide packages of those
names, so that folder is taken away.
"""

import os
import sys
from pathlib import Path


def _mend_path() -> None:
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder]
    if (folder / "cli.py").is_file():
        sys.path.insert(0, str(folder.parent))


if __name__ == "__main__":
    _mend_path()
    from sweeps.arguments import is_found, rejoin
    from sweeps.cli import main

    sys.argv[2:] = rejoin(sys.argv[2:], lambda word: is_found(word, os.environ))
    main()
