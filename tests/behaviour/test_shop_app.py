import asyncio
import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from shop_app import FOLDER, ITEMS, MARKUP, load, make_shop

pytest.importorskip("httpx", reason="starlette's TestClient needs httpx")
testclient = pytest.importorskip("starlette.testclient", reason="starlette is not installed")

MEASURES = load("shop").MEASURES


@pytest.fixture(scope="module")
def shop():
    return make_shop()


@pytest.fixture(scope="module")
def app():
    return load("app")


@pytest.fixture(scope="module")
def client(app, shop):
    return testclient.TestClient(app.create_app(shop))


def related(client, item, **parameters):
    answer = client.get("/related", params={"item": item, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def recommended(client, basket, **members):
    answer = client.post("/recommend", json={"basket": basket, **members})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(items):
    return [item["id"] for item in items]


# ---- the shop ----


def test_related_items_are_those_of_the_recommender(client, shop):
    for item, measure, k in itertools.product(ITEMS, MEASURES, [1, 50]):
        found = related(client, item, measure=measure, k=k)
        expected = shop.recommenders[measure].related([shop.number_of[item]], k).labels[0]
        assert ids(found["related"]) == [shop.ids[i] for i in expected if i >= 0]
        assert found["item"]["name"] == ITEMS[item]


def test_the_evidence_is_counted_and_expected_as_the_measure_does(client, shop):
    """N and E give the relatedness of the measure as published."""
    histories = shop._buyers.toarray() > 0
    for item in ITEMS:
        number = shop.number_of[item]
        found = related(client, item, measure="published", k=50)
        assert found["item"]["buyers"] == histories[:, number].sum()
        others = [shop.number_of[each] for each in ids(found["related"])]
        scores = shop.recommenders["published"].related([number], 50).scores[0]
        for other, score, shown in zip(others, scores, found["related"], strict=False):
            both = (histories[:, number] & histories[:, other]).sum()
            buyers = histories[histories[:, number]]
            share = histories[:, other].sum() / histories.sum()
            expected = (1 - (1 - share) ** (buyers.sum(axis=1) - 1)).sum()
            assert shown["both"] == both
            assert shown["expected"] == pytest.approx(expected, abs=0.051)
            assert (both - expected) / np.sqrt(expected) == pytest.approx(score, rel=1e-5)


def test_the_basket_changes_the_recommendations(client):
    tea = recommended(client, ["10"])
    assert ids(tea["recommended"])[:2] == ["11", "12"]
    assert "13" not in ids(tea["recommended"])
    both = recommended(client, ["10", "14"], k=50)
    assert {"11", "12", "13"} <= set(ids(both["recommended"]))
    assert not {"10", "14"} & set(ids(both["recommended"]))


def test_reasons_add_up(client, shop):
    for measure, basket in itertools.product(MEASURES, [["10"], ["10", "14"], ["10", "12", "14"]]):
        for item in recommended(client, basket, measure=measure, k=50)["recommended"]:
            shares = [reason["share"] for reason in item["reasons"]]
            assert sum(shares) + item["popularity"] == pytest.approx(1, abs=1e-6)
            assert shares == sorted(shares, reverse=True)
            assert set(ids(item["reasons"])) <= set(basket)
            assert (item["popularity"] > 0) <= (measure == "popular")


def test_only_the_largest_reasons_are_told(client):
    basket = ["10", "11", "14", "15", "16/a&b#c ?"]
    items = recommended(client, basket, measure="difference", k=50)["recommended"]
    assert items
    assert max(len(item["reasons"]) for item in items) <= 3


def test_an_empty_basket_gets_bestsellers(client):
    for measure in MEASURES:
        items = recommended(client, [], measure=measure, k=3)["recommended"]
        # What was bought in the last two weeks, by number of customers.
        assert ids(items) == ["13", "14", "15"]
        assert [(item["reasons"], item["popularity"]) for item in items] == [([], 1.0)] * 3


def test_an_item_without_related_ones(client):
    assert related(client, "17")["related"] == []
    assert recommended(client, ["17"])["recommended"] == []
    # Popularity recommends anyway.
    assert recommended(client, ["17"], measure="popular")["recommended"]


def test_search_finds_items_by_any_word_of_the_name(client):
    def found(text, **parameters):
        answer = client.get("/search", params={"text": text, **parameters})
        assert answer.status_code == 200
        return ids(answer.json()["items"])

    assert set(found("tea")) == {"10", "11"}
    assert found("pot") == ["11"]
    assert found("sacuer") == ["12"]
    assert found("lant") == ["13", "15"]  # of one name, most bought first
    assert found("lant", k=1) == ["13"]
    assert found("<b") == ["16/a&b#c ?"]
    assert found("zebra") == []
    assert len(found("", k=50)) == len(ITEMS)


def test_every_parameter_but_the_item_may_be_left_out(client):
    assert related(client, "10") == {
        **related(client, "10", measure="corrected", k=6),
        "microseconds": pytest.approx({"rank": 0, "explain": 0}, abs=1e7),
    }
    whole = recommended(client, [], measure="corrected", k=6)["recommended"]
    assert client.post("/recommend", json={}).json()["recommended"] == whole
    assert client.get("/search").json()["items"]


def test_times_are_told(client):
    for answer, steps in [
        (client.get("/search", params={"text": "tea"}).json(), {"search"}),
        (related(client, "10"), {"rank", "explain"}),
        (recommended(client, ["10"]), {"rank", "explain"}),
    ]:
        assert set(answer["microseconds"]) == steps
        assert all(0 < time < 1e7 for time in answer["microseconds"].values())


def test_measures_are_described(client, shop):
    answer = client.get("/measures").json()
    assert [each["id"] for each in answer["measures"]] == list(MEASURES)
    assert all(each["title"] and each["description"] for each in answer["measures"])
    assert (answer["items"], answer["purchases"]) == (len(ITEMS), shop.n_purchases)


# ---- bad requests ----


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("related", "item must be given"),
        ("related?item=10&k=0", "k must be a whole number from 1 to 50, got 0"),
        ("related?item=10&k=51", "from 1 to 50"),
        ("related?item=10&k=1.0", "got '1.0'"),
        ("related?item=10&k=" + "9" * 9000, "k must be"),
        ("related?item=10&measure=cosines", "measure must be one of difference, cosine"),
        ("related?item=10&item=11", "item must be given once"),
        ("related?itm=10", "item, measure, k; got 'itm'"),
        ("search?text=" + "a" * 1001, "text must have at most 1000 characters, got 1001"),
        ("search?query=a", "text, k; got 'query'"),
        ("search?k=x", "k must be"),
    ],
)
def test_bad_parameters_are_refused(client, path, message):
    refused(client.get(f"/{path}"), 400, message)


