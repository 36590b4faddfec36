"""Checks the pages, README.md and all *.md of examples, src and tests. Argument: the project's folder.

Their C++ is code that the build compiles: on a page `<!-- snippet: name -->` stands on the line before a C++ block; in a file
of tests/readme the same lines stand between `// [name]` and `// [/name]`, however far indented. Their Python can be parsed.
Their links lead to files of the project, and to headings that are there.
"""

import ast
import pathlib
import re
import sys
import textwrap

FENCED = re.compile(r"(?:<!-- snippet: ([\w-]+) -->\n)?```(\w*)\n(.*?)^```$", re.M | re.S)


def compiled_snippets(folder):
    snippets = {}
    for path in sorted(folder.glob("*.cpp")):
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^[ \t]*// \[(\w[\w-]*)\]\n(.*?)^[ \t]*// \[/\1\]$", text, re.M | re.S):
            snippets[match[1]] = (path.name, textwrap.dedent(match[2]).strip("\n"))
    return snippets


def pages(root):
    yield root / "README.md"
    for folder in ("examples", "src", "tests"):
        yield from sorted((root / folder).rglob("*.md"))


def anchors(text):
    """Of the headings, as GitHub writes them."""
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def wrong_links(root, page, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text)):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or root.resolve() not in (path, *path.resolve().parents):
            yield f"leads to {target}, which is not there"
        elif anchor and anchor not in anchors(path.read_text(encoding="utf-8")):
            yield f"leads to {target}, and there is no such heading"


def main():
    root = pathlib.Path(sys.argv[1])
    if not (root / "README.md").exists():
        print("SKIPPED: there is no README.md")
        sys.exit(77)
    snippets = compiled_snippets(root / "tests/readme")
    errors, used, count = [], set(), 0
    for page in pages(root):
        text, shown_as = page.read_text(encoding="utf-8"), page.relative_to(root)
        for name, language, block in FENCED.findall(text):
            first = block.partition("\n")[0]
            if language == "python":
                try:
                    ast.parse(block)
                except SyntaxError as error:
                    errors.append(f"{shown_as}: the Python that begins with '{first}' cannot be parsed: {error}")
            if language != "cpp":
                continue
            count += 1
            if not name:
                errors.append(f"{shown_as}: no '<!-- snippet: name -->' before the block that begins with: {first}")
            elif name not in snippets:
                errors.append(f"{shown_as}: no file of tests/readme has the snippet '{name}'")
            elif snippets[name][1] != block.strip("\n"):
                errors.append(f"{shown_as}: the snippet '{name}' differs from tests/readme/{snippets[name][0]}")
            used.add(name)
        errors += [f"{shown_as}: {problem}" for problem in wrong_links(root, page, text)]
    errors += [f"tests/readme/{file}: no page shows the snippet '{name}'"
               for name, (file, _) in snippets.items() if name not in used]
    print("\n".join(errors) or f"{count} blocks, all compiled")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
