"""A shop: items with related items, and a basket that changes the recommendations as it fills.

    pip install ".[app]"
    python examples/shop_app/server.py [--host H] [--port N]

Then open http://127.0.0.1:8000. Search for an item, put some into the basket, and switch between
measures of relatedness. The page shows the reason of each recommendation and the time of each
answer. The recommenders learn from the bundled purchases at every start, which takes a few seconds.

    curl "http://127.0.0.1:8000/related?item=22086&measure=cosine&k=3"
    curl --json '{"basket": ["22086"], "k": 3}' http://127.0.0.1:8000/recommend

shop.py has the recommenders, app.py the web application, and page.html the page. connections.py of
the completion page closes connections on which no whole request arrives within ten seconds.
"""

import argparse
import sys
import time
from pathlib import Path

import uvicorn
from app import create_app
from shop import open_shop

sys.path.append(str(Path(__file__).parents[1] / "completion_app"))
from connections import LimitedProtocol


def main():
    """Fit the recommenders and serve the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    args = parser.parse_args()

    start = time.perf_counter()
    shop = open_shop()
    seconds = time.perf_counter() - start
    print(
        f"{len(shop.ids):,} items and {len(shop.recommenders)} recommenders of "
        f"{shop.n_purchases:,} purchases in {seconds:.1f} s"
    )
    print(f"http://{args.host}:{args.port} (Ctrl-C ends it)", flush=True)
    options = {"http": LimitedProtocol, "ws": "none", "log_level": "warning"}
    uvicorn.run(create_app(shop), host=args.host, port=args.port, **options)


if __name__ == "__main__":
    main()
