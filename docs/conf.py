"""The documentation: `sphinx-build -W docs docs/_build/html` (extra `[docs]`). Gallery scripts and notebooks are executed."""

import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

project = "xbar"
author = "The xbar developers"
copyright = author
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["version"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "public_api",
]
exclude_patterns = [
    "_build",
    "gallery",
    "tutorials/*.ipynb",
    "tutorials/*.py",
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
]
html_theme = "furo"
html_title = f"xbar {release}"
html_static_path = ["_static"]
html_css_files = ["xbar.css"]
html_theme_options = {"light_css_variables": {"color-brand-primary": "#005a8c", "color-brand-content": "#005a8c"}}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_typehints = "none"  # shapes and units stand in the text; annotations of jaxtyping make signatures unreadable
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 10_000,
    "download_all_examples": True,
    "plot_gallery": True,
}
