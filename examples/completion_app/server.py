"""Search as you type, in a page that knows what was searched for before.

    pip install ".[app]"
    python examples/completion_app/server.py [--data FOLDER] [--model FILE] [--host H] [--port N]

Then open http://127.0.0.1:8000. Every keystroke asks for completions. Choose one, or press Enter,
and it is the previous query, in whose light the next ones are ranked.

The known queries are subjects of a library catalogue. No log of real searches can be bundled, so
sessions are made up: somebody who looks for one subject of a record goes on to another of its
subjects. Training on the sample that comes with skxmr takes seconds at every start. With --model it
is done once: the completer is saved in that file, and loaded from there the next time.

    curl "http://127.0.0.1:8000/suggest?prefix=mus&previous=mental%20illnesses&k=3"

app.py is the web application, page.html the page, training.py makes the completer. connections.py
closes connections on which no whole request arrives within ten seconds.
"""

import argparse

import uvicorn
from app import create_app
from connections import LimitedProtocol
from training import load_or_train


def main():
    """Make the completer and serve it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the full data; by default the bundled sample")
    parser.add_argument(
        "--model", help="joblib file to load, or to save to; load only files that you trust"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()

    app = create_app(load_or_train(args.model, args.data))
    print(f"http://{args.host}:{args.port} (Ctrl-C ends it)", flush=True)
    options = {"http": LimitedProtocol, "ws": "none", "log_level": "warning"}
    uvicorn.run(app, host=args.host, port=args.port, **options)


if __name__ == "__main__":
    main()
