"""Pages of the examples in a real browser: what the tests of the pages share."""

import shutil
import socket
import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("starlette", reason="starlette is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
errors = pytest.importorskip("selenium.common")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")

#: Marks of the tests that need a browser.
NEEDS_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not both installed"
    ),
]


@contextmanager
def served(app):
    """Serve an application, and yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@contextmanager
def started_browser():
    """Start a headless browser that keeps what its console says."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield browser
    browser.quit()


class Page:
    """The page as somebody sees it who has a keyboard."""

    #: Seconds until what is waited for must hold.
    seconds = 10

    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)

    def type(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def texts(self, selector):
        """What is to be read in each element that can be seen."""
        return [each.text for each in self.find(selector) if each.is_displayed()]

    def find(self, selector):
        return self.browser.find_elements("css selector", selector)

    def box(self, attribute):
        return self.find("#query")[0].get_attribute(attribute)

    def active(self):
        """The text of the option that the box declares active."""
        return self.texts(f"#{self.box('aria-activedescendant') or 'none'}[aria-selected=true]")

    def wait_for(self, selector, *texts):
        """Wait until this is what is to be read."""
        self.wait(lambda: self.texts(selector) == list(texts))

    def wait(self, condition):
        deadline = time.monotonic() + self.seconds
        while not self._holds(condition):
            assert time.monotonic() < deadline, self.texts("main")
            time.sleep(0.01)

    def _holds(self, condition):
        try:
            return condition()
        except errors.StaleElementReferenceException:  # replaced while it was read
            return False

    def widths(self, width, height=700):
        """The widths of the screen and of the page, on a screen of this size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        return self.browser.execute_script(
            "const page = document.documentElement; return [page.clientWidth, page.scrollWidth]"
        )

    def restore_width(self):
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
