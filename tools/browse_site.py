"""Reads the site of `make docs` in a headless Chromium, as a person would: python -m tools.browse_site

Every page, on a desk and on a phone: no error on the console, nothing loaded from elsewhere, no dead link, nothing
wider than the screen. The reference has every public name, and the search finds a method by its name. Screenshots to
look at are left in build/screenshots.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urldefrag

PROJECT = Path(__file__).resolve().parents[1]
SITE = PROJECT / "build" / "site"
SCREENSHOTS = PROJECT / "build" / "screenshots"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SHOWN = ("index.html", "tutorials/tickets/index.html", "coming-from/index.html", "reference/fastimap/index.html")
SOUGHT = "fetch_iter"
# What is wider than the screen and can't be scrolled by itself.
TOO_WIDE = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
LINKS = """() => [...document.querySelectorAll('a[href]')].map(a => a.href)"""
TARGETS = """() => [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name)"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Give the address of a server for the files of a directory, on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def address_of(page: str) -> str:
    return page.removesuffix("index.html")


class Reader:
    """Reads pages in one window, and notes what is wrong with them."""

    def __init__(self, browser: Any, base: str, viewport: dict[str, int]) -> None:
        self.base = base
        self.window = browser.new_page(viewport=viewport)
        self.window.set_default_timeout(120_000)  # ms: on a machine that does other things too
        self.problems: list[str] = []
        self.links: dict[str, set[str]] = {}
        self.targets: dict[str, set[str]] = {}
        self._page = ""
        self.window.on("console", self._said)
        self.window.on("pageerror", lambda error: self.note(f"error: {error}"))
        self.window.on("requestfailed", self._not_loaded)
        self.window.on("request", self._look_at)

    def _look_at(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.note(f"loads from elsewhere: {request.url}")

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.note(f"console: {message.text}")

    def _not_loaded(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # which is what becomes of it when the next page is asked for
            self.note(f"not loaded: {request.url} ({request.failure})")

    def note(self, what: str) -> None:
        self.problems.append(f"{self._page}: {what}")

    def read(self, page: str) -> None:
        self._page = page
        self.window.goto(self.base + address_of(page), wait_until="load")
        self.links[page] = set(self.window.evaluate(LINKS))
        self.targets[page] = set(self.window.evaluate(TARGETS))
        if (wide := self.window.evaluate(TOO_WIDE)) > 0:
            self.note(f"{wide} pixels wider than {self.window.viewport_size['width']}")

    def shoot(self, page: str, name: str) -> None:
        self._page = page
        self.window.goto(self.base + address_of(page), wait_until="load")
        self.window.screenshot(path=SCREENSHOTS / f"{name}.png")

    def dead_links(self) -> Iterator[str]:
        for page, links in sorted(self.links.items()):
            for link in sorted(links):
                if not link.startswith(self.base):
                    continue
                where, anchor = urldefrag(unquote(link.removeprefix(self.base)))
                target = f"{where}index.html" if not where or where.endswith("/") else where
                if not (SITE / target).is_file():
                    yield f"{page}: dead link: /{where}"
                elif anchor and target in self.targets and anchor not in self.targets[target]:
                    yield f"{page}: no such place: /{where}#{anchor}"

    def missing_names(self) -> Iterator[str]:
        """Public names that the reference has no place for; but for modules, and the bits of rows, the parser's."""
        for page, places in sorted(self.targets.items()):
            folder, _, name = page.removesuffix("/index.html").partition("/")
            if folder != "reference" or name == "fastimap":
                continue
            module = import_module(f"fastimap.{name}")
            shown = {place.rpartition(".")[2] for place in places}
            for public in module.__all__:
                if public not in shown and not isinstance(getattr(module, public), (int, ModuleType)):
                    yield f"{page}: there is nothing about {public}"

    def search(self, word: str) -> None:
        """Seek a word as a person does, and go to the first result."""
        self._page = "the search"
        self.window.goto(self.base, wait_until="load")
        self.window.keyboard.press("f")  # the theme's key for it
        self.window.keyboard.type(word, delay=20)
        found = self.window.locator(".md-search-result__item").first.locator("a", has_text=word).first
        try:
            found.wait_for(state="visible")
        except Exception:  # playwright's TimeoutError
            self.note(f"the first that it finds for {word} does not name it")
            return
        self.window.screenshot(path=SCREENSHOTS / "search.png")
        found.click()
        self.window.wait_for_url(lambda url: urldefrag(url)[0] != self.base)
        if word not in self.window.locator("article").inner_text():
            self.note(f"what it finds for {word} leads to a page without it: {self.window.url}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chromium", help="the program; else the first of " + ", ".join(PROGRAMS))
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = arguments.chromium or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        print("browse: no Chromium here: tools/install-chromium, as root on Debian", file=sys.stderr)
        return 1
    pages = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    if "index.html" not in pages:
        print("browse: there is no site: make docs", file=sys.stderr)
        return 1
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    problems: list[str] = []
    with served(SITE) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for where, viewport in (("desk", DESK), ("phone", PHONE)):
            reader = Reader(browser, base, viewport)
            for page in pages:
                reader.read(page)
            for page in SHOWN:
                reader.shoot(
                    page, f"{where}-{page.removesuffix('index.html').replace('/', '-') or 'first'}".rstrip("-")
                )
            if viewport is DESK:
                problems += reader.dead_links()
                problems += reader.missing_names()
                reader.search(SOUGHT)
            problems += reader.problems
        browser.close()
    for problem in problems:
        print("browse:", problem, file=sys.stderr)
    if not problems:
        print(f"browse: {len(pages)} pages are well, on a desk and on a phone; look at {SCREENSHOTS}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
