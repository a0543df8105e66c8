"""Unknown parameters are answered with the right ones."""

import inspect

import pytest

from skxmr import XRLinearClassifier, pecos


@pytest.mark.parametrize(
    ("params", "hint"),
    [
        ({"beam_size": 5}, r"did you mean beam_width\?"),
        ({"beem_width": 5}, r"did you mean beam_width\?"),
        ({"nr_splits": 16}, r"did you mean indexer=KMeansIndexer\(branching=...\)\?"),
        ({"topk": 5}, r"did you mean k of rank\?"),
    ],
)
def test_names_of_other_libraries_and_typing_errors(params, hint):
    with pytest.raises(TypeError, match=hint):
        XRLinearClassifier(**params)
    with pytest.raises(ValueError, match=hint):
        XRLinearClassifier().set_params(**params)


def test_what_resembles_nothing_gets_no_hint():
    with pytest.raises(TypeError, match=r"'fluff'$"):
        XRLinearClassifier(fluff=1)
    with pytest.raises(ValueError, match="Valid parameters are"):
        XRLinearClassifier().set_params(fluff=1)


def test_keywords_of_rank():
    clf = XRLinearClassifier().fit([[1.0], [2.0]], ["a", "b"])
    with pytest.raises(TypeError, match=r"did you mean k of rank\?"):
        clf.rank([[1.0]], topk=3)
    with pytest.raises(TypeError, match="multiple values"):
        clf.rank([[1.0]], 3, k=3)


def test_signatures_are_those_of_the_functions():
    assert "beam_width" in inspect.signature(XRLinearClassifier).parameters
    assert list(inspect.signature(XRLinearClassifier.rank).parameters)[:3] == ["self", "X", "k"]


def test_no_neighbors_are_none():
    with pytest.raises(ValueError, match=r"n_neighbors must be at least 1, or None for no"):
        XRLinearClassifier(n_neighbors=0).fit([[1.0]], ["a"])


def test_what_a_folder_of_pecos_holds(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"nope is not a model folder of PECOS: .* 0\.model"
    ):
        pecos.load(tmp_path / "nope")
