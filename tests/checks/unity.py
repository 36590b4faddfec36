"""Checks that files can be compiled together: in a unity build the names that are local to one are seen by the next.

In src/ a name that is local to a file (in a namespace without a name, or static) stands in one file of a group of rooms
only; the groups are those of `backstop_unity_groups` in cmake/targets.cmake. A repeated function would be an error at best and
another overload at worst. A test file keeps everything in a namespace that is called as the file is, so that test files
may be put together in any way. Argument: the project's folder.
"""

import collections
import pathlib
import re
import sys

TYPE = re.compile(r"(?:class|struct|union|enum(?: class)?) (?:\[\[\w+\]\] )?(\w+)")
ALIAS = re.compile(r"using (\w+ = .*;)")
FUNCTION = re.compile(r"[^=(\"]*?(?<!::)\b(\w+)\(")
VARIABLE = re.compile(r"[^=({\[]*?\b(\w+)\s*(?:=|\{|\[|;)")
NOT_A_DECLARATION = re.compile(r"[\s}/#)\"]|template|namespace|static_assert|using (?!\w+ =)|$|[^=(]*\w::~?\w+\(")


def local_names(text):
    """The names at file scope in namespaces without a name, and static ones, with their lines."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"namespace \{", line):
            inside = True
        elif re.match(r"\}  // namespace$", line):
            inside = False
        elif (inside or line.startswith("static ")) and not NOT_A_DECLARATION.match(line):
            match = TYPE.match(line) or ALIAS.match(line) or FUNCTION.match(line) or VARIABLE.match(line)
            if match:
                yield match[1], number, line.startswith("using ")


def read_groups(root):
    """The group of each room that is compiled together with others."""
    text = (root / "cmake" / "targets.cmake").read_text(encoding="utf-8")
    rows = re.findall(r'"(\w+): ([^"]+)"', text[text.index("set(backstop_unity_groups") :].partition(")")[0])
    return {room: name for name, rooms in rows for room in rooms.split()}


def room_of(path):
    parts = path.parts
    depth = 2 if parts[0] == "providers" and len(parts) > 2 else 1
    return "/".join(parts[:-1][:depth]) or "."


def main():
    root = pathlib.Path(sys.argv[1])
    errors = []
    places = collections.defaultdict(dict)
    aliases = {}  # the same meaning twice is no clash
    groups = read_groups(root)
    for room in groups:
        if not (root / "src" / room).is_dir():
            errors.append(f"cmake/targets.cmake:1: backstop_unity_groups names {room}, which is no room of src/")
    for base in (root / "src", root / "examples"):
        for path in sorted(base.rglob("*.cpp")):
            room = room_of(path.relative_to(base))
            group = groups.get(room, "src/" + room) if base.name == "src" else "examples/" + room
            for name, number, is_alias in local_names(path.read_text(encoding="utf-8")):
                if is_alias:
                    name, meaning = name.split(" = ")
                    if aliases.setdefault((group, name), meaning) == meaning:
                        continue
                places[group, name].setdefault(path.relative_to(root), number)
    for (group, name), files in places.items():
        (first, _), *others = files.items()
        for path, number in others:
            errors.append(f"{path}:{number}: '{name}' is local to {first} too; in {group} they are compiled together")

    tests = sorted((root / "tests").rglob("*_test.cpp"))
    for path in tests:
        text = path.read_text(encoding="utf-8")
        opening, closing = f"\nnamespace {path.stem} {{\n", f"\n}}  // namespace {path.stem}\n"
        if opening not in text or not text.endswith(closing):
            errors.append(f"{path.relative_to(root)}:1: what follows the includes has to stand in 'namespace {path.stem}'")
    print("\n".join(errors) or f"{len(places)} local names and {len(tests)} test files: none gets in another's way")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
