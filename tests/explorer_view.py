"""What the browser tests of the explorer ask a page for, and how they move it."""

import base64
import io

import numpy as np
from PIL import Image

READY = "main[aria-busy=false]"
PANELS = ("input", "reconstruction", "map", "mask", "overlay")


def ready(page):
    page.wait_for_selector(READY)
    return page


def until(page, holds, argument=None):
    """Wait until a JavaScript expression or function holds; the page's policy forbids Playwright's own way, by eval."""
    for _ in range(250):
        if page.evaluate(holds, argument):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never: {holds} ({argument}) at {page.url}")


def shown_value(page):
    """Dice, or the share of pixels above the threshold, as the page has computed it."""
    return float(page.locator("#value").get_attribute("value"))


def picture(page, panel):
    """What a panel shows, as a PNG in base64."""
    return page.evaluate("(id) => document.getElementById(id).toDataURL()", f"{panel}-picture")


def pixels(page, panel):
    """The (H, W, 3) colours of a panel."""
    png = base64.b64decode(picture(page, panel).split(",")[1])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def pictures(page):
    """What each panel shows, to be compared."""
    return {panel: picture(page, panel) for panel in PANELS}


def go(page, **state):
    """Go to a state by the address, as a link does."""
    page.evaluate("(hash) => { location.hash = hash; }", "&".join(f"{key}={value}" for key, value in state.items()))
    until(page, "location.hash.includes('opacity=')")  # the page has drawn it, and written its own address
    return ready(page)


def slice_rows(page, store):
    """The rows of the store that the page shows, by its options."""
    names = store.manifest["slice_id"].tolist()
    texts = page.locator("#slice option").all_text_contents()
    return [next(row for row, name in enumerate(names) if text.startswith(f"{name},")) for text in texts]


def cell(page, name):
    """The number of a score of this slice, as an element; of what is not there, the cell."""
    found = page.locator(f'#scores tr[data-score="{name}"] td').first
    return found.locator("data") if found.locator("data").count() else found


def score(page, name):
    """A score of this slice with all its digits, as text; "-" where there is none."""
    found = cell(page, name)
    return found.get_attribute("value") or found.text_content()


def limit(page):
    """The threshold with all its digits."""
    return float(page.locator("#threshold-number").get_attribute("title"))


def at(**values):
    """A condition for `until`: the address says that the setting has these values, and no others."""
    said = "&".join(["common=[01]", *(f"{name}={value}" for name, value in values.items())])
    return f"/{said}$/.test(location.hash)"
