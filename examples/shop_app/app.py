"""The web application: the page of the shop, and the endpoints that it asks."""

import asyncio
import json
import re
import time
from pathlib import Path

from shop import MEASURES
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

MAX_LENGTH = 1000
MAX_K = 50
MAX_BASKET = 100
#: Bytes of a request for recommendations.
MAX_BODY = 1 << 14
#: Seconds until all of it has arrived.
BODY_SECONDS = 10.0

_PAGE = Path(__file__).parent / "page.html"

_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}


def create_app(shop):
    """Make the application.

    Parameters
    ----------
    shop : Shop

    Returns
    -------
    app : Starlette
        ``GET /`` is the page. The other answers are JSON, with the time that a search, a ranking
        and its explanation took, in microseconds:

        - ``GET /measures``: the measures of relatedness, and the size of the shop.
        - ``GET /search?text=...&k=...``: items by name.
        - ``GET /related?item=...&measure=...&k=...``: an item, its related items, and how many
          buyers they have in common.
        - ``POST /recommend`` with ``{"basket": [...], "measure": ..., "k": ...}``: recommended
          items, each with the items of the basket that it is due to.

        Bad requests get a status from 400 on and ``{"error": str}``; an unknown item gets 404.
    """

    def describe(item):
        return {"id": shop.ids[item], "name": shop.names[item], "buyers": int(shop.n_buyers[item])}

    def number_of(item):
        if item not in shop.number_of:
            raise HTTPException(404, f"no item has the id {item[:40]!r}")
        return shop.number_of[item]

    async def measures(request):
        described = [
            {"id": name, "title": each.title, "description": each.description}
            for name, each in MEASURES.items()
        ]
        size = {"items": len(shop.ids), "purchases": shop.n_purchases}
        return answer({"measures": described, **size})

    # Not in a thread: handing a ranking to one and back takes longer than the ranking.
    async def search(request):
        given = read_query(request.query_params, ("text", "k"))
        text, k = given.get("text", ""), read_k(given.get("k", "8"))
        if len(text) > MAX_LENGTH:
            raise bad(f"text must have at most {MAX_LENGTH} characters, got {len(text)}")
        items, microseconds = timed(shop.search, text, k)
        return answer(
            {"items": [describe(item) for item in items], "microseconds": {"search": microseconds}}
        )

    async def related(request):
        given = read_query(request.query_params, ("item", "measure", "k"))
        if "item" not in given:
            raise bad("item must be given")
        item = number_of(given["item"])
        measure, k = read_measure(given.get("measure", "corrected")), read_k(given.get("k", "6"))
        items, ranked = timed(shop.related, item, measure, k)
        evidence, explained = timed(shop.evidence, item, items)
        found = [
            {**describe(other), "both": each.both, "expected": round(each.expected, 1)}
            for other, each in zip(items, evidence, strict=True)
        ]
        microseconds = {"rank": ranked, "explain": explained}
        return answer({"item": describe(item), "related": found, "microseconds": microseconds})

    async def recommend(request):
        given = read_json(await read_body(request))
        basket = [number_of(item) for item in read_basket(given.get("basket", []))]
        measure = read_measure(given.get("measure", "corrected"))
        k = read_k(given.get("k", 6))
        items, ranked = timed(shop.recommend, basket, measure, k)
        reasons, explained = timed(lambda: [shop.reasons(basket, measure, item) for item in items])
        found = [
            {
                **describe(item),
                "reasons": [{**describe(each.item), "share": each.share} for each in why],
                "popularity": popularity,
            }
            for item, (why, popularity) in zip(items, reasons, strict=True)
        ]
        microseconds = {"rank": ranked, "explain": explained}
        return answer({"recommended": found, "microseconds": microseconds})

    routes = [
        Route("/", page),
        Route("/measures", measures),
        Route("/search", search),
        Route("/related", related),
        Route("/recommend", recommend, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: refuse})


async def page(request):
    """Send the page, which the browser lets talk to this server only."""
    return FileResponse(_PAGE, headers=_PAGE_HEADERS)


def answer(content):
    """Return JSON that is not kept by the browser."""
    return JSONResponse(content, headers={"Cache-Control": "no-store"})


async def refuse(request, error):
    """Return the message of an error as JSON."""
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def bad(message):
    """Return the exception for a bad request."""
    return HTTPException(400, message)


def shown(value):
    """Return a value as part of a message: its beginning, or its type if it has parts."""
    simple = value is None or isinstance(value, (str, int, float))
    return f"{value!r:.42}" if simple else type(value).__name__


def timed(function, *args):
    """Return the result of a call, and its time in microseconds."""
    start = time.perf_counter_ns()
    result = function(*args)
    return result, (time.perf_counter_ns() - start) / 1000


def read_query(parameters, names):
    """Return the parameters of a URL, or refuse unknown and repeated ones."""
    for name, _ in parameters.multi_items():
        if name not in names:
            raise bad(f"the parameters are {', '.join(names)}; got {name[:40]!r}")
        if len(parameters.getlist(name)) > 1:
            raise bad(f"{name} must be given once")
    return dict(parameters)


def read_measure(name):
    """Return the name of a measure."""
    if not isinstance(name, str) or name not in MEASURES:
        raise bad(f"measure must be one of {', '.join(MEASURES)}; got {shown(name)}")
    return name


def read_k(k):
    """Return the number of items asked for: a number, or its digits."""
    if isinstance(k, str) and re.fullmatch("[0-9]{1,9}", k):
        k = int(k)
    if type(k) is not int or not 1 <= k <= MAX_K:
        raise bad(f"k must be a whole number from 1 to {MAX_K}, got {shown(k)}")
    return k


async def read_body(request):
    """Return the body of a request, or refuse a large one before all of it has arrived."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY:
                    raise HTTPException(413, f"the body must have at most {MAX_BODY} bytes")
    except ClientDisconnect:
        raise bad("the body must be complete") from None
    except TimeoutError:
        raise HTTPException(
            408, f"the body must arrive within {BODY_SECONDS:.0f} seconds"
        ) from None
    return bytes(body)


def read_json(body):
    """Return the members of a JSON object, or refuse other bodies."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise bad('the body must be JSON, such as {"basket": ["22086"]}') from None
    if not isinstance(given, dict):
        raise bad(f"the body must be a JSON object, got {shown(given)}")
    names = ("basket", "measure", "k")
    for name in given:
        if name not in names:
            raise bad(f"the members are {', '.join(names)}; got {name[:40]!r}")
    return given


def read_basket(basket):
    """Return the ids of a basket, each once."""
    if not isinstance(basket, list):
        raise bad(f"basket must be a list of ids of items, got {shown(basket)}")
    if len(basket) > MAX_BASKET:
        raise bad(f"basket must have at most {MAX_BASKET} items, got {len(basket)}")
    for item in basket:
        if not isinstance(item, str):
            raise bad(f"basket must have ids of items, which are strings; got {shown(item)}")
        if basket.count(item) > 1:
            raise bad(f"basket must have each item once, got {item[:40]!r} more often")
    return basket
