import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from completion_app import FOLLOWS, MARKUP, load, make_completer

pytest.importorskip("httpx", reason="starlette's TestClient needs httpx")
testclient = pytest.importorskip("starlette.testclient", reason="starlette is not installed")


@pytest.fixture(scope="module")
def completer():
    return make_completer()


@pytest.fixture(scope="module")
def client(completer):
    return testclient.TestClient(load("app").create_app(completer))


def suggested(client, **parameters):
    answer = client.get("/suggest", params=parameters)
    assert answer.status_code == 200, answer.text
    return [each["query"] for each in answer.json()["suggestions"]]


def test_suggestions_are_those_of_the_completer(client, completer):
    for prefix, previous, k in product(["", "c", "CAT", "cats ", "<b", "zebra"], FOLLOWS, [1, 50]):
        answer = client.get("/suggest", params={"prefix": prefix, "previous": previous, "k": k})
        assert answer.status_code == 200
        assert set(answer.json()) == {"suggestions", "microseconds"}
        expected = completer.complete(prefix, previous=previous, k=k)
        found = [(each["query"], each["score"]) for each in answer.json()["suggestions"]]
        assert found == expected
        matches = [each["match"] for each in answer.json()["suggestions"]]
        assert matches == [each.match for each in expected]
        assert 0 < answer.json()["microseconds"] < 1e6


def test_the_previous_query_decides(client):
    assert suggested(client, prefix="cat", previous="churches")[0] == "cathedral"
    assert suggested(client, prefix="cat", previous="pets")[0].startswith("cat")
    assert "cathedral" not in suggested(client, prefix="cat", previous="pets", k=2)


def test_every_parameter_may_be_left_out(client, completer):
    assert suggested(client) == [query for query, _ in completer.complete("")]
    assert suggested(client, previous="cathedral")[0] in FOLLOWS["cathedral"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("k=0", "k must be a whole number from 1 to 50, got '0'"),
        ("k=51", "from 1 to 50"),
        ("k=-1", "got '-1'"),
        ("k=2.0", "got '2.0'"),
        ("k=", "got ''"),
        ("k=%20%D9%A3", "k must be"),
        ("k=" + "9" * 9000, "k must be"),
        ("prefix=" + "a" * 1001, "prefix must have at most 1000 characters, got 1001"),
        ("previous=" + "a" * 1001, "previous must have at most 1000 characters"),
        ("prefix=a&prefix=b", "prefix must be given once"),
        ("prefx=a", "prefix, previous, k; got 'prefx'"),
    ],
)
def test_bad_parameters_are_refused(client, query, message):
    answer = client.get(f"/suggest?{query}")
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert len(answer.json()["error"]) < 200


@pytest.mark.parametrize("text", ["%00", "%FF%FE", "%F0%9F%98%80" * 1000, "%ED%A0%80", "a" * 1000])
def test_odd_texts_are_answered(client, text):
    answer = client.get(f"/suggest?prefix={text}&previous={text}")
    assert answer.status_code == 200
    assert answer.json()["suggestions"] == []


def test_labels_come_as_they_are(client):
    assert suggested(client, prefix="<b ") == [MARKUP]


def test_requests_at_the_same_time(client, completer):
    cases = [*product(["", "c", "cat", "d", "o"], FOLLOWS)] * 5
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda case: suggested(client, prefix=case[0], previous=case[1]), cases)
        for (prefix, previous), answer in zip(cases, answers, strict=True):
            assert answer == [query for query, _ in completer.complete(prefix, previous=previous)]


def test_the_page_asks_no_other_server(client):
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; connect-src 'self'" in answer.headers["content-security-policy"]
    assert "://" not in answer.text


# ---- training ----


def test_sessions_are_pairs_of_subjects_of_one_record():
    Y = sp.csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]], dtype=np.float32))
    names = np.array(["a", "b", "c", "d"], dtype=object)
    pairs = load("training").sessions(Y, names, n_per_record=50).tolist()
    assert len(pairs) == 2 * (1 + 50)
    follows = {(previous, query) for previous, query in pairs if previous}
    assert follows == {(p, q) for p, q in product("abcd", repeat=2) if p != q} & {
        *product("ab", repeat=2),
        *product("bcd", repeat=2),
    }
    assert sum(previous == "" for previous, _ in pairs) == 2


def test_a_model_is_saved_once_and_loaded_after(tmp_path, completer, monkeypatch, capsys):
    training, path = load("training"), tmp_path / "model.joblib"
    monkeypatch.setattr(training, "train", lambda folder: completer)
    training.load_or_train(path)
    monkeypatch.setattr(training, "train", None)
    again = training.load_or_train(path)
    assert again.complete("cat", previous="churches") == completer.complete(
        "cat", previous="churches"
    )
    assert "loaded from" in capsys.readouterr().out


@pytest.fixture
def connect(completer, monkeypatch):
    """Connects to a server that waits for a request for half a second."""
    uvicorn = pytest.importorskip("uvicorn")
    protocol = load("connections").LimitedProtocol
    monkeypatch.setattr(protocol, "request_seconds", 0.5)
    config = uvicorn.Config(load("app").create_app(completer), http=protocol, log_level="warning")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield lambda: socket.create_connection(listening.getsockname(), timeout=20)
        server.should_exit = True
        thread.join()


REQUEST = b"GET /suggest?prefix=cat HTTP/1.1\r\nHost: x\r\n\r\n"


def seconds_until_closed(client, trickle=b""):
    """Wait for the end of a connection, sending a byte now and then."""
    client.settimeout(0.1)
    start = time.perf_counter()
    while time.perf_counter() - start < 20:
        try:
            if not client.recv(1 << 16):
                break
        except TimeoutError:
            client.sendall(trickle)
        except ConnectionError:
            break
    return time.perf_counter() - start


@pytest.mark.parametrize("trickle", [b"", b"x"])
@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        REQUEST[:-2],
        REQUEST[:20],
        REQUEST + REQUEST[:-2],
        b"POST /suggest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
    ],
)
def test_unfinished_requests_do_not_keep_a_connection(connect, beginning, trickle):
    with connect() as client:
        client.sendall(beginning)
        assert seconds_until_closed(client, trickle) < 10


def test_a_connection_serves_many_requests(connect):
    with connect() as client:
        for pause in (0, 0.3, 0.7, 0):
            time.sleep(pause)
            client.sendall(REQUEST[:10])
            client.sendall(REQUEST[10:])
            answer = client.recv(1 << 16)
            while not answer.endswith(b"}"):
                answer += client.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 200"), answer


def test_another_object_is_no_model(tmp_path):
    joblib.dump({"a": 1}, tmp_path / "other.joblib")
    with pytest.raises(TypeError, match="holds no SessionQueryCompleter, but dict"):
        load("training").load_or_train(tmp_path / "other.joblib")
