"""Sphinx's configuration of the documentation site; `make docs` builds it."""

import sys
import tomllib
from pathlib import Path

from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(Path(__file__).parent))  # extensions of its own
sys.path.insert(0, str(ROOT))

_project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = "Diffusion models for medical anomaly detection"
author = "the authors of this benchmark"
copyright = f"{author}; MIT licence"  # Sphinx's name
version = release = _project["version"]

extensions = [
    "myst_nb",
    "parameters_page",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "plain_docstrings",  # after autodoc
]
exclude_patterns = ["_build", "figures"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}

# tests/workflow executes the notebook: it needs trained networks, which a documentation builder lacks.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

_modules = {
    "path": "../stages",
    "destination": "api",
    "separate_modules": True,
    "module_first": True,
    "automodule_options": {"members", "show-inheritance"},
    "exclude_patterns": ["**/__main__.py"],
}
GUIDES_ALONE = tags.has("guides")  # noqa: F821  # Sphinx hands it over
apidoc_modules = [] if GUIDES_ALONE else [_modules]
if GUIDES_ALONE:
    exclude_patterns.append("api")
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # a class that lists its attributes has them as annotations too
napoleon_attr_annotations = False

html_theme = "furo"
html_title = project
html_show_sourcelink = False
html_last_updated_fmt = None
# Two classes have an attribute of that name, of which docstrings mention one.
suppress_warnings = ["ref.python"]


def setup(app):
    app.connect("autodoc-process-signature", _name_aliases)


def _name_aliases(app, what, name, obj, options, signature, returns):
    """Write numpy's ArrayLike by its name: at run time it is the union of all that it may be.

    `autodoc_type_aliases` knows annotations alone that are kept as text, which those of these modules are not.
    """
    return tuple(
        text and text.replace(stringify_annotation(ArrayLike, "smart"), "ArrayLike") for text in (signature, returns)
    )
