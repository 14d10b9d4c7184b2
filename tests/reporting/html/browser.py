"""A page as a reader sees it: Debian's Chromium without a window, driven through Selenium."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--proxy-server=127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
)
"""A browser that is alone: it keeps nothing, updates nothing, and reaches nothing but files."""

LUMINANCE = """
const [text, behind] = arguments;
const rgb = (color) => {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
return [rgb(text), rgb(behind)];
"""


class Browser:
    """One page after another."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._scheme: list[dict[str, str]] = []

    def open(
        self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True
    ) -> None:
        """Open a file as a fresh page of this size and theme, with or without scripts."""
        self.driver.get("about:blank")
        self.errors()
        self.requests()
        self._scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._tell("Emulation.setEmulatedMedia", media="", features=self._scheme)
        self._tell("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.driver.get(page.resolve().as_uri())

    def run(self, code: str, *arguments: Any) -> Any:
        """What JavaScript returns."""
        return self.driver.execute_script(code, *arguments)

    def errors(self) -> list[str]:
        """What the console has been told since the last call: errors, warnings, breaches of the page's policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def requests(self) -> list[str]:
        """The addresses asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if url != "about:blank"]

    def texts(self, selector: str) -> list[str]:
        """The text of every element that is to be seen."""
        return list(
            self.run(
                "return [...document.querySelectorAll(arguments[0])]"
                ".filter((e) => e.getClientRects().length).map((e) => (e.innerText ?? e.textContent).trim());",
                selector,
            )
        )

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def contrast(self, selector: str) -> float:
        """The ratio of the WCAG (2.2, section 1.4.3) between an element's text and what lies behind it."""
        colors = self.run(
            """
            let behind = document.querySelector(arguments[0]);
            const text = getComputedStyle(behind).color;
            const clear = (e) => ["rgba(0, 0, 0, 0)", "transparent"].includes(getComputedStyle(e).backgroundColor);
            while (clear(behind)) behind = behind.parentElement;
            return [text, getComputedStyle(behind).backgroundColor];
            """,
            selector,
        )
        one, other = (luminance(color) for color in self.run(LUMINANCE, *colors))
        return (max(one, other) + 0.05) / (min(one, other) + 0.05)

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.run("const e = document.scrollingElement; return e.scrollWidth - e.clientWidth;"))

    def pdf(self) -> bytes:
        """The page on paper."""
        printed = self._tell("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(printed["data"])

    def as_printed(self) -> None:
        """Style the page as paper would have it, until the next one is opened."""
        self._tell("Emulation.setEmulatedMedia", media="print", features=self._scheme)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A picture of the whole page, or of what is in the window."""
        taken = self._tell("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _tell(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)


def luminance(rgb: list[int]) -> float:
    """Relative luminance of sRGB, as the WCAG defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Chromium with an empty profile; raises `LookupError` where something that it needs is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not program or not chromedriver:
        raise LookupError("no browser: apt-get install chromium chromium-driver")
    try:
        from selenium import webdriver
    except ImportError:
        raise LookupError("no Selenium: pip install selenium") from None
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=chromedriver))
    driver.set_page_load_timeout(60)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, for the whole session."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(chromium(tmp_path_factory.mktemp("chromium")))
        except LookupError as error:
            pytest.skip(str(error))
        yield found
