"""A sample of a library catalog, purchases at a shop, and readers of common file formats."""

from .._data.shards import Shards
from ._annif_corpus import load_annif_corpus
from ._catalogue import load_catalogue_subjects
from ._fasttext import load_fasttext
from ._npz import load_npz_pair
from ._retail import load_retail_purchases
from ._vocabulary import load_annif_vocabulary
from ._xc_text import load_xc_text, save_xc_text

__all__ = [
    "Shards",
    "load_annif_corpus",
    "load_annif_vocabulary",
    "load_catalogue_subjects",
    "load_fasttext",
    "load_npz_pair",
    "load_retail_purchases",
    "load_xc_text",
    "save_xc_text",
]
