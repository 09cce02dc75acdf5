"""Small counts that could point at a person, and the second one that would give them away."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["hide_small"]


def hide_small(counts: Sequence[int], *, below: int) -> list[bool]:
    """Decide which counts of one whole are hidden.

    Parameters
    ----------
    counts : sequence of int
        Parts of a total that is printed.
    below : int
        Counts above 0 and below this are small; 0 hides nothing.

    Returns
    -------
    list of bool
        True for hidden.  Where a single part of several would be hidden, the smallest other part
        above 0 is hidden as well: with the total and the rest it could be worked out.

    Examples
    --------
    >>> hide_small([40, 3, 12], below=5)
    [False, True, True]
    >>> hide_small([40, 3, 2], below=5)
    [False, True, True]
    >>> hide_small([40, 0, 12], below=5)
    [False, False, False]
    """
    hidden = [0 < n < below for n in counts]
    others = [i for i, n in enumerate(counts) if n > 0 and not hidden[i]]
    if sum(hidden) == 1 and others:
        hidden[min(others, key=counts.__getitem__)] = True
    return hidden
