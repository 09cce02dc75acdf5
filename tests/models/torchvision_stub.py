"""timm and transformers as referees without torchvision, whose wheels need a CUDA torch.

timm imports names of torchvision when it is imported and uses none of them in a model; so empty
modules stand in for it, and only while timm is imported: transformers must not see them.
"""

from __future__ import annotations

import sys
import types
from contextlib import contextmanager
from enum import Enum

import pytest
from torch import nn


class _Interpolation(Enum):
    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


class _Stub(types.ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        found = type(name, (nn.Module,), {})
        setattr(self, name, found)
        return found


_NAMES = (
    "torchvision",
    "torchvision.ops",
    "torchvision.ops.misc",
    "torchvision.datasets",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.models",
    "torchvision.models.feature_extraction",
)


@contextmanager
def _stubs():
    made = {name: _Stub(name) for name in _NAMES}
    for name, module in made.items():
        module.__path__ = []
        module.InterpolationMode = _Interpolation
        above, _, last = name.rpartition(".")
        if above:
            setattr(made[above], last, module)
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            sys.modules.pop(name, None)


def load_timm():
    """Give timm, imported without torchvision; skip the test where it is not installed."""
    pytest.importorskip("huggingface_hub")
    with _stubs():
        return pytest.importorskip("timm")


def load_transformers():
    """Give transformers; skip the test where it is not installed."""
    return pytest.importorskip("transformers")
