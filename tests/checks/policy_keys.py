"""Checks that examples/policies/README.md has every key of the policy file, and none that the code does not know.

Argument: the project's folder. The code's tables are the arrays of rows (`Field`, `NamedRung`, ...) of src/config, and the
texts `accepted_...` with words that stand in no table. `<!-- keys: NAME ... -->` before a table of the page says which of
them it shows, each key as `key` in its first column. Keys also stand in a policy file of that folder, which the tests load.
"""

import json
import pathlib
import re
import sys

PAGE = "examples/policies/README.md"
NO_KEYS = {"pair", "OtherWire", "PlatformSetting"}  # rows of values, of providers, and of keys that are in another table
VALUES = {"wires", "accepted_names"}  # what a key's value may be; no file has all of them


def balanced(text, begin):
    """What stands between the brace at `begin` and the one that closes it."""
    depth, quoted, at = 0, False, begin
    while True:
        char = text[at]
        if quoted and char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted:
            depth += (char == "{") - (char == "}")
            if depth == 0:
                return text[begin + 1:at]
        at += 1


def tables_of_code(folder):
    """By name: the keys, and the file."""
    tables = {}
    for path in sorted(folder.glob("*.cpp")):
        text = path.read_text(encoding="utf-8")
        found = {}
        for match in re.finditer(r"constexpr std::array (\w+)\{", text):
            rows = re.findall(r"(\w+)(?:<\w+>)?\{\"([^\"]*)\"", balanced(text, match.end() - 1))
            keys = {key for kind, key in rows if kind not in NO_KEYS}
            if keys:
                found[match[1]] = keys
        for match in re.finditer(r"constexpr std::string_view (accepted_\w+) =\s*(R?)((?:\"[^;]*\")+);", text):
            words = re.findall(r'"(\w+)"', match[3]) if match[2] else "".join(re.findall(r'"([^"]*)"', match[3])).split(", ")
            found[match[1]] = set(words)
        for name, keys in found.items():
            if name in tables:
                sys.exit(f"src/config/{path.name}: {name} is the name of a table in {tables[name][1]}, too")
            tables[name] = (keys, path.name)
    return tables


def tables_of_page(text):
    """The names that a table has, its keys with their lines, and its own line."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        marker = re.fullmatch(r"<!-- keys: ([\w ]+) -->", line)
        if not marker:
            continue
        keys = {}
        for row in range(number + 3, len(lines)):
            if not lines[row].startswith("|"):
                break
            key = re.match(r"\| `([^`]+)` \|", lines[row])
            keys[key[1] if key else lines[row]] = row + 1
        yield marker[1].split(), keys, number + 1


def words_of(json_value):
    """Every key and every text of a file."""
    if isinstance(json_value, dict):
        for key, value in json_value.items():
            yield key
            yield from words_of(value)
    elif isinstance(json_value, list):
        for value in json_value:
            yield from words_of(value)
    elif isinstance(json_value, str):
        yield json_value


def main():
    root = pathlib.Path(sys.argv[1])
    code = tables_of_code(root / "src/config")
    errors, shown, count = [], set(), 0
    used = set()
    for path in (root / PAGE).parent.glob("*.json"):
        used.update(words_of(json.loads(path.read_text(encoding="utf-8"))))
    for names, keys, line in tables_of_page((root / PAGE).read_text(encoding="utf-8")):
        unknown = [name for name in names if name not in code]
        errors += [f"{PAGE}:{line}: src/config has no table {name}" for name in unknown]
        expected = set().union(*(code[name][0] for name in names if name in code))
        files = ", ".join(sorted({code[name][1] for name in names if name in code}))
        errors += [f"{PAGE}:{line}: lacks `{key}` of src/config/{files}" for key in sorted(expected - keys.keys())]
        errors += [f"{PAGE}:{at}: src/config knows no `{key}` here" for key, at in keys.items() if key not in expected]
        for key in sorted(expected if not VALUES & set(names) else []):
            stem = key.removesuffix("NAME")
            if not any(word == key or (stem != key and word.startswith(stem)) for word in used):
                errors.append(f"{PAGE}:{keys.get(key, line)}: no policy file beside it has `{key}`")
        shown.update(names)
        count += len(keys)
    errors += [f"src/config/{file}: {PAGE} has no table '<!-- keys: {name} -->'"
               for name, (_, file) in code.items() if name not in shown]
    print("\n".join(errors) or f"{count} keys in {len(shown)} tables, the page's and the code's")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
