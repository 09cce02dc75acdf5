"""Screen patients one by one and say each entry once it is written."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ledger.ledger_study import at, source
from metastra.ledger.opening import writing
from metastra.ledger.recording import screen


def main() -> None:
    folder = Path(sys.argv[1])
    print("begun", flush=True)
    for number in range(6):
        rows = f"PATIENT,DATE,age,stage\nP{number}a,2026-02-01,60,II\nP{number}b,2026-02-01,61,I\n"
        table = source(folder, "north", "s.csv", rows)
        with writing(folder / "study") as ledger:
            done = screen(ledger, table, at("2026-02-04"))
        for entry in done.entries:
            print(entry.name, flush=True)


if __name__ == "__main__":
    main()
