"""Text encoders: embeddings of texts, and classifiers that fine-tune an encoder.

The module can be imported without PyTorch. Encoders need the extra:
``pip install "skxmr[transformer]"``. Models are read from local folders and never downloaded.
"""

from ._classifier import XRTransformerClassifier
from ._embedder import TransformerEmbedder
from ._static import StaticEmbedder

__all__ = ["StaticEmbedder", "TransformerEmbedder", "XRTransformerClassifier"]
