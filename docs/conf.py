"""Settings of the docs site: `sphinx-build -W --keep-going -b html docs build/docs`. The build needs no network."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the pages import foodjax for its docstrings

project = html_title = "foodjax"
html_theme = "furo"
html_show_copyright = html_show_sphinx = html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_heading_anchors = 3  # links such as page.md#heading
nb_execution_mode = "off"  # the outputs that a notebook has are shown

napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100

# Every name of foodjax that a page refers to must be on a page, except the groups of keys, which config.md lists. Names
# of other packages are not looked up: that needs the network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!foodjax\.).*"),
    ("py:class", r"foodjax\.config\.(photo_|training_)?keys\.(?!Config$)\w+"),
]
