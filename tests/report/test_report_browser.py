"""The page in a real browser: nothing is blocked, nothing is asked for, the label is seen."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from metastra.report.cohort_html import write_cohort_page
from metastra.report.report_page import render_report
from metastra.report.wording import RESEARCH_USE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run "
    "--disable-component-update --disable-sync --remote-debugging-pipe --window-size=1280,1000"
)
SEEN = """(() => {
  const found = [...document.querySelectorAll('.label')].filter(e => {
    const box = e.getBoundingClientRect();
    const top = document.elementFromPoint(box.x + 20, box.y + box.height / 2);
    return e.innerText.includes(%s) && box.height > 10 && top === e;
  });
  return JSON.stringify({
    seen: found.length,
    wide: document.documentElement.scrollWidth <= window.innerWidth,
    styled: getComputedStyle(document.querySelector('table')).borderCollapse,
    figures: [...document.querySelectorAll('figure svg')].map(
      s => s.getBoundingClientRect().height),
  });
})()"""


class Browser:
    """A headless Chromium that is spoken to over a pipe."""

    def __init__(self, profile: str) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        command = (
            f"exec {CHROMIUM} {FLAGS} --user-data-dir={profile} 3<&{to_browser} 4>&{from_browser}"
        )
        self.process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        os.set_blocking(self._read, False)
        self._buffer, self._number = b"", 0
        self.events: list[dict] = []

    def close(self) -> None:
        """End the browser."""
        os.close(self._write)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._read)

    def call(self, method: str, session: str = "", **parameters) -> dict:
        """Send a command and wait for its answer; everything else is kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._until(lambda item: item.get("id") == self._number)["result"]

    def wait_for(self, method: str) -> dict:
        """Wait for an event."""
        return self._until(lambda item: item.get("method") == method)

    def _until(self, wanted) -> dict:
        for item in list(self.events):
            if wanted(item):
                return item
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                self._buffer += os.read(self._read, 1 << 20)
            except BlockingIOError:
                time.sleep(0.02)
            while b"\0" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\0")
                self.events.append(json.loads(line))
                if wanted(self.events[-1]):
                    return self.events[-1]
        raise TimeoutError("the browser does not answer")


@pytest.fixture
def browser(tmp_path) -> Iterator[Browser]:
    """A browser with an empty profile."""
    opened = Browser(str(tmp_path / "profile"))
    yield opened
    opened.close()


def _open(browser: Browser, path) -> tuple[str, list[str], list[str]]:
    """Load a file; give the session, the complaints and the addresses that were asked for."""
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Log", "Network", "Page", "Runtime"):
        browser.call(f"{domain}.enable", session)
    browser.call("Page.navigate", session, url=path.as_uri())
    browser.wait_for("Page.loadEventFired")
    browser.call("Runtime.evaluate", session, expression="1")
    complaints, asked = [], []
    for event in browser.events:
        parameters = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            complaints.append(parameters["entry"]["text"])
        elif event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            complaints.append(json.dumps(parameters))
        elif event.get("method") == "Network.requestWillBeSent":
            asked.append(parameters["request"]["url"])
    return session, complaints, asked


def test_the_page_opens_without_a_complaint_and_without_a_request(page, browser, tmp_path):
    """Nothing in the console, no request but for the file itself, all figures drawn."""
    path = tmp_path / "cohort.html"
    write_cohort_page(page, path)

    session, complaints, asked = _open(browser, path)
    expression = SEEN % json.dumps(RESEARCH_USE)
    answer = browser.call("Runtime.evaluate", session, expression=expression)
    state = json.loads(answer["result"]["value"])

    assert complaints == []
    assert asked == [path.as_uri()]
    assert state["seen"] == 1
    assert state["wide"]
    assert state["styled"] == "collapse"
    assert len(state["figures"]) == 6
    assert min(state["figures"]) > 60


def test_the_report_opens_on_a_telephone_too(report, browser, tmp_path):
    """At both widths: nothing is asked for, no side scrolling, every picture is decoded."""
    path = tmp_path / "index.html"
    path.write_text(render_report(report))

    session, complaints, asked = _open(browser, path)
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:image/jpeg")] == [path.as_uri()]
    for width in (400, 1280):
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            session,
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        expression = (
            "JSON.stringify([document.documentElement.scrollWidth <= window.innerWidth, "
            "[...document.querySelectorAll('img')].map(i => (i.loading = 'eager', i.decode(), "
            "i.naturalWidth > 0))])"
        )
        answer = browser.call("Runtime.evaluate", session, expression=expression)
        narrow, decoded = json.loads(answer["result"]["value"])
        assert narrow, width
        assert len(decoded) == 4


def test_the_policy_stops_what_should_not_be_there(page, browser, tmp_path):
    """With a script, a style and a picture slipped in, each is blocked and complained about."""
    path = tmp_path / "cohort.html"
    write_cohort_page(page, path)
    slipped = (
        "<script>document.title = 'run'</script><p style='color: red'>x</p>"
        "<img src='http://127.0.0.1:9/x.png'>"
    )
    path.write_text(path.read_text().replace("</main>", f"{slipped}</main>"))

    session, complaints, asked = _open(browser, path)
    title = browser.call("Runtime.evaluate", session, expression="document.title")

    assert len(complaints) == 3
    assert all("Content Security Policy" in text for text in complaints)
    assert title["result"]["value"] != "run"
    assert asked in ([path.as_uri()], [path.as_uri(), "http://127.0.0.1:9/x.png"])


def test_the_label_is_on_every_printed_sheet(page, browser, tmp_path):
    """Printed as PDF: each sheet carries the label, and the tables under the figures are open."""
    pdftotext = shutil.which("pdftotext")
    if pdftotext is None:
        pytest.skip("no pdftotext on this machine")
    path, pdf = tmp_path / "cohort.html", tmp_path / "cohort.pdf"
    write_cohort_page(page, path)

    session, _, _ = _open(browser, path)
    printed = browser.call("Page.printToPDF", session, preferCSSPageSize=True)
    pdf.write_bytes(base64.b64decode(printed["data"]))
    text = subprocess.run(
        [pdftotext, "-layout", pdf, "-"], capture_output=True, text=True, check=True
    ).stdout
    sheets = text.rstrip("\f\n").split("\f")

    assert len(sheets) > 5
    assert all(RESEARCH_USE in sheet for sheet in sheets)
    assert text.count("Numbers of this figure") == 6
    assert "Censored so far" in text
