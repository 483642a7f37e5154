"""A real chromium, headless and offline, that renders a page and gives back its DOM."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def rendered(page: Path, *, width: int = 1280, seconds: int = 120) -> str:
    """Open a local page, let its scripts run, and give the DOM as HTML; skip without chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not on PATH; apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium,
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={width},1200",
            "--virtual-time-budget=5000",
            "--dump-dom",
            page.resolve().as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=True)
    return done.stdout.decode("utf-8")


def sideways(page: Path, folder: Path, *, width: int) -> int:
    """Give by how many pixels a page is wider than a window of `width`, as a telephone has it.

    Chromium's own windows are at least 500 pixels wide, so the page stands in a frame.
    """
    frame = folder / "frame.html"
    source = page.read_text(encoding="utf-8").replace("&", "&amp;").replace('"', "&quot;")
    frame.write_text(
        f'<meta charset="utf-8"><iframe style="width:{width}px;height:800px;border:0"'
        f' srcdoc="{source}"></iframe><output></output><script>'
        'const frame=document.querySelector("iframe");frame.addEventListener("load",()=>{'
        "const root=frame.contentDocument.documentElement;"
        'document.querySelector("output").textContent="wider by "'
        f"+(root.scrollWidth-{width});frame.remove()}})</script>",
        encoding="utf-8",
    )
    found = rendered(frame)
    return int(found.split("<output>wider by ", 1)[1].split("<", 1)[0])
