"""Hooks of MkDocs: pages of other folders, links to the code, and formulas."""

import os
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OTHER_PAGES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/RESULTS.md",
    "samples/README.md",
)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are in other folders than ``docs/``."""
    for name in OTHER_PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page whose links lead to pages of the site, or to files of the repository."""
    repository = config.extra["social"][0]["link"]
    source = Path(page.file.abs_src_path or "")
    pages = {
        Path(file.abs_src_path or ""): file.src_uri
        for file in files
        if file.inclusion.is_included()
    }

    def move(link: re.Match[str]) -> str:
        name, anchor = link[1], link[2] or ""
        target = (source.parent / name).resolve()
        if target in pages:
            here = os.path.relpath(pages[target], Path(page.file.src_uri).parent)
            return f"]({here}{anchor})"
        if target.exists():
            return f"]({repository}/blob/main/{target.relative_to(ROOT)}{anchor})"
        return link[0]

    return re.sub(r"\]\((?!https?:)([^)\s#]+)(#[^)\s]*)?\)", move, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Return a page whose formulas are MathML, which browsers display without a script."""
    return re.sub(
        r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>',
        lambda formula: convert(
            formula[3].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"),
            display="block" if formula[2] == "[" else "inline",
        ),
        html,
        flags=re.DOTALL,
    )
