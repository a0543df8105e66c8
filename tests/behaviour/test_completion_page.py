import asyncio
import shutil
import socket
import threading
import time
from urllib.parse import parse_qs

import pytest
from completion_app import FOLLOWS, MARKUP, load, make_completer

pytest.importorskip("starlette", reason="starlette is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
errors = pytest.importorskip("selenium.common")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not both installed"
    ),
]


class Slowed:
    """An application that notes which prefixes it is asked for, and lets some of them wait."""

    def __init__(self, app):
        self.app, self.seconds, self.asked = app, {}, []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/suggest":
            query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
            self.asked.append(query["prefix"][0])
            await asyncio.sleep(self.seconds.get(query["prefix"][0], 0))
        await self.app(scope, receive, send)


class Page:
    """The page as somebody sees it who has a keyboard."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)
        self.wait(self.options)

    def type(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def complete(self, typed):
        """Type, and wait for the answer to all that is in the box."""
        self.type(typed)
        script = (
            "return [...document.querySelectorAll('[role=option][data-match=prefix] span')]"
            ".map(each => each.firstChild.data.toLowerCase())"
        )
        expected = {self.box("value").lower()}
        self.wait(lambda: set(self.browser.execute_script(script)) == expected)

    def options(self):
        return self.texts("[role=option]")

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
        deadline = time.monotonic() + 10
        while not self._holds(condition):
            assert time.monotonic() < deadline, (self.options(), self.texts("main"))
            time.sleep(0.01)

    def _holds(self, condition):
        try:
            return condition()
        except errors.StaleElementReferenceException:  # replaced while it was read
            return False


@pytest.fixture(scope="module")
def served():
    """The application, and where it is served."""
    app = Slowed(load("app").create_app(make_completer()))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield app, f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, served):
    app, url = served
    app.seconds.clear()
    page = Page(browser, url)
    app.asked.clear()
    yield page
    assert browser.get_log("browser") == []


def test_every_keystroke_completes_what_is_typed(page, served):
    assert page.box("aria-expanded") == "true"
    for letter in "Cat":
        page.complete(letter)
    assert sorted(page.options()) == ["cat", "catalogue", "cathedral", "cats and dogs"]
    assert sorted(page.texts("[role=option] b")) == ["alogue", "hedral", "s and dogs"]
    assert served[0].asked == ["C", "Ca", "Cat"]
    assert page.texts("#time")[0].endswith(("µs", "ms"))


def test_other_matches_are_marked(page):
    page.complete("dog")
    assert page.options() == ["dog", "cats and dogs\ncontains it"]
    assert page.texts("[data-match=word] b") == ["cats and", "s"]
    page.type(webdriver.Keys.END, webdriver.Keys.BACKSPACE * 3, "cahtedral")
    page.wait_for("[role=option]", "cathedral\nsimilar")
    assert page.texts("[role=option] b") == []
    page.type(webdriver.Keys.DOWN, webdriver.Keys.ENTER)
    page.wait_for("#previous", "after: cathedral")


def test_a_chosen_suggestion_is_the_previous_query(page):
    page.complete("cathe")
    page.find("[role=option]")[0].click()
    page.wait_for("#heading", "Often next after “cathedral”")
    assert page.texts("#previous") == ["after: cathedral"]
    assert page.texts("#trail button") == ["cathedral"]
    assert page.box("value") == ""
    assert set(page.options()[:2]) == set(FOLLOWS["cathedral"])


@pytest.mark.parametrize(
    ("previous", "best"), [("churches", {"cathedral"}), ("pets", {"cat", "cats and dogs"})]
)
def test_the_previous_query_changes_the_suggestions(page, previous, best):
    page.type(previous, webdriver.Keys.ENTER)
    page.complete("cat")
    assert set(page.options()[: len(best)]) == best
    assert page.texts("#heading") == [f"Completions after “{previous}”"]


def test_the_keyboard_alone_will_do(page):
    page.complete("cat")
    first, second, *_, last = page.options()
    assert page.active() == []
    for key, active in [
        (webdriver.Keys.DOWN, [first]),
        (webdriver.Keys.DOWN, [second]),
        (webdriver.Keys.UP, [first]),
        (webdriver.Keys.UP, []),
        (webdriver.Keys.UP, [last]),
        (webdriver.Keys.DOWN, []),
        (webdriver.Keys.DOWN, [first]),
    ]:
        page.type(key)
        assert page.active() == active
    page.type(webdriver.Keys.ENTER)
    page.wait_for("#previous", f"after: {first}")


def test_escape_closes_the_list_and_then_empties_the_box(page):
    page.type("cat", webdriver.Keys.ESCAPE)
    assert page.options() == []
    assert (page.box("aria-expanded"), page.box("value")) == ("false", "cat")
    page.type(webdriver.Keys.DOWN)
    page.wait(lambda: len(page.options()) == 4)
    page.type(webdriver.Keys.ESCAPE, webdriver.Keys.ESCAPE)
    assert (page.box("aria-expanded"), page.box("value")) == ("false", "")


@pytest.mark.parametrize(
    "keys",
    [
        (webdriver.Keys.BACKSPACE,),
        (webdriver.Keys.SHIFT + webdriver.Keys.TAB, webdriver.Keys.SPACE),
    ],
)
def test_the_previous_query_can_be_forgotten(page, keys):
    before = page.options()
    page.type("cathedral", webdriver.Keys.ENTER)
    page.wait_for("#heading", "Often next after “cathedral”")
    for key in keys:
        page.type(key, webdriver.Keys.NULL)
    page.wait(lambda: page.options() == before)
    assert page.texts("#previous") == []
    assert page.texts("#trail button") == ["cathedral"]


def test_a_search_of_the_session_can_be_made_again(page):
    page.type("pets", webdriver.Keys.ENTER, "churches", webdriver.Keys.ENTER)
    page.wait_for("#trail button", "pets", "churches")
    page.find("#trail button")[0].click()
    page.wait_for("#heading", "Often next after “pets”")
    assert page.texts("#trail button") == ["pets", "churches", "pets"]


def test_no_completion(page):
    page.type("zebra")
    page.wait_for("#heading", "No completion of “zebra” is known")
    assert page.options() == []
    assert page.box("aria-expanded") == "false"
    page.type(webdriver.Keys.DOWN, webdriver.Keys.ENTER)
    page.wait_for("#previous", "after: zebra")


def test_markup_is_text(page):
    page.complete("<b ")
    assert page.options() == [MARKUP]
    page.type(webdriver.Keys.DOWN, webdriver.Keys.ENTER)
    page.wait_for("#previous", f"after: {MARKUP}")
    page.type("<i>typed</i>")
    page.wait_for("#heading", "No completion of “<i>typed</i>” is known")
    page.type(webdriver.Keys.ENTER)
    page.wait_for("#trail button", MARKUP, "<i>typed</i>")
    assert page.find("[onmouseover], main i") == []


def test_a_late_answer_does_not_replace_a_newer_one(page, served):
    served[0].seconds["c"] = 0.5
    page.type("c")
    page.wait(lambda: "c" in served[0].asked)
    page.complete("ath")
    time.sleep(0.7)
    assert page.texts("[data-match=prefix]") == ["cathedral"]


def test_a_late_answer_does_not_open_a_closed_list(page, served):
    served[0].seconds["c"] = 0.5
    page.type("c")
    page.wait(lambda: "c" in served[0].asked)
    page.type(webdriver.Keys.ESCAPE)
    time.sleep(0.7)
    assert page.options() == []


def test_a_failure_is_told(page):
    page.browser.execute_script("window.fetch = () => Promise.reject(new Error('offline'))")
    page.type("c")
    page.wait_for("#heading", "No answer: offline")
    assert page.options() == []


@pytest.mark.parametrize("width", [320, 1200])
def test_nothing_is_wider_than_the_screen(page, width):
    metrics = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 600}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.type("x" * 100, webdriver.Keys.ENTER, "y z" * 30)
    page.wait(lambda: page.texts("#heading")[0].startswith("No completion"))
    shown, whole = page.browser.execute_script(
        "const page = document.documentElement; return [page.clientWidth, page.scrollWidth]"
    )
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert (shown, whole) == (width, width)
