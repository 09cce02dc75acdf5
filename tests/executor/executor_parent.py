"""A program with a pool, to be interrupted or killed by a test: FOLDER WORKERS TASKS SECONDS."""

from __future__ import annotations

import sys
from pathlib import Path

from executor.executor_tasks import work
from metastra.executor import ProcessPool, Task


def main() -> int:
    folder, workers, tasks, seconds = sys.argv[1:]
    pool = ProcessPool(
        workers=int(workers), tell=lambda text: print(text, file=sys.stderr, flush=True)
    )
    payloads = [
        {"do": "note", "folder": folder, "name": f"t{number}", "seconds": float(seconds)}
        for number in range(int(tasks))
    ]
    got = []
    try:
        for result in pool.run(work, [Task(key=p["name"], payload=p) for p in payloads]):
            got.append(result.key)
            Path(folder, "got").write_text(" ".join(sorted(got)))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
