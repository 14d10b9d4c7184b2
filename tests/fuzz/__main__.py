"""`python -m tests.fuzz --minutes 30 --seed 0`: damaged inputs for every reader, and a table of what happened.

Exit code 1 where a reader did anything but read or refuse with one printable message. Inputs that went wrong are kept;
`python -m tests.fuzz --replay FILE` reads one again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import campaign, replay, table
from tests.fuzz.readers import READERS


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=0, help="for every reader, instead of a time")
    parser.add_argument("--readers", nargs="*", choices=READERS, metavar="READER", help=f"of {', '.join(READERS)}")
    parser.add_argument("--folder", type=Path, help="of inputs and failures; by default a new one")
    parser.add_argument("--replay", type=Path, help="a failure; its folder has the reader's name")
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="gwbench-fuzz-"))).absolute()
    if options.replay:
        name = (options.readers or [options.replay.parent.name])[0]
        result, text = replay(options.replay.absolute(), name, folder)
        sys.stdout.write(f"{name}: {result}\n{text}\n")
        return 0 if result in ("read", "refused") else 1
    minutes = 0.0 if options.inputs else options.minutes
    names = options.readers or list(READERS)
    tallies = campaign(folder, options.seed, names, minutes=minutes, inputs=options.inputs)
    sys.stdout.write(f"{table(tallies)}\n")
    failed = any(tally.failures for tally in tallies.values())
    end = f"Inputs that went wrong: {folder / 'failures'}" if failed else "All inputs were read or refused."
    sys.stdout.write(f"{end}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
