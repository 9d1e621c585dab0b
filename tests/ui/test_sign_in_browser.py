"""Signing in in headless Chromium, at the page as `strata ui --sign-in` serves it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from catalog import Catalog
from catalog.testing import sentences, text_dataset
from ui.api.tokens import create, revoke

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium: apt-get install chromium"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
WAIT = 120_000


@pytest.fixture
def served(cat, tmp_path) -> Iterator[tuple[Catalog, str]]:
    text_dataset(cat, tmp_path, "web", sentences(30))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = os.environ | {"STRATA_HOME": str(cat.settings.home)}
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "ui.cli.main", "ui", "--port", str(port), "--sign-in"]
        server = subprocess.Popen(command, env=given, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while True:
                assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2)
                    break
                except OSError:
                    time.sleep(0.2)
            yield cat, f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def test_sign_in_reload_revocation_and_sign_out(served):
    cat, home = served
    secret, other = create(cat, "ada", "write"), create(cat, "rea", "read")
    view = "/dataset?ref=web&tab=samples"
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=FLAGS)
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(WAIT)
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        page.goto(home + view)
        assert page.url.startswith(home + "/sign-in?next=")
        page.fill("#token", "strata_wrong")
        page.click("button")
        page.wait_for_selector("#said.bad")
        page.fill("#token", secret)
        page.keyboard.press("Enter")
        page.wait_for_selector(".sx-who >> text=may write")
        assert page.url == home + view
        [cookie] = [held for held in context.cookies() if held["name"].startswith("strata_")]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and secret not in cookie["value"]
        assert "strata_" not in page.evaluate("document.cookie")
        page.wait_for_selector(".sx-rows tbody tr")
        assert secret not in page.content() and not any(secret in url for url in sent)
        page.reload()
        page.wait_for_selector(".sx-who >> text=ada")
        page.wait_for_selector(".sx-rows tbody tr")
        revoke(cat, "ada")
        page.click("nav.sx-tabs >> text=Versions")
        page.wait_for_selector("[role=alert] >> text=Nothing was changed")
        assert page.locator(".sx-rows").count() == 0 and "tab=samples" in page.url
        page.click("button:has-text('Sign in again')")
        page.wait_for_selector("text=revoked or has expired")
        page.fill("#token", other)
        page.keyboard.press("Enter")
        page.wait_for_selector(".sx-who >> text=may read")
        assert page.url == home + view
        page.click("text=Sign out")
        page.wait_for_selector("text=You signed out")
        page.goto(home + view)
        assert "/sign-in" in page.url
        browser.close()
