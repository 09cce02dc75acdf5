"""A small foreign program: reads a table, writes risks; nothing of metastra is in it."""

from __future__ import annotations

import csv
import math
import os
import sys
import time
from pathlib import Path


def main() -> int:
    source, target, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    if mode == "hang":
        time.sleep(600)
    if mode == "crash":
        print("no licence found")
        return 3
    if mode == "silent":
        return 0
    with source.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with target.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["PATIENT", "risk_12", "risk_24", "score"])
        for row in reversed(rows):  # in another order than given
            score = 0.05 * (float(row["age"]) - 60) + 0.8 * (row["stage"] == "III")
            risk = 1 / (1 + math.exp(2.0 - score))
            if mode == "beyond":
                risk += 1.0
            if mode == "environment":
                risk = 0.25 if set(os.environ) <= {"PATH", "HOME", "LC_CTYPE"} else 0.75
            name = "nobody" if mode == "stranger" else row["PATIENT"]
            writer.writerow([name, repr(risk / 2), repr(risk), repr(score)])
    return 0


sys.exit(main())
