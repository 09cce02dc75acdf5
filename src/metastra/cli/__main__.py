"""``python -m metastra.cli`` is the same as ``metastra``."""

from metastra.cli.main import main

main()
