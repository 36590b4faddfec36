"""Checks that every row of src/providers/failure's tables of foreign words has a source, and is known to a test.

Argument: the project's folder. A row is a line of an array with text in it. Its source is the comment behind it, else the
line `// Source: ...` above it; that one holds up to the next comment or blank line. A source names what can be looked up
(NAMED), or says "seen in the field, no public page". The texts of a row stand in tests/providers/*.cpp as well, in any
case; that each row decides something there is for the tests to say.
"""

import pathlib
import re
import sys

OURS = {  # tables that quote nobody
    "field_names": "parts of names; the rows of `limits` say whose",
    "words": "what we write about a repair",
    "names": "escapes of JSON",
    "harmless": "parameters of addresses that our own requests have",
}
TABLE = re.compile(r"constexpr std::array(?:<[^;={]*>)? (\w+)\{|constexpr auto (\w+) = \[\] \{")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
FIELD = "seen in the field, no public page"
NAMED = re.compile(r"\bdocs\b|specification|\bSDK\b|RFC \d|draft-\w|\w[/-]\w[\w.-]*#\d+|recorded by [\w.-]+/[\w.-]+|"
                   r"\.(?:py|ts|go|json|proto)\b|llama\.cpp server|vLLM, |litellm, |" + FIELD)


def code_and_comment(line):
    """Both without blanks around them; `//` within quotes begins no comment."""
    bare = TEXT.sub(lambda text: '"' + "x" * len(text[1]) + '"', line)
    at = bare.find("//")
    return (line.strip(), "") if at < 0 else (line[:at].strip(), line[at + 2:].strip())


def rows_of(lines):
    """Of each table in turn: its name and, for each row, the line's number, its texts, and the source or ""."""
    number = 0
    while number < len(lines):
        begin = TABLE.match(lines[number].strip().removeprefix("inline "))
        if not begin:
            number += 1
            continue
        rows, source = [], ""
        while True:
            code, comment = code_and_comment(lines[number])
            texts = TEXT.findall(code)
            if texts:
                rows.append((number + 1, texts, comment or source))
                source = "" if comment else source
            elif not code:
                group = re.match(r"Sources?: (.+)", comment)
                source = group[1] if group else ""
            number += 1
            if code.endswith(";") and (not begin[2] or code == "}();"):
                break
        yield begin[1] or begin[2], rows


def main():
    root = pathlib.Path(sys.argv[1])
    tests = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "tests/providers").glob("*.cpp")))
    tests = tests.lower()
    errors, count, tables, unpublished = [], 0, set(), 0
    for path in sorted((root / "src/providers/failure").glob("*.[ch]pp")):
        for table, rows in rows_of(path.read_text(encoding="utf-8").split("\n")):
            if table in OURS or not rows:
                continue
            tables.add(table)
            for number, texts, source in rows:
                where = f"{path.relative_to(root)}:{number}"
                count += 1
                unpublished += FIELD in source
                if not source:
                    errors.append(f"{where}: no source behind the row, nor `// Source: ...` above it")
                elif not NAMED.search(source):
                    errors.append(f"{where}: '{source}' names no page, file or thread to look it up in; "
                                  f"'{FIELD}' where there is none")
                errors += [f"{where}: no test in tests/providers has '{text}'" for text in texts
                           if text.lower() not in tests]
    print("\n".join(errors) or f"{count} rows in {len(tables)} tables have a source; {unpublished} of them no public one")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
