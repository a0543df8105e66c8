"""The Python code of the pages, which the build runs with MyST-NB.

A block of a page that is marked as "python" is run, and its output follows it. The blocks of a page
share their names. A block that cannot run in a build is marked as "py". The page says that it was
not run.
"""

import re

from docutils import nodes
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from sphinx.util import logging

#: MyST-NB does not run blocks inside lists and quotations.
NESTED = re.compile(r"^[ \t>]+```python\b", re.MULTILINE)
NOT_RUN = "Not run when this page was built:"


def read_page(text, extensions=()):
    """Return a page as a notebook.

    Parameters
    ----------
    text : str
        The page in Markdown.
    extensions : iterable of str
        The syntax extensions of MyST.

    Returns
    -------
    notebook : nbformat.NotebookNode
    """
    page = read_myst_markdown_notebook(
        text,
        MdParserConfig(enable_extensions=set(extensions)),
        code_directive="python",
        add_source_map=True,
    )
    page.metadata["kernelspec"] = {"name": "python3", "display_name": "Python"}
    return page


def warn_of_nested_blocks(app, docname, source):
    """Warn of blocks of a page that would silently not be run."""
    for match in NESTED.finditer(source[0]):
        line = source[0].count("\n", 0, match.start()) + 1
        message = "a block of Python inside a list or a quotation is not run"
        logging.getLogger(__name__).warning(message, location=(docname, line))


def label_blocks_not_run(app, doctree):
    """Write above each "py" block that it was not run."""
    for block in list(doctree.findall(nodes.literal_block)):
        if block.get("language") == "py":
            label = nodes.paragraph("", NOT_RUN, classes=["not-run"])
            block.parent.insert(block.parent.index(block), label)


def setup(app):
    """Connect the event handlers."""
    app.connect("source-read", warn_of_nested_blocks)
    app.connect("doctree-read", label_blocks_not_run)
    return {"parallel_read_safe": True}
