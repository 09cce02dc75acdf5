"""``python -m metastra.cli`` is the same as ``metastra``."""

from metastra.cli import main

main()
