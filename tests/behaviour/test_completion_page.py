import asyncio
import time
from urllib.parse import parse_qs

import pytest
from completion_app import FOLLOWS, MARKUP, load, make_completer
from pages import NEEDS_BROWSER, Page, served, started_browser, webdriver

pytestmark = NEEDS_BROWSER


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


class CompletionPage(Page):
    """The page, once it has suggestions."""

    def __init__(self, browser, url):
        super().__init__(browser, url)
        self.wait(self.options)

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


@pytest.fixture(scope="module")
def running():
    """The application, and where it is served."""
    app = Slowed(load("app").create_app(make_completer()))
    with served(app) as url:
        yield app, url


@pytest.fixture(scope="module")
def browser():
    with started_browser() as browser:
        yield browser


@pytest.fixture
def page(browser, running):
    app, url = running
    app.seconds.clear()
    page = CompletionPage(browser, url)
    app.asked.clear()
    yield page
    assert browser.get_log("browser") == []


def test_every_keystroke_completes_what_is_typed(page, running):
    assert page.box("aria-expanded") == "true"
    for letter in "Cat":
        page.complete(letter)
    assert sorted(page.options()) == ["cat", "catalogue", "cathedral", "cats and dogs"]
    assert sorted(page.texts("[role=option] b")) == ["alogue", "hedral", "s and dogs"]
    assert running[0].asked == ["C", "Ca", "Cat"]
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


def test_a_late_answer_does_not_replace_a_newer_one(page, running):
    running[0].seconds["c"] = 0.5
    page.type("c")
    page.wait(lambda: "c" in running[0].asked)
    page.complete("ath")
    time.sleep(0.7)
    assert page.texts("[data-match=prefix]") == ["cathedral"]


def test_a_late_answer_does_not_open_a_closed_list(page, running):
    running[0].seconds["c"] = 0.5
    page.type("c")
    page.wait(lambda: "c" in running[0].asked)
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
    page.widths(width)
    page.type("x" * 100, webdriver.Keys.ENTER, "y z" * 30)
    page.wait(lambda: page.texts("#heading")[0].startswith("No completion"))
    widths = page.widths(width)
    page.restore_width()
    assert widths == [width, width]
