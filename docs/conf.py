"""The documentation site: `make docs` builds it into docs/build/html, without the network.

Any warning is an error there. Foreign types are not linked, since nothing is downloaded.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

import advaug  # noqa: E402

project = "advaug"
author = "advaug developers"
copyright = "advaug developers, BSD-3-Clause"
version = release = advaug.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "myst_parser",
    "numpydoc",
    "api_pages",
    "dark_pictures",
    "outside_pages",
]
exclude_patterns = ["build"]
default_role = "code_or_name"
nitpicky = True
smartquotes = False  # Parameters such as "auto" are typed as they stand.
toc_object_entries_show_parents = "hide"
nitpick_ignore_regex = [("py:obj", r"(sklearn|imblearn)\..*")]  # Named in See Also.

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # The parameters of a docstring name types, shapes and units.
autosummary_generate = False  # `api_pages` writes the pages.
numpydoc_show_class_members = False  # `api_pages` lists the methods.
copybutton_prompt_text = ">>> |\\.\\.\\. |\\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": str(DOCS.parent / "examples"),
    "gallery_dirs": "generated/gallery",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("advaug",),
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery_order.ReadmeOrder",
    "ignore_repr_types": "str",
    "image_srcset": ["2x"],
    "parallel": 2,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "advaug"
html_static_path = ["_static"]
html_css_files = ["advaug.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "advaug"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {  # pages without others below them
    page: []
    for page in (
        "getting-started",
        "how-it-works",
        "glossary",
        "generated/pages/contributing",
        "generated/pages/whats-new",
    )
}
