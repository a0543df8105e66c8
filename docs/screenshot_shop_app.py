"""Takes docs/images/shop_app.png of a running examples/shop_app/server.py.

    python examples/shop_app/server.py &
    python docs/screenshot_shop_app.py [--url http://127.0.0.1:8000]

Needs selenium, pillow, chromium and chromedriver. The picture shows the times of the machine.
"""

import argparse
from io import BytesIO
from pathlib import Path

from PIL import Image
from screenshot_completion_app import start_browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ITEMS = ["paper chain kit 50's", "rabbit night light"]


class Shop:
    """A page of the shop in a browser."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)
        self.wait(lambda: self.text("#recommended"))

    def text(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector).text

    def wait(self, condition):
        WebDriverWait(self.browser, 30).until(lambda _: condition())

    def add(self, name):
        """Search for an item and put it into the basket."""
        box = self.browser.find_element(By.ID, "query")
        box.send_keys(name)
        self.wait(lambda: name in self.text("#options").lower().split("\n")[0])
        box.send_keys(Keys.ENTER)
        self.wait(lambda: self.text("#item").lower().startswith(name))
        self.browser.find_element(By.CSS_SELECTOR, "#item-button .add").click()
        self.wait(lambda: name in self.text("#recommended").lower())


def main():
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    url = parser.parse_args().url
    browser = start_browser(1000, 1000)
    try:
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        shop = Shop(browser, url)
        for name in ITEMS:
            shop.add(name)
        browser.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
        # Few colors, for a small file.
        picture = Image.open(BytesIO(browser.get_screenshot_as_png())).quantize(64)
        picture.save(Path(__file__).parent / "images" / "shop_app.png", optimize=True)
        print(shop.text("#related-time"), "|", shop.text("#recommended-time"))
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
