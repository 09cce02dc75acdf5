"""A page as PDF: same bytes, own fonts, nothing fetched, the label on every sheet."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from metastra.errors import MissingExtra
from metastra.report.pdf import page_pdf

PAGE = (
    "<!doctype html><html><head><title>T</title><style>p {{ color: red }}</style></head><body>"
    "<div class='sheet'><main><h1>Validation</h1>{body}</main></div></body></html>"
)


@pytest.fixture(scope="module")
def pdf():
    """WeasyPrint, or a skip."""
    pytest.importorskip("weasyprint", exc_type=ImportError)
    return page_pdf


def words(data, tmp_path):
    """The text of a PDF."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine")
    path = tmp_path / "page.pdf"
    path.write_bytes(data)
    done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True)
    return done.stdout.decode()


def test_equal_pages_give_equal_bytes_in_two_processes(pdf, tmp_path):
    """No date, no random identity; another page has another identity."""
    page = PAGE.format(body="<p>0.715 (0.661 to 0.766)</p>")
    data = pdf(page)
    assert data.startswith(b"%PDF")
    (tmp_path / "p.html").write_text(page)
    program = (
        "import pathlib, sys\n"
        "from metastra.report.pdf import page_pdf\n"
        "sys.stdout.buffer.write(page_pdf(pathlib.Path(sys.argv[1]).read_text()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "p.html"], capture_output=True, check=True
    )
    assert done.stdout == data
    assert pdf(page.replace("0.715", "0.716")) != data
    assert b"CreationDate" not in data


def test_every_sheet_has_the_label_the_identity_and_its_number(pdf, tmp_path):
    """Three sheets, three footers."""
    body = "<p style='break-after: page'>one</p><p style='break-after: page'>two</p><p>three</p>"
    text = words(pdf(PAGE.format(body=body)), tmp_path)
    assert text.count("Research use only. Not for diagnosis or treatment.") == 3
    assert text.count("page sha256:") == 3
    assert "3/3" in text.replace(" ", "")


def test_the_same_source_gives_the_same_words(pdf, tmp_path):
    """Details are open, numbers are there, the text is text."""
    body = "<details><summary>Numbers</summary><table><tr><td>0.123</td></tr></table></details>"
    assert "0.123" in words(pdf(PAGE.format(body=body)), tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "https://example.org/x.png", "x.png"])
def test_nothing_is_fetched(pdf, url, tmp_path, caplog):
    """A page that asks for something gets nothing, whatever the address."""
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    body = f"<img src='{url}' alt='none'><img src='{secret.as_uri()}' alt='none'><p>kept</p>"
    text = words(pdf(PAGE.format(body=body)), tmp_path)
    assert "kept" in text
    assert "SECRET" not in text


def test_without_the_extra_the_command_is_said(monkeypatch):
    """The message names the exact install command."""
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(MissingExtra, match=r"pip install 'metastra\[pdf\]'"):
        page_pdf(PAGE.format(body=""))
