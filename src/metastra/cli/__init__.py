"""The command line: one file per verb, no logic; `metastra --help` loads no numpy and no torch."""
