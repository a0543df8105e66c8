import asyncio
import json
import time
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
from pages import NEEDS_BROWSER, Page, served, started_browser, webdriver
from shop_app import ITEMS, MARKUP, load, make_shop

pytestmark = NEEDS_BROWSER

MEASURES = load("shop").MEASURES


class Slowed:
    """An application that lets answers for some baskets and items wait."""

    def __init__(self, app):
        self.app, self.seconds, self.asked = app, {}, []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
            if scope["path"] == "/recommend":
                message = await receive()
                key = ",".join(json.loads(message["body"])["basket"])
                receive = self._again(message, receive)
            else:
                key = query.get("item", [""])[0]
            self.asked.append((scope["path"], key))
            await asyncio.sleep(self.seconds.get((scope["path"], key), 0))
        await self.app(scope, receive, send)

    def _again(self, message, receive):
        messages = [message]

        async def receive_again():
            return messages.pop() if messages else await receive()

        return receive_again


class ShopPage(Page):
    """The shop, once it has recommendations."""

    def __init__(self, browser, url):
        super().__init__(browser, "about:blank")
        browser.get(url)
        self.wait(lambda: self.names("#recommended"))

    def names(self, part):
        return self.texts(f"{part} a")

    def notes(self, part):
        return self.texts(f"{part} li p")

    def press(self, label):
        """Click the first button with this label for screen readers."""
        self.find(f"[aria-label='{label}']")[0].click()

    def open(self, item):
        """Follow the link to an item, and wait for the answer."""
        self.browser.execute_script("location.hash = encodeURIComponent(arguments[0])", item)
        self.wait_for("#item", ITEMS[item])

    def focused(self):
        """The identifier of the focused element, or its label."""
        element = self.browser.switch_to.active_element
        return element.get_attribute("id") or element.get_attribute("aria-label")

    def choose(self, measure):
        self.find(f"#measures input[value={measure}]")[0].click()
        self.wait_for("#description", MEASURES[measure].description)


@pytest.fixture(scope="module")
def running():
    """The application, and where it is served."""
    app = Slowed(load("app").create_app(make_shop()))
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
    page = ShopPage(browser, url)
    app.asked.clear()
    yield page
    assert [each for each in browser.get_log("browser") if "404" not in each["message"]] == []


def test_an_empty_basket_has_bestsellers(page):
    assert page.texts("#recommended-title") == ["Bestsellers"]
    assert page.names("#recommended") == ["Lantern", "Candle", "Lantern", "Saucer"]
    assert set(page.notes("#recommended")) == {"Popular in the last two weeks"}
    assert page.texts("#item") == ["No item chosen"]
    assert page.texts("#related-part") == []
    assert page.texts("#size")[0].startswith("6")  # purchases and items


def test_an_item_has_related_items_with_reasons(page):
    page.open("10")
    page.wait_for("#related a", "Tea pot", "Saucer")
    assert page.texts("#item-note") == ["Item 10, bought by 10 customers"]
    assert page.notes("#related")[0].startswith("Bought by 10 of its 10 buyers; ")
    assert page.notes("#related")[0].endswith(" expected by chance")
    assert page.focused() == "item"


def test_the_times_of_all_answers_are_shown(page):
    page.open("10")
    page.find("#query")[0].click()
    for part, step in [("#related-time", "ranked"), ("#recommended-time", "explained in")]:
        page.wait(lambda part=part, step=step: step in "".join(page.texts(part)))
        assert page.texts(part)[0].endswith(("µs", "ms"))
    page.wait(lambda: "searched in" in "".join(page.texts("#search-time")))


def test_the_basket_changes_the_recommendations_as_it_fills(page, running):
    page.open("10")
    page.press("Add Tea cup to the basket")
    page.wait_for("#recommended a", "Tea pot", "Saucer")
    assert page.texts("#recommended-title") == ["Recommended with this basket"]
    assert set(page.notes("#recommended")) == {"Because the basket has Tea cup (100 %)"}
    assert page.texts("#basket-title") == ["Basket: 1 item"]
    assert page.texts("#item-button") == ["In basket"]
    page.open("14")
    page.press("Add Candle to the basket")
    page.wait(lambda: {"Lantern", "Tea pot"} <= set(page.names("#recommended")))
    assert page.texts("#basket a") == ["Tea cup", "Candle"]
    reasons = dict(zip(page.names("#recommended"), page.notes("#recommended"), strict=True))
    assert reasons["Tea pot"] == "Because the basket has Tea cup (100 %)"
    assert reasons[MARKUP] == "Because the basket has Candle (100 %)"
    assert [key for path, key in running[0].asked if path == "/recommend"] == ["10", "10,14"]


def test_an_emptied_basket_has_bestsellers_again(page):
    page.press("Add Candle to the basket")
    page.wait_for("#recommended-title", "Recommended with this basket")
    page.press("Remove Candle from the basket")
    page.wait_for("#recommended-title", "Bestsellers")
    assert page.texts("#basket li") == []
    assert page.texts("#basket-title") == ["Basket"]
    assert page.texts("#basket-note") == ["Empty. Add an item, and the recommendations change."]


