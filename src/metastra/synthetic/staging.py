"""TNM strings and AJCC 8 stage groups of colorectal cancer, for writing them."""

from __future__ import annotations

__all__ = ["M_SUB", "N_SUB", "T_SUB", "stage_group", "tnm_text"]

T_SUB = ("1", "2", "3", "4a", "4b")
"""pT categories that are drawn."""
N_SUB = ("0", "1a", "1b", "1c", "2a", "2b")
"""pN categories that are drawn."""
M_SUB = ("0", "1a", "1b", "1c")
"""M categories that are drawn."""


def stage_group(t: str, n: str, m: str) -> str:
    """Give the stage group of colon and rectum.

    Parameters
    ----------
    t, n, m : str
        One of `T_SUB`, `N_SUB` and `M_SUB`.

    Returns
    -------
    str
        ``"I"`` to ``"IVC"``.

    Notes
    -----
    AJCC Cancer Staging Manual, 8th edition, chapter 20.

    Examples
    --------
    >>> [stage_group(*tnm) for tnm in (("2", "0", "0"), ("3", "1b", "0"), ("4b", "1a", "0"))]
    ['I', 'IIIB', 'IIIC']
    """
    if m != "0":
        return {"1a": "IVA", "1b": "IVB", "1c": "IVC"}[m]
    if n == "0":
        return {"1": "I", "2": "I", "3": "IIA", "4a": "IIB", "4b": "IIC"}[t]
    depth = T_SUB.index(t)
    burden = {"1a": 0, "1b": 0, "1c": 0, "2a": 1, "2b": 2}[n]
    if depth + burden <= 1:
        return "IIIA"
    return "IIIB" if (depth, burden) in {(2, 0), (3, 0), (1, 1), (2, 1), (0, 2), (1, 2)} else "IIIC"


def tnm_text(t: str, n: str, m: str, *, after_treatment: bool) -> str:
    """Write TNM as a pathology report does.

    Parameters
    ----------
    t, n, m : str
        Categories without prefixes.
    after_treatment : bool
        Whether neoadjuvant treatment came before.

    Returns
    -------
    str
        With prefixes.

    Examples
    --------
    >>> tnm_text("3", "1b", "0", after_treatment=False)
    'pT3 N1b cM0'
    >>> tnm_text("2", "0", "0", after_treatment=True)
    'ypT2 N0 cM0'
    """
    return f"{'y' if after_treatment else ''}pT{t} N{n} cM{m}"
