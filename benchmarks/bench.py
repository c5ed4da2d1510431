"""`make bench`: every benchmark that needs no accelerator, as one table with reach and measured.

    python benchmarks/bench.py [SCRIPT ...]

Runs each script of `SCRIPTS` in a process of its own, shows what it prints, and ends with the rows
of all of them and with those that fall short. To add rows: write a script that ends with
`table.print_table(rows)`, and name it here with its arguments.
"""

import subprocess
import sys
import time
from pathlib import Path

from table import HEADER, RULE, Row, read_rows, summary

SCRIPTS: tuple[tuple[str, ...], ...] = (
    ("tokenising.py",),
    ("cells.py",),
    ("language_model.py",),
    ("classifier.py",),
    ("trial_cost.py",),
    ("gap.py",),
    ("resume.py",),
    ("plan_truth.py",),
    ("naive_sweep.py",),
)


def run_script(command: tuple[str, ...]) -> list[Row]:
    """Runs one script, shows its lines as they come, and gives its rows."""
    print(f"\n## {' '.join(command)}\n", flush=True)
    begin = time.perf_counter()
    lines: list[str] = []
    script = Path(__file__).with_name(command[0])
    with subprocess.Popen(
        [sys.executable, str(script), *command[1:]], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    print(f"\n{time.perf_counter() - begin:.0f} s", flush=True)
    if process.returncode:
        why = f"the script ended with code {process.returncode}"
        return [Row(what=" ".join(command), against="–", reach="runs", measured=why, reached=False)]
    return read_rows(lines)


def main() -> None:
    """Run the scripts that are named, or all."""
    wanted = set(sys.argv[1:])
    begin = time.perf_counter()
    rows = [
        row
        for command in SCRIPTS
        if not wanted or command[0] in wanted
        for row in run_script(command)
    ]
    print("\n## All rows\n", HEADER, RULE, *rows, sep="\n")
    print(f"\n{summary(rows)}\n{(time.perf_counter() - begin) / 60:.0f} minutes.")


if __name__ == "__main__":
    main()
