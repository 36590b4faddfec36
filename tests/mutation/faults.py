"""Planted faults as text files: what is broken, in which file, which lines, and what stands there instead.

    # a budget that is settled keeps the reservation
    src/state/budget.cpp
    -    state_->reserved.cost -= reserved.cost;
    +    state_->reserved.cost += reserved.cost;

The lines after `-` and `+` are whole lines with their indentation; without a `+` they are removed. A blank line ends a
record. Further lines `key: value` may stand between the first line and the file.
"""

import contextlib
import pathlib
from typing import NamedTuple


class FaultError(Exception):
    """A record that cannot be read, or whose lines are not in the source (any more)."""


class Fault(NamedTuple):
    room: str  # the stem of its file
    number: int  # its place there, from 1
    title: str
    file: str
    old: str
    new: str
    fields: dict

    @property
    def name(self):
        return f"{self.room}.{self.number}"

    def is_selected_by(self, words):
        return not words or any(word in (self.room, self.name) or (" " in word and word in self.title) or
                                self.title.startswith(word + ":") for word in words)


def read_faults(path):
    """The faults of one file."""
    faults = []
    records = [record for record in path.read_text().split("\n\n") if record.strip()]
    for number, record in enumerate(records, 1):
        lines = record.strip("\n").split("\n")
        if not lines[0].startswith("# "):
            raise FaultError(f"{path.name}: record {number} does not begin with '# ': {lines[0]}")
        title = lines.pop(0)[2:]
        fields = {}
        while lines and ": " in lines[0] and lines[0][0] not in "-+":
            key, value = lines.pop(0).split(": ", 1)
            fields[key] = value
        file = lines.pop(0) if lines else ""
        old = [line[1:] for line in lines if line.startswith("-")]
        new = [line[1:] for line in lines if line.startswith("+")]
        if not file or not old or len(old) + len(new) != len(lines):
            raise FaultError(f"{path.name}: '{title}' needs a file and lines that begin with '-' or '+'")
        faults.append(Fault(path.stem, number, title, file, "\n".join(old) + "\n",
                            "".join(line + "\n" for line in new), fields))
    titles = [fault.title for fault in faults]
    for title in titles:
        if titles.count(title) > 1:
            raise FaultError(f"{path.name}: '{title}' stands there twice")
    return faults


def with_fault(root, fault):
    """The text of the fault's file with the fault in it."""
    file = pathlib.Path(root) / fault.file
    text = "\n" + (file.read_text() if file.is_file() else "")
    count = text.count("\n" + fault.old)
    if count != 1:
        raise FaultError(f"{fault.name} ({fault.title}): its lines stand {count} times in {fault.file}; "
                         "adapt the fault")
    return text.replace("\n" + fault.old, "\n" + fault.new)[1:]


@contextlib.contextmanager
def planted(root, fault):
    """The tree with the fault in it, for as long as this lasts."""
    broken = with_fault(root, fault)
    file = pathlib.Path(root) / fault.file
    text = file.read_text()
    file.write_text(broken)
    try:
        yield
    finally:
        file.write_text(text)
