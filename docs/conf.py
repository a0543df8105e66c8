"""Sphinx configuration: `sphinx-build -W --keep-going docs build/docs`, offline."""

import ast
import os
import sys
import tempfile
from importlib.metadata import version as installed_version
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "skxmr"
author = "the skxmr developers"
copyright = author
release = installed_version("skxmr")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
    "snippets",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["benchmarks/shortfalls.md", "benchmarks/results", "examples/*.ipynb"]
templates_path = ["_templates"]
default_role = "literal"
# The folders of web servers, which are no examples of the gallery, have files of the same names.
suppress_warnings = ["config.cache", "sphinx_gallery.duplicate_filename"]

html_theme = "furo"
html_title = f"skxmr {release}"
html_static_path = ["_static"]
html_css_files = ["skxmr.css"]
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3

# The Python code of the pages is run. An error in it is a warning of the build.
nb_custom_formats = {".md": ["snippets.read_page", {"extensions": myst_enable_extensions}]}
nb_execution_mode = "auto"
nb_execution_in_temp = True
nb_execution_show_tb = True
nb_execution_timeout = 300
nb_merge_streams = True
# Estimators are shown as text: their diagrams have a style and scripts of their own.
nb_mime_priority_overrides = [("*", "text/html", None)]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# An offline build cannot download the inventories of other projects.
if os.environ.get("SKXMR_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

# A bar of tqdm would be on the page with all its states.
os.environ["TQDM_DISABLE"] = "1"

# Arguments of the examples. With these, each takes seconds and writes only to a scratch folder.
_SCRATCH = tempfile.mkdtemp(prefix="skxmr-docs-")
_ARGUMENTS = {
    "product_retrieval.py": [
        *["--titles", "8000", "--rows", "1500"],
        *["--plot", f"{_SCRATCH}/retrieval.png"],
    ],
    "seeing_the_model.py": [_SCRATCH],
    "query_completion.py": ["--rows", "4000", "--plot", f"{_SCRATCH}/completion.png"],
}
#: Shown but not run: they require machines, data or minutes that a build does not have.
_NOT_RUN = ("annif_backend", "dask_cluster", "recommendation_history")
#: From first steps to special ones. Other examples follow, and those that are not run come last.
_ORDER = (
    "quickstart",
    "seeing_the_model",
    "query_completion",
    "product_retrieval",
    "label_disentanglement",
)


def example_order(filename):
    """Return the sort key of an example."""
    name = Path(filename).stem
    if name in _NOT_RUN:
        return 2, _NOT_RUN.index(name), name
    return (0, _ORDER.index(name), name) if name in _ORDER else (1, 0, name)


def example_arguments(gallery_conf, script_vars):
    """Return the arguments of an example, and restore its docstring."""
    path = Path(script_vars["src_file"])
    script_vars["example_globals"]["__doc__"] = ast.get_docstring(ast.parse(path.read_text()))
    return _ARGUMENTS.get(path.name, [])


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "examples",
    "filename_pattern": rf"/(?!{'|'.join(_NOT_RUN)})[^/]*\.py$",
    "ignore_pattern": r"(completion|shop)_app",
    "reset_argv": "conf.example_arguments",
    "within_subsection_order": "conf.example_order",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "default_thumb_file": str(HERE / "images" / "label_trees.png"),
    "min_reported_time": 0,
    "remove_config_comments": True,
    "plot_gallery": "True",
    "first_notebook_cell": None,
}


def skip_inherited(app, what, name, obj, skip, options):
    """Omit the members that every estimator of scikit-learn has."""
    module = getattr(obj, "__module__", None) or ""
    routing = name.startswith("set_") and name.endswith("_request")
    return True if routing or module.startswith("sklearn") else None


def link_pictures(app, doctree):
    """Set the width of images to that of the page. Sphinx then links them to their full size."""
    if not app.env.docname.startswith("examples/"):
        for picture in doctree.findall(nodes.image):
            picture["width"] = "100%"


def setup(app):
    """Connect the event handlers."""
    app.connect("doctree-read", link_pictures)
    app.connect("autodoc-skip-member", skip_inherited)