def refused(answer, status, message):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    assert message in answer.json()["error"]
    assert len(answer.json()["error"]) < 200


@pytest.mark.parametrize("item", ["99", "", "10 ", "x" * 5000, "\x00", "%", "é"])
def test_unknown_items_are_not_found(client, item):
    refused(client.get("/related", params={"item": item}), 404, f"id {item[:40]!r}")
    refused(client.post("/recommend", json={"basket": ["10", item]}), 404, f"id {item[:40]!r}")


def test_a_lone_surrogate_is_an_unknown_item(client):
    body = b'{"basket": ["\\ud800"]}'
    refused(client.post("/recommend", content=body), 404, "no item has the id '\\ud800'")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"basket=10",
        b'{"basket": ["10"]',
        b'{"basket": ["10"],}',
        b"\xff\xfe{}",
        b"[" * 10000,
        b'{"k": ' + b"9" * 5000 + b"}",
    ],
)
def test_bad_json_is_refused(client, body):
    refused(client.post("/recommend", content=body), 400, "the body must be JSON")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "the body must be a JSON object, got list"),
        (0, "the body must be a JSON object, got 0"),
        ({"basket": "10"}, "basket must be a list of ids of items, got '10'"),
        ({"basket": None}, "basket must be a list"),
        ({"basket": {"10": 1}}, "got dict"),
        ({"basket": [10]}, "which are strings; got 10"),
        ({"basket": [["10"]]}, "which are strings; got list"),
        ({"basket": ["10", "11", "10"]}, "each item once, got '10' more often"),
        ({"basket": [str(i) for i in range(101)]}, "at most 100 items, got 101"),
        ({"basket": [], "measure": ["cosine"]}, "measure must be one of"),
        ({"basket": [], "measure": None}, "measure must be one of"),
        ({"basket": [], "k": True}, "k must be a whole number from 1 to 50, got True"),
        ({"basket": [], "k": 6.0}, "got 6.0"),
        ({"basket": [], "k": -1}, "got -1"),
        ({"baskets": []}, "the members are basket, measure, k; got 'baskets'"),
    ],
)
def test_bad_members_are_refused(client, body, message):
    refused(client.post("/recommend", json=body), 400, message)


def test_huge_bodies_are_refused_before_they_have_arrived(client, app):
    sent = []

    def parts():
        for _ in range(1000):
            sent.append(1)
            yield b" " * 4096

    refused(client.post("/recommend", content=parts()), 413, f"at most {app.MAX_BODY} bytes")
    refused(client.post("/recommend", json={"basket": ["1" * 20000]}), 413, "the body must have")


def test_a_basket_may_be_as_large_as_is_said(client):
    basket = list(ITEMS)
    assert recommended(client, basket)["recommended"] == []


@pytest.mark.parametrize(("ends", "status"), [("late", 408), ("disconnected", 400)])
def test_a_body_that_does_not_arrive_is_given_up(app, monkeypatch, ends, status):
    monkeypatch.setattr(app, "BODY_SECONDS", 0.2)

    class Unfinished:
        """A request of which only the beginning arrives."""

        async def stream(self):
            yield b"{"
            if ends == "disconnected":
                raise app.ClientDisconnect
            await asyncio.sleep(60)

    with pytest.raises(app.HTTPException) as raised:
        asyncio.run(app.read_body(Unfinished()))
    assert raised.value.status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/recommend", 405), ("POST", "/related", 405)],
)
def test_other_paths_and_methods_are_answered_in_json(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


# ---- the page ----


def test_the_page_asks_no_other_server(client):
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; connect-src 'self'" in answer.headers["content-security-policy"]
    assert "://" not in answer.text


def test_the_page_never_makes_markup_of_data(client):
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", client.get("/").text
    )
    assert related(client, "16/a&b#c ?")["item"]["name"] == MARKUP


@pytest.mark.slow
def test_the_server_says_how_it_is_used():
    command = [sys.executable, str(FOLDER / "server.py"), "--help"]
    pytest.importorskip("uvicorn")
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "--port" in done.stdout
