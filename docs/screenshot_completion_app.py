"""Takes docs/images/completion_app.png of a running examples/completion_app/server.py.

    python examples/completion_app/server.py &
    python docs/screenshot_completion_app.py [--url http://127.0.0.1:8000]

Needs selenium, chromium and chromedriver.
"""

import argparse
import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

SEARCHES = ["folk music", "church music"]
TYPED = "or"


def start_browser(width, height, scheme="light"):
    """A headless browser whose page has this size in CSS pixels, two of the screen's to each."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    return browser


def use(browser, url, searches=SEARCHES, typed=TYPED):
    """Make some searches, type, and wait for suggestions."""
    browser.get(url)
    box = browser.find_element(By.ID, "query")
    for query in searches:
        box.send_keys(query, Keys.ENTER)
    box.send_keys(typed)
    WebDriverWait(browser, 10).until(
        lambda _: (
            [each.text for each in browser.find_elements(By.CSS_SELECTOR, "[role=option] b")]
            and browser.find_element(By.ID, "time").text
        )
    )


def main():
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    url = parser.parse_args().url
    browser = start_browser(800, 640)
    try:
        use(browser, url)
        browser.save_screenshot(Path(__file__).parent / "images" / "completion_app.png")
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
