"""The groups of `make bench`: which processes measure which section of the page."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GROUPS", "Group", "Part"]

_ENGINES = (
    "torch-bfloat16",
    "openvino-float32",
    "openvino-bfloat16",
    "onnxruntime-float32",
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A process that prints Markdown.

    Parameters
    ----------
    arguments : tuple of str
        After ``python``.
    is_quick : bool
        Whether a quick run takes it too.
    """

    arguments: tuple[str, ...]
    is_quick: bool = True


@dataclass(frozen=True, kw_only=True)
class Group:
    """One section of the page.

    Parameters
    ----------
    name : str
        On the command line, in the markers of the page and in the name of its record.
    title : str
        What is measured.
    parts : tuple of Part
        One after the other; each takes ``--quick``, and starts further processes for its pairs.
    packages : tuple of str
        Whose versions are told beside the usual ones.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    packages: tuple[str, ...] = ()


def _part(module: str, *arguments: str, is_quick: bool = True) -> Part:
    return Part(arguments=("-m", f"benchmarks.{module}", *arguments), is_quick=is_quick)


GROUPS = (
    Group(
        name="calls",
        title="Calls, `metastra check`, cold start",
        parts=(_part("calls"),),
    ),
    Group(
        name="tiles",
        title="Tile features and nuclei",
        parts=(_part("tiles", "--stages"),),
    ),
    Group(
        name="pixels",
        title="Pixels",
        parts=(_part("pixels"),),
        packages=("simplejpeg", "openslide-bin"),
    ),
    Group(
        name="reading",
        title="Reading tiles",
        parts=(_part("reading"),),
        packages=("simplejpeg", "openslide-bin"),
    ),
    Group(
        name="features",
        title="Slides to features",
        parts=(
            _part("features", "--scanner", "Aurora S60"),
            _part("features", "--scanner", "Pelican 2", is_quick=False),
        ),
    ),
    Group(name="small-slides", title="Small painted slides", parts=(_part("small_slides"),)),
    Group(
        name="bags",
        title="Bags",
        parts=(
            _part("bags", "--against", "stamp"),
            _part("bags", "--against", "clam"),
            _part("bags", "--against", "trident"),
            _part("bags", "--epoch"),
        ),
        packages=("h5py",),
    ),
    Group(
        name="encoders",
        title="Engines of encoders",
        parts=(
            *(
                _part("encoders", "--only", net, "--engine", engine, is_quick=net == "vit-s")
                for net in ("vit-s", "resnet50", "vit-l")
                for engine in _ENGINES
            ),
            _part("products"),
        ),
        packages=("timm", "openvino", "onnxruntime"),
    ),
    Group(name="training", title="Slide models", parts=(_part("slide_training"),)),
    Group(name="painting", title="Painted slides", parts=(_part("painting"),)),
)
"""In the order of the page."""
