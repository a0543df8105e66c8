import importlib.util
import lzma
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from purchases import random_log

PATH = Path(__file__).parents[2] / "examples" / "recommendation_history.py"


@pytest.fixture(scope="module")
def history():
    spec = importlib.util.spec_from_file_location("recommendation_history", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_log(folder, log, compressed):
    """Write a log as the example reads it."""
    folder.mkdir()
    lines = ["user\titem\tunix_time"]
    for user, item, second in zip(log.users, log.items, log.seconds, strict=True):
        lines.append(f"{user}\t{item:04}\t{int(second)}")
    text = "\n".join(lines).encode()
    if compressed:
        (folder / "interactions.tsv.xz").write_bytes(lzma.compress(text))
    else:
        (folder / "interactions.tsv").write_bytes(text)


def test_one_command_prints_and_draws_all_logs(history, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib").use("Agg")
    few_resamples = partial(history.paired_bootstrap, n_resamples=50)
    monkeypatch.setattr(history, "paired_bootstrap", few_resamples)
    logs = [random_log(500, seed=0), random_log(500, seed=1)]
    for name, log in zip(("first", "second"), logs, strict=True):
        write_log(tmp_path / name, log, compressed=name == "first")
    folders = [str(tmp_path / name) for name in ("first", "second")]
    options = ["--windows", "2", "--tests", "2", "--epochs", "1", "--plots", f"{tmp_path}/plots"]
    monkeypatch.setattr(sys, "argv", ["history", "--log", *folders, *options])
    history.main()
    printed = capsys.readouterr().out
    for name in ("first", "second"):
        assert (tmp_path / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"{name}: InteractionLog(" in printed
    assert printed.count("testing at") == 4
    own = [name for idea, names in history.STORY.items() if idea != "implicit" for name in names]
    for name in own:
        assert sum(line.startswith(f"  {name:40} ") for line in printed.splitlines()) == 2
    assert printed.count("95 % intervals") == 2


def test_the_story_has_every_method(history):
    named = [name for names in history.STORY.values() for name in names]
    assert len(named) == len(set(named))
    assert set(history.all_methods(1)) <= set(named)
    compared = {name for pair in history.COMPARED for name in pair}
    assert {history.BASELINE, *compared} <= set(named)


def test_the_standard_error_is_that_of_the_mean_over_all_rows(history):
    rng = np.random.default_rng(0)
    truth = [sp.csr_matrix((rng.random((n, 30)) < 0.1).astype(np.float32)) for n in (40, 90)]
    tops = [np.argsort(rng.random(Y.shape), axis=1)[:, :10].astype(np.int32) for Y in truth]
    hits = [
        np.array([Y[row].toarray()[0, top[:6]].any() for row, top in enumerate(each)], dtype=float)
        for Y, each in zip(truth, tops, strict=True)
    ]
    row = history.measure("any", truth, tops)
    assert row.windows == pytest.approx([each.mean() for each in hits])
    assert row.hit_rate == pytest.approx(np.concatenate(hits).mean())
    variance = sum(each.var() * len(each) for each in hits) / sum(map(len, hits)) ** 2
    assert row.error == pytest.approx(np.sqrt(variance))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--log", "nowhere"], "nowhere has no interactions.tsv or interactions.tsv.xz"),
        (["--tests", "0"], "must be a whole number of at least 1, got '0'"),
        (["--windows", "-1"], "must be a whole number of at least 1, got '-1'"),
        (["--epochs", "x"], "must be a whole number of at least 1, got 'x'"),
        (["--last", "yesterday"], "must be a date such as 2011-11-25, got 'yesterday'"),
    ],
)
def test_bad_options_are_refused_before_any_work(history, monkeypatch, capsys, options, message):
    monkeypatch.setattr(sys, "argv", ["history", *options])
    with pytest.raises(SystemExit):
        history.main()
    assert message in capsys.readouterr().err
