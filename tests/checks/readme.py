"""Checks that the C++ in README.md is code that the build compiles. Argument: the project's folder.

In README.md `<!-- snippet: name -->` stands on the line before a C++ block; in a file of tests/readme the same lines
stand between `// [name]` and `// [/name]`, however far indented.
"""

import pathlib
import re
import sys
import textwrap


def compiled_snippets(folder):
    snippets = {}
    for path in sorted(folder.glob("*.cpp")):
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^[ \t]*// \[(\w[\w-]*)\]\n(.*?)^[ \t]*// \[/\1\]$", text, re.M | re.S):
            snippets[match[1]] = (path.name, textwrap.dedent(match[2]).strip("\n"))
    return snippets


def main():
    root = pathlib.Path(sys.argv[1])
    readme = root / "README.md"
    if not readme.exists():
        print("SKIPPED: there is no README.md")
        sys.exit(77)
    snippets = compiled_snippets(root / "tests/readme")
    errors, used = [], set()
    blocks = list(re.finditer(r"(?:<!-- snippet: ([\w-]+) -->\n)?```cpp\n(.*?)^```$", readme.read_text(encoding="utf-8"),
                              re.M | re.S))
    for match in blocks:
        name, shown = match[1], match[2].strip("\n")
        first = shown.partition("\n")[0]
        if name is None:
            errors.append(f"README.md: no '<!-- snippet: name -->' before the block that begins with: {first}")
        elif name not in snippets:
            errors.append(f"README.md: no file of tests/readme has the snippet '{name}'")
        elif snippets[name][1] != shown:
            errors.append(f"README.md: the snippet '{name}' differs from tests/readme/{snippets[name][0]}")
        used.add(name)
    errors += [f"tests/readme/{file}: README.md does not show the snippet '{name}'"
               for name, (file, _) in snippets.items() if name not in used]
    print("\n".join(errors) or f"{len(blocks)} blocks, all compiled")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
