"""A real server and a real browser for walk-throughs: start, sign in, click, type, wait, and the time of each step.

    with serving(home, sign_in=True) as url, browsing(url, token=token, shots=folder) as visit:
        visit.open("intake")
        with visit.step("verify 35 licences"):
            visit.press("Verify 35 licences")
            visit.see("35 licences verified")
    print(visit.report())

Times are the browser's own (`performance.timeOrigin + performance.now()`), from before the first act of a step until what
it waits for is drawn and the script of the page has ended. A script error of the page, or a panel that says a view could
not be drawn, ends a walk-through.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
NOW = "performance.timeOrigin + performance.now()"
IDLE = """() => { const app = document.querySelector('.stApp');
  return app && app.getAttribute('data-test-script-state') === 'notRunning' && !document.querySelector('[data-testid=stSkeleton]'); }"""
PATIENCE = 120_000
"""Milliseconds that a step waits for what it expects."""


@contextmanager
def serving(home: str | Path, *, sign_in: bool = False, environment: dict[str, str] | None = None) -> Iterator[str]:
    """`strata ui` over a home on a free port; its address. sign_in: it asks for a token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ui.cli.main", "--home", str(home), "ui", "--port", str(port)]
    given = {**os.environ, "STRATA_UI_SIGN_IN": "1" if sign_in else "0", **(environment or {})}
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url, server, Path(log.name))
            yield url
        finally:
            server.terminate()
            server.wait(20)


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the web server did not start: {log.read_text(errors='replace')[-600:]}")


class Visit:
    """One browser tab and the steps taken in it."""

    def __init__(self, page: Any, url: str, shots: Path | None) -> None:
        self.page, self.url, self.shots = page, url, shots
        self.steps: list[tuple[str, float]] = []
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(PATIENCE)

    def open(self, path: str = "") -> None:
        """Go to a page and wait until it is drawn."""
        self.page.goto(f"{self.url}/{path.lstrip('/')}")
        self.page.wait_for_selector(".sx-live > *, .sx-static > *")
        self.settle()

    def settle(self) -> None:
        """Wait until the script of the page has ended and no part is being redrawn."""
        self.page.wait_for_function(IDLE)
        self.page.wait_for_timeout(120)  # a click that is on its way to the server starts the script only then
        self.page.wait_for_function(IDLE)

    def press(self, name: str, *, exact: bool = False) -> None:
        """Click a button, or what acts as one, by its words."""
        found = self.page.get_by_role("button", name=name, exact=exact)
        found.first.wait_for(state="visible")
        self.page.wait_for_function("(el) => !el.disabled", arg=found.first.element_handle())
        found.first.click()

    def link(self, name: str, *, exact: bool = False) -> None:
        """Follow a link by its words."""
        self.page.get_by_role("link", name=name, exact=exact).first.click()

    def click(self, selector: str) -> None:
        self.page.locator(selector).first.click()

    def type(self, label: str, text: str, *, enter: bool = True) -> None:
        """Fill the input with this label."""
        box = self.page.locator(f"input[aria-label^='{label}'], textarea[aria-label^='{label}']").first
        box.fill(text)
        if enter:
            box.press("Enter")

    def choose(self, label: str, option: str) -> None:
        """Choose in a select box by typing."""
        box = self.page.locator(f"input[role=combobox][aria-label^='{label}']").first
        box.click()
        box.fill(option)
        self.page.get_by_role("option", name=option, exact=False).first.click()

    def check(self, name: str, on: bool = True) -> None:
        """Tick or untick a box of ours by its label."""
        box = self.page.get_by_role("checkbox", name=name, exact=False).first
        if (box.get_attribute("aria-checked") == "true") != on:
            box.click()

    def see(self, text: str) -> None:
        """Wait for words on the page, and until it is drawn."""
        self.page.get_by_text(text, exact=False).first.wait_for(state="visible")
        self.settle()

    def text(self) -> str:
        return self.page.locator("[data-testid=stMain]").inner_text()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done and waited for inside; afterwards take a picture and look for broken views."""
        began = self.page.evaluate(NOW)
        yield
        self.settle()
        self.steps.append((name, self.page.evaluate(NOW) - began))
        if self.shots is not None:
            self.shot(f"{len(self.steps):02d}-{'-'.join(name.split())[:48]}")
        if self.errors:
            raise AssertionError(f"{name}: a script of the page failed: {self.errors[0]}")
        if "This view could not be drawn" in self.text():
            raise AssertionError(
                f"{name}: a view could not be drawn: {self.page.locator('.sx-note.bad').first.inner_text()}"
            )

    def shot(self, name: str) -> Path:
        assert self.shots is not None
        self.shots.mkdir(parents=True, exist_ok=True)
        path = self.shots / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def report(self) -> str:
        """The steps with their milliseconds."""
        width = max((len(name) for name, _ in self.steps), default=0)
        return "\n".join(f"{name:<{width}}  {spent:>8,.0f} ms" for name, spent in self.steps)


@contextmanager
def browsing(
    url: str, *, token: str | None = None, theme: str = "light", width: int = 1360, height: int = 900, shots: str | Path | None = None
) -> Iterator[Visit]:  # fmt: skip
    """Headless Chromium on a server; with a token it signs in first."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
        visit = Visit(context.new_page(), url, Path(shots) if shots else None)
        try:
            if token is not None:
                visit.page.goto(f"{url}/sign-in")
                visit.page.locator("input[name=token]").fill(token)
                visit.page.locator("input[name=token]").press("Enter")
                visit.page.wait_for_selector(".sx-who", timeout=30_000)
            yield visit
        finally:
            context.close()
            browser.close()
