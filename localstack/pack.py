"""Packs the Lambda's program as AWS and the emulators take it: a zip with `bootstrap` in it.

    python localstack/pack.py PROGRAM OUT

The same program gives the same zip, so that whoever gets it again knows that nothing changed.
"""

import os
import sys
import zipfile


def pack(program, out):
    """Writes the zip beside its place and moves it there: a function may be made from it meanwhile."""
    with open(program, "rb") as file:
        code = file.read()
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = 0o100755 << 16
    new = f"{out}.{os.getpid()}"
    with zipfile.ZipFile(new, "w") as archive:
        archive.writestr(entry, code)
    os.replace(new, out)


pack(*sys.argv[1:])
