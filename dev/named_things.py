"""Whether every test, function and type that the documents name is there: `FILE::NAME` in backquotes.

    python dev/named_things.py ROOT

A document that says what shows a promise is worth as much as the thing it names. `…::NAME` is in the file named before.
"""

import pathlib
import re
import sys

DOCUMENTS = ("ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "docs/*.md", "docs/adr/*.md")

# Where a path may begin.
ROOTS = ("", "api/tests/it", "api/src", "api", "domain/src", "search/src", "indexer-lambda/src")

ONE = re.compile(r"(…|[\w./-]+\.(?:rs|sh|py|mjs))::(\w+)")
CODE = re.compile(r"`[^`]*`")


def find(root, path):
    """The files that may be meant, wherever the path begins."""
    return [root / place / path for place in ROOTS if (root / place / path).is_file()]


def defines(file, name):
    """Whether something of that name is made in it; a test may be a line of a list in a macro."""
    text = file.read_text(encoding="utf-8")
    made = rf"\b(?:fn|def|class|struct|enum|trait|function) {name}\b|^ *{name}\(\) \{{|^ *{name}$"
    return re.search(made, text, re.MULTILINE)


def missing(root, document):
    """What a document names and is not there; and how much it names."""
    path, count, faults = None, 0, []
    for code in CODE.findall(document.read_text(encoding="utf-8")):
        for named, name in ONE.findall(code):
            path = path if named == "…" else named
            count += 1
            files = find(root, path) if path else []
            if not files:
                faults.append(f"{document.name}: there is no {path}")
            elif not any(defines(file, name) for file in files):
                faults.append(f"{document.name}: {path} has no {name}")
    return count, faults


def main():
    """Looks through all documents; a line for each thing that is missing."""
    root, count, faults = pathlib.Path(sys.argv[1]), 0, []
    for pattern in DOCUMENTS:
        for document in sorted(root.glob(pattern)):
            found = missing(root, document)
            count += found[0]
            faults += found[1]
    for fault in faults:
        print(f"    {fault}", file=sys.stderr)
    raise SystemExit(bool(faults) or count < 100)


main()
