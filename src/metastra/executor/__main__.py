"""The program of a worker: ``python -m metastra.executor DESCRIPTOR PARENT``."""

from __future__ import annotations

import sys

from metastra.executor.worker import work

work(int(sys.argv[1]), parent=int(sys.argv[2]))
