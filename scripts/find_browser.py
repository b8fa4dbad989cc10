"""Finds a Chromium for the browser tests and prints its path; `--install` gets one where none is found.

python scripts/find_browser.py            # where is it
python scripts/find_browser.py --install  # get it: from the system's packages as root, else by Playwright
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """The path of a Chromium: RUNVITALS_CHROMIUM, one on the PATH, or Playwright's own."""
    named = os.environ.get("RUNVITALS_CHROMIUM")
    if named:
        return named
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        bundled = playwright.chromium.executable_path
    return bundled if Path(bundled).exists() else None


def install() -> None:
    """Installs Chromium; raises CalledProcessError where neither way works."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True, stdout=subprocess.DEVNULL)
        return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def main() -> int:
    """Prints the browser's path; 1 where there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="install Chromium where none is found")
    arguments = parser.parse_args()
    path = find()
    if path is None and arguments.install:
        install()
        path = find()
    if path is None:
        print("No Chromium found. Install Debian's `chromium`, or run `playwright install chromium`,", file=sys.stderr)
        print("or set RUNVITALS_CHROMIUM to its path.", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
