"""Pages in headless Chromium: opened from disk, without a network, and watched."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from explorer_benchmark import ExplorerBenchmark
from explorer_view import ready

from stages.data.store import SliceStore

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: it needs rights that containers do not give. The others keep the browser itself from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Headless Chromium; without it, or without Playwright, the test is skipped.

    One a module, not one a session: while it runs, an event loop runs in this thread, which other tests might mind.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """A function that opens a file in a page of its own, offline.

    Its arguments: the file; `fragment`, with its #; `script`, run before the page's own; `expected`, what
    warnings hold that do not count; options of the browser's context.
    After the test no page may have asked for anything but its own file, shown a dialog, or had an error or a warning.
    """
    contexts, problems = [], []

    def open_page(path: Path, fragment: str = "", script: str | None = None, expected: Sequence[str] = (), **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        own = path.as_uri()

        def requested(request) -> None:
            if request.url.split("#")[0] != own and not request.url.startswith(("data:", "blob:")):
                problems.append(f"asked for {request.url}")

        def said(message) -> None:
            if message.type in ("error", "warning") and not any(text in message.text for text in expected):
                problems.append(f"console {message.type}: {message.text}")

        def asked(dialog) -> None:
            problems.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("request", requested)
        page.on("console", said)
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("dialog", asked)
        if script is not None:
            page.add_init_script(script)
        page.goto(own + fragment)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> ExplorerBenchmark:
    """A small benchmark with its explorer."""
    result = ExplorerBenchmark(tmp_path_factory.mktemp("explorer"))
    result.parameters = result.parameters | {"detection": {"difference": "plain"}}
    result.build()
    return result


@pytest.fixture(scope="module")
def store(benchmark) -> SliceStore:
    """Its test split."""
    return benchmark.store()


@pytest.fixture
def page(visit, benchmark):
    """Its explorer, drawn."""
    return ready(visit(benchmark.output))
