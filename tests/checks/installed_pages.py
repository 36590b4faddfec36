"""Checks that the links of the installed pages lead to files that are installed, and to headings that are there.

Usage: installed_pages.py PREFIX FOLDER_OF_THE_PAGES
"""

import pathlib
import re
import sys

from readme import FENCED, wrong_links


def main():
    prefix, folder = map(pathlib.Path, sys.argv[1:])
    errors, links = [], 0
    for page in sorted(folder.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        links += sum(not link.startswith("http") for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text)))
        errors += [f"{page.relative_to(folder)}: {problem}" for problem in wrong_links(prefix, page, text)]
    if links < 50:
        errors.append(f"the pages in {folder} have {links} links, and at least 50 are expected")
    print("\n".join(errors) or f"{links} links")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
