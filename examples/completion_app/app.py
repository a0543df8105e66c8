"""The web application: a page with a search box, and the endpoint that completes what is typed."""

import re
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

MAX_LENGTH = 1000
MAX_K = 50

_PAGE = Path(__file__).parent / "page.html"

_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}


def create_app(completer):
    """Make the application.

    Parameters
    ----------
    completer : fitted SessionQueryCompleter

    Returns
    -------
    app : Starlette
        ``GET /`` is the page. ``GET /suggest?prefix=...&previous=...&k=...`` answers with
        ``{"suggestions": [{"query": str, "score": float, "match": str}, ...], "microseconds":
        float}``, the time being that of the completion alone. The match is "prefix", "word" or
        "typing error". Each parameter may be left out. A bad one is answered with status 400 and
        ``{"error": str}``.
    """

    # Not in a thread: handing a completion to one and back takes as long as the completion.
    async def suggest(request):
        try:
            prefix, previous, k = read_parameters(request.query_params)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        start = time.perf_counter_ns()
        ranked = completer.complete(prefix, previous=previous, k=k)
        microseconds = (time.perf_counter_ns() - start) / 1000
        suggestions = [
            {"query": each.query, "score": each.score, "match": each.match} for each in ranked
        ]
        answer = {"suggestions": suggestions, "microseconds": microseconds}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    return Starlette(routes=[Route("/", page), Route("/suggest", suggest)])


async def page(request):
    """Send the page, which the browser lets talk to this server only."""
    return FileResponse(_PAGE, headers=_PAGE_HEADERS)


def read_parameters(parameters):
    """Return prefix, previous and k, or raise a ValueError that says what is wrong."""
    names = ("prefix", "previous", "k")
    for name, _ in parameters.multi_items():
        if name not in names:
            raise ValueError(f"the parameters are {', '.join(names)}; got {name[:40]!r}")
        if len(parameters.getlist(name)) > 1:
            raise ValueError(f"{name} must be given once")
    prefix, previous = (read_text(parameters, name) for name in names[:2])
    return prefix, previous, read_k(parameters.get("k", "10"))


def read_text(parameters, name):
    """Return a text that is not too long to be a query."""
    text = parameters.get(name, "")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"{name} must have at most {MAX_LENGTH} characters, got {len(text)}")
    return text


def read_k(text):
    """Return the number of suggestions asked for."""
    k = int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
    if not 1 <= k <= MAX_K:
        raise ValueError(f"k must be a whole number from 1 to {MAX_K}, got {text[:40]!r}")
    return k
