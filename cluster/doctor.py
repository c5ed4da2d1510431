"""Doctor: whether every node of this cluster is fit for a sweep, as `sweep check --cluster` says.

    python cluster/doctor.py [SPEC]          on the head; from elsewhere with `ray exec`

A table of the nodes comes out, then one line for each failure with its remedy; exit code 1 if there
is one. Python puts the folder of a script first on its path, where nothing of the package lies.
"""

import sys

from sweeps.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["check", "--cluster"]
    main()
