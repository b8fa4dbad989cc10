"""Takes the pictures of docs/screenshots from a real demo: every page, light and dark.

python scripts/take_screenshots.py              # runs the demo to its end first (some minutes)
python scripts/take_screenshots.py --home .demo # pictures of runs that are there already
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.types import RunInfo
from runvitals.up import Together

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "screenshots"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTLE_MS = 6_000
"""Long enough for the first data and two refreshes."""


def main() -> int:
    """Takes all pictures; 0 where each was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="folder of a finished demo; without it the demo runs first")
    parser.add_argument("--width", type=int, default=1440, help="width of the window in pixels")
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder for the pictures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    home = arguments.home
    if home is None:
        home = Path(tempfile.mkdtemp(prefix="runvitals-pictures-"))
        subprocess.run(
            [sys.executable, "-m", "runvitals", "demo", "--once", "--home", str(home), "--port", "0"], check=True
        )
    with tempfile.TemporaryDirectory() as empty, browser() as chromium:
        take(chromium, Settings.from_environment({}, home=home.absolute()), arguments.out, arguments.width)
        take(chromium, Settings.from_environment({}, home=Path(empty)), arguments.out, arguments.width)
    return 0


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    path = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "find_browser.py")], capture_output=True, text=True, check=True
    ).stdout.strip()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


def take(chromium: Browser, settings: Settings, out: Path, width: int) -> None:
    """Pictures of every page of one home; of the empty page where it holds no run."""
    found = open_store(settings.store).runs() if (settings.home / "runvitals.db").exists() else []
    with Together(settings, host="127.0.0.1", port=0) as together:
        for scheme in ("light", "dark"):
            page = chromium.new_page(viewport={"width": width, "height": 960}, color_scheme=scheme)
            for name, query in pages(found).items():
                picture(page, f"{together.address}{query}", out / f"{name}-{scheme}.png")
            page.close()
        together.wait(_set())


def pages(found: list[RunInfo]) -> dict[str, str]:
    """Picture name → path and query."""
    if not found:
        return {"empty": "/"}
    ids = {run.name: run.id for run in found}

    def named(*words: str) -> str:
        return next((ids[name] for name in sorted(ids) if all(word in name for word in words)), found[0].id)

    compared = ",".join((named("dpo", "healthy"), named("dpo", "shuffled"), named("ppo", "healthy")))
    return {
        "runs": "/",
        "run-dpo": f"/run?run={named('dpo', 'shuffled')}",
        "run-ppo": f"/run?run={named('ppo', 'no-kl')}",
        "run-sft": f"/run?run={named('sft', 'healthy')}",
        "compare": f"/compare?compare={compared}",
        "alerts": "/alerts",
    }


def picture(page: Page, url: str, path: Path) -> None:
    """Opens the page, lets it settle, and takes it whole."""
    page.goto(url)
    page.wait_for_timeout(SETTLE_MS)
    height = page.evaluate(
        "() => Math.max(...[...document.querySelectorAll('[data-testid=stMain], section, body')].map(e => e.scrollHeight))"
    )
    page.set_viewport_size({"width": page.viewport_size["width"], "height": min(max(int(height), 700), 2600)})
    page.wait_for_timeout(1_500)
    page.screenshot(path=str(path))
    page.set_viewport_size({"width": page.viewport_size["width"], "height": 960})
    print(path.name)


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


if __name__ == "__main__":
    sys.exit(main())
