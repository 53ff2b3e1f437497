"""Every comparison, one after the other, and one table of all of them.

    python -m bench [--quick] [--only serving,intake] [--write docs/performance.md]

Each is a process of its own, so that none leaves threads or memory behind for the next, and one
that fails costs only its own rows. Exit status 1 when one of them failed; a goal that is missed
is shown in the table and fails nothing, since it may be the machine's.

The experiments that train for minutes to hours are no part of this; `--list` names them too.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.sides import Row, Setting, read, table
from rvsense.atomic import write_file

COMPARISONS = {
    "serving": "Serving",
    "intake": "Intake",
    "pairing": "Pairing",
    "learning": "Learning",
    "step": "The training step",
    "queues": "The queue",
    "replaying": "Replay",
    "recording": "Recording",
    "simulate": "Simulator",
    "startup": "Start-up and memory",
    "scaling": "Past one machine",
    "gpu": "GPU",
}
"""Module of `bench` to its heading."""
EXPERIMENTS = (
    "ablation",
    "ceiling",
    "detector",
    "encoders",
    "longer",
    "separability",
    "stream_order",
    "stream_probe",
    "trust",
)
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

Found = dict[str, tuple[Setting, list[Row]]]


def run(names: list[str], folder: Path, *, quick: bool) -> Found:
    """The rows of each comparison that did not fail; what they print goes through."""
    found: Found = {}
    for name in names:
        print(f"\n## {COMPARISONS[name]}: python -m bench.{name}\n", flush=True)
        path, since = folder / f"{name}.json", time.monotonic()
        command = [sys.executable, "-m", f"bench.{name}", "--json", str(path)]
        status = subprocess.run([*command, *(["--quick"] if quick else [])], check=False).returncode
        print(f"\n{name}: {time.monotonic() - since:.0f} s, exit status {status}", flush=True)
        if status == 0 and path.exists():
            found[name] = read(path)
    return found


def summary(found: Found) -> str:
    """All rows as one table, each under the setting it was taken in."""
    parts = []
    for name, (setting, rows) in found.items():
        if rows:
            parts.append(
                f"### {COMPARISONS[name]}\n\n`python -m bench.{name}` · {setting}\n\n{table(rows)}"
            )
    return "\n\n".join(parts)


def replaced(text: str, new: str) -> str:
    """The document with what stands between its marks replaced.

    Raises:
        ValueError: when it lacks the marks.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} … {END} to write between")
    return f"{head}{BEGIN}\n{new}\n{END}{tail}"


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and write where asked; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="under a minute each; wider spread")
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--write", type=Path, help="a document to put the table into")
    parser.add_argument("--list", action="store_true", help="what there is, and nothing else")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join((*COMPARISONS, *(f"{name} (experiment)" for name in EXPERIMENTS))))
        return 0
    names = [name.strip() for name in options.only.split(",") if name.strip()] or list(COMPARISONS)
    if unknown := sorted(set(names) - set(COMPARISONS)):
        parser.error(f"--only {', '.join(unknown)}: there are {', '.join(COMPARISONS)}")
    with tempfile.TemporaryDirectory() as folder:
        found = run(names, Path(folder), quick=options.quick)
    text = summary(found)
    print(f"\n{text}")
    if options.write is not None:
        write_file(options.write, replaced(options.write.read_text(), text).encode())
    failed = [name for name in names if name not in found]
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
