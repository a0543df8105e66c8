import pytest


@pytest.fixture(autouse=True, scope="module")
def without_cuda(request):
    """Compute on the CPU, except in the tests of CUDA: others compare bits."""
    torch = pytest.importorskip("torch", reason="the extra transformer is not installed")
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__.rpartition(".")[2] != "test_cuda":
            patch.setattr(torch.cuda, "is_available", lambda: False)
        yield