@pytest.mark.parametrize("measure", MEASURES)
def test_the_measure_can_be_switched(page, measure, running):
    shop = make_shop()
    page.open("14")
    page.press("Add Candle to the basket")
    other = "cosine" if measure != "cosine" else "difference"
    page.choose(other)
    page.choose(measure)
    candle = shop.number_of["14"]
    expected = [shop.names[i] for i in shop.related(candle, measure, 6)]
    page.wait_for("#related a", *expected)
    expected = [shop.names[i] for i in shop.recommend([candle], measure, 6)]
    page.wait_for("#recommended a", *expected)
    page.wait(
        lambda: ("bestseller" in "".join(page.notes("#recommended"))) == (measure == "popular")
    )


def test_the_keyboard_alone_will_do(page):
    page.find("#query")[0].click()
    page.type("tea")
    page.wait(lambda: len(page.texts("[role=option]")) == 2)
    first, second = page.texts("[role=option]")
    for key, active in [
        (webdriver.Keys.DOWN, [first]),
        (webdriver.Keys.DOWN, [second]),
        (webdriver.Keys.UP, [first]),
        (webdriver.Keys.UP, []),
    ]:
        page.type(key)
        assert page.active() == active
    page.type(webdriver.Keys.DOWN, webdriver.Keys.ENTER)
    page.wait_for("#item", first.split("\n")[0])
    assert page.box("aria-expanded") == "false"
    page.type(webdriver.Keys.TAB, webdriver.Keys.ENTER)
    page.wait_for("#basket-title", "Basket: 1 item")
    # The button is disabled now: the focus is not lost.
    assert page.focused() == "basket-title"


def test_measures_are_switched_by_arrow_keys(page):
    page.find("#measures input:checked")[0].send_keys(webdriver.Keys.RIGHT)
    page.wait_for("#description", MEASURES["popular"].description)


def test_the_search_box_finds_and_closes(page):
    page.find("#query")[0].click()
    page.type("sacuer")
    page.wait_for("[role=option] span", "Saucer")
    page.type(webdriver.Keys.ESCAPE)
    assert page.texts("#panel") == []
    page.type(webdriver.Keys.ESCAPE, "zebra")
    page.wait_for("#heading", "No item is called “zebra”")
    assert page.box("aria-expanded") == "false"
    page.type(webdriver.Keys.ENTER)
    assert page.texts("#item") == ["No item chosen"]


def test_the_back_button_goes_to_the_item_before(page):
    page.open("10")
    page.open("14")
    page.browser.back()
    page.wait_for("#item", "Tea cup")
    page.browser.back()
    page.wait_for("#item", "No item chosen")


def test_a_link_to_an_item_can_be_opened(browser, page, running):
    page.browser.get("about:blank")
    page.browser.get(f"{running[1]}/#16%2Fa%26b%23c%20%3F")
    page.wait_for("#item", MARKUP)


def test_unknown_items_are_told(page):
    page.browser.execute_script("location.hash = 'nothing'")
    page.wait_for("#item-note", "No answer: no item has the id 'nothing'")
    assert page.texts("#item") == ["No such item"]
    assert page.texts("#related-part, #item-button button") == []


def test_markup_is_text(page):
    page.open("16/a&b#c ?")
    page.press(f"Add {MARKUP} to the basket")
    page.wait(lambda: MARKUP in "".join(page.notes("#recommended")))
    assert page.texts("#basket a") == [MARKUP]
    page.find("#query")[0].click()
    page.type("<b")
    page.wait_for("[role=option] span", MARKUP)
    page.type(webdriver.Keys.ENTER)
    page.wait_for("#item", MARKUP)
    assert page.find("[onmouseover], main b") == []


def test_a_late_answer_does_not_replace_a_newer_one(page, running):
    running[0].seconds["/related", "10"] = 0.5
    running[0].seconds["/recommend", "14"] = 0.5
    page.press("Add Candle to the basket")
    page.press("Remove Candle from the basket")
    page.browser.execute_script("location.hash = '10'")
    page.wait(lambda: ("/related", "10") in running[0].asked)
    page.open("14")
    time.sleep(0.7)
    assert page.texts("#item") == ["Candle"]
    assert page.texts("#recommended-title") == ["Bestsellers"]


def test_a_failure_is_told(page):
    page.browser.execute_script("window.fetch = () => Promise.reject(new Error('offline'))")
    page.press("Add Candle to the basket")
    page.wait_for("#recommended-note", "No answer: offline")
    assert page.names("#recommended") == []
    assert page.texts("#basket a") == ["Candle"]
    page.find("#query")[0].click()
    page.wait_for("#heading", "No answer: offline")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    page.widths(width)
    page.open("16/a&b#c ?")
    page.press(f"Add {MARKUP} to the basket")
    page.wait(lambda: MARKUP in "".join(page.notes("#recommended")))
    page.find("#query")[0].click()
    page.type("y z" * 30)
    page.wait(lambda: "No item is called" in "".join(page.texts("#heading")))
    widths = page.widths(width, 4000)
    page.restore_width()
    assert widths == [width, width]


def test_every_control_has_a_name_and_headings_are_in_order(page):
    page.open("10")
    page.press("Add Tea cup to the basket")
    page.wait_for("#recommended-title", "Recommended with this basket")
    unnamed = page.browser.execute_script(
        "return [...document.querySelectorAll('button, a, input, [role=listbox]')].filter(each =>"
        " !(each.getAttribute('aria-label') || each.textContent.trim()"
        " || (each.labels && each.labels.length))).map(each => each.outerHTML)"
    )
    assert unnamed == []
    levels = page.browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3')].map(each => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
