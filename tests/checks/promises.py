"""Checks that every promise of a public header has a test.

A promise is a sentence of a doc comment that says "never", "always", "at once", "exactly once", "wherever" or "any
thread". tests/promises.txt names for each the test cases that fail where it is broken:

    policies/bulkhead.hpp
      The sentence, to the letter.
        What does not fit on its line goes on like this.
        - the name of a test case
        - another one

Below a line `[open]` stand promises that have no test yet; their number is printed. An entry whose sentence is not, or no
longer, in its header is an error: when a promise changes, its tests are to be looked at.

Argument: the project's folder.
"""

import pathlib
import re
import sys

WORDS = re.compile(r"\b(never|always|(at|exactly)\s+once|wherever|any\s+thread)\b", re.I)
TEST_CASE = re.compile(r'\bTEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`\"(])")


def words_of(text):
    return " ".join(text.split())


def comment_blocks(text):
    """Each paragraph, list item or trailing comment as a list of (line number, text)."""
    block = []
    for number, line in enumerate(text.splitlines(), 1):
        code, mark, comment = line.partition("///")
        trailing = comment.startswith("<")
        item = re.match(r" *(- |\d\. )", comment)
        begins = code.strip() or item or (block and trailing != block[0][2])
        comment = comment[item.end() if item else trailing:].strip()
        if block and (begins or not comment):
            yield block
            block = []
        if mark and comment:
            block.append((number, comment, trailing))
    if block:
        yield block


def promises_of(text):
    """(line number, sentence) of each promise."""
    for block in comment_blocks(text):
        starts, joined = [], ""
        for number, comment, _ in block:
            starts.append((len(joined), number))
            joined += words_of(comment) + " "
        position = 0
        for sentence in SENTENCE_END.split(joined.strip()):
            position = joined.index(sentence, position)
            if WORDS.search(sentence):
                yield max(number for start, number in starts if start <= position), sentence
            position += len(sentence)


def table(path):
    """(line number, header, sentence, names of test cases, whether it is open) of each entry."""
    entries, header, is_open = [], "", False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        if content == "[open]":
            is_open = True
        elif not content or content.startswith("#"):
            continue
        elif indent == 0:
            header = content
        elif indent == 2:
            entries.append([number, header, content, [], is_open])
        elif content.startswith("- "):
            entries[-1][3].append(content[2:])
        else:
            entries[-1][2] += " " + content
    return entries


def main():
    root = pathlib.Path(sys.argv[1])
    headers = {path.relative_to(root / "include/backstop").as_posix(): path
               for path in sorted((root / "include/backstop").rglob("*.hpp"))}
    promises = {name: list(promises_of(path.read_text(encoding="utf-8"))) for name, path in headers.items()}
    cases = {"".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[1]))
             for path in (root / "tests").rglob("*.cpp")
             for match in TEST_CASE.finditer(path.read_text(encoding="utf-8"))}

    errors, named, still_open = [], set(), 0
    for number, header, sentence, tests, is_open in table(root / "tests/promises.txt"):
        place = f"tests/promises.txt:{number}"
        if sentence not in [promise for _, promise in promises.get(header, [])]:
            errors.append(f"{place}: {header} has no such promise: {sentence}")
        elif (header, sentence) in named:
            errors.append(f"{place}: stands here twice: {sentence}")
        elif not tests and not is_open:
            errors.append(f"{place}: no test is named for: {sentence}")
        elif tests and is_open:
            errors.append(f"{place}: has a test, so it is not open: {sentence}")
        errors += [f"{place}: there is no test case \"{name}\"" for name in tests if name not in cases]
        named.add((header, sentence))
        still_open += is_open
    errors += [f"{headers[header].relative_to(root)}:{line}: a promise that tests/promises.txt names no test for: {sentence}"
               for header, found in promises.items() for line, sentence in found if (header, sentence) not in named]
    if still_open:
        print(f"warning: {still_open} promises have no test yet")
    count = sum(map(len, promises.values()))
    print("\n".join(errors) or f"{count} promises in public headers, each named in tests/promises.txt")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
