"""Debian's Chromium, headless, driven by Selenium: pages are looked at as people do, without a network."""

from __future__ import annotations

import base64
import collections.abc
import contextlib
import json
import pathlib
import shutil
import typing

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service


class Browser:
    """``requests``: every address that was asked for; ``complaints``: what stands in the console."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: pathlib.Path, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", {"media": "screen", "features": [scheme]})
        self.driver.get(page.as_uri())

    def command(self, name: str, parameters: dict[str, typing.Any]) -> typing.Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    def script(self, text: str, *arguments: object) -> typing.Any:
        return self.driver.execute_script(text, *arguments)

    def picture(self, whole: bool = True) -> bytes:
        parameters: dict[str, typing.Any] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.command("Page.getLayoutMetrics", {})["cssContentSize"]
            parameters["clip"] = {
                "x": 0,
                "y": 0,
                "width": size["width"],
                "height": size["height"],
                "scale": 1,
            }
        return base64.b64decode(self.command("Page.captureScreenshot", parameters)["data"])

    def printed(self) -> bytes:
        self.command("Emulation.setEmulatedMedia", {"media": "", "features": []})
        return base64.b64decode(self.command("Page.printToPDF", {"preferCSSPageSize": True})["data"])

    def requests(self) -> list[str]:
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


def _started(options: Options) -> webdriver.Chrome:
    """Selenium looks for a free port and lets it go before chromedriver takes it: another may come in between."""
    program = shutil.which("chromedriver") or "/usr/bin/chromedriver"
    for _ in range(2):
        with contextlib.suppress(WebDriverException):
            return webdriver.Chrome(options, Service(program))
    return webdriver.Chrome(options, Service(program))


@contextlib.contextmanager
def browser(folder: pathlib.Path) -> collections.abc.Iterator[Browser]:
    """``folder``: for the browser's own files. Everything that it started ends with it."""
    options = Options()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        f"--user-data-dir={folder}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = _started(options)
    try:
        driver.set_page_load_timeout(240)
        driver.get("about:blank")
        for log in ("performance", "browser"):
            driver.get_log(log)  # of Chromium's own first page
        yield Browser(driver)
    finally:
        driver.quit()
