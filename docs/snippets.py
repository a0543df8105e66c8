"""The Python code of the pages, which the build runs with MyST-NB.

A block of a page that is marked as "python" is run, and its output follows it. The blocks of a page
share their names. A block that cannot run in a build is marked as "py", and its first line is a
comment with the reason: "# Not run: ...".
"""

import re

from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from sphinx.util import logging

#: Blocks that would silently not be run, and what to do.
PROBLEMS = {
    "a block of Python inside a list or a quotation is not run": re.compile(
        r"^[ \t>]+```python\b", re.MULTILINE
    ),
    'a "py" block must begin with "# Not run: ..." and the reason': re.compile(
        r"^[ \t>]*```py\n(?![ \t>]*# Not run: )", re.MULTILINE
    ),
}


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


def warn_of_blocks(app, docname, source):
    """Warn of blocks of a page that are not run, without a reason."""
    for problem, pattern in PROBLEMS.items():
        for match in pattern.finditer(source[0]):
            line = source[0].count("\n", 0, match.start()) + 1
            logging.getLogger(__name__).warning(problem, location=(docname, line))


def setup(app):
    """Connect the event handler."""
    app.connect("source-read", warn_of_blocks)
    return {"parallel_read_safe": True}
