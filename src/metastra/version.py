"""The version of metastra, on its own so that everything may name it."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
