"""``python -m metastra`` is the same as ``metastra``."""

from metastra.cli import main

main()
