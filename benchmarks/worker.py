"""One pair in a process of its own: `python -m benchmarks.worker KEY N ROUNDS` prints JSON."""

from __future__ import annotations

import json
import sys

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Measure one row.

    Parameters
    ----------
    arguments : list of str
        Key, number of patients, rounds.
    """
    from benchmarks.pairs import BUILDERS, Unavailable
    from benchmarks.timing import sample_pair

    key, n, rounds = arguments
    try:
        answer = sample_pair(BUILDERS[key](int(n)), int(rounds)).to_json()
    except ModuleNotFoundError as error:
        answer = {"skipped": f"{error.name} is not installed"}
    except Unavailable as error:
        answer = {"skipped": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
