"""The command line: thin over the public Python API."""

from __future__ import annotations

import json
import os
import sys
from typing import NoReturn

BAD_INPUT = 2
"""Exit code for input that is wrong: a model, an option, a file."""


def main() -> NoReturn:
    """Run the command line; an error of ours ends it with one message and exit code 2."""
    from sardonyx.frontends.cli.app import app

    wants_json = "--json" in sys.argv[1:]
    try:
        app()
    except BrokenPipeError:
        # The reader, such as `head`, has enough; Python would complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if not _is_ours(error):
            raise
        if wants_json:
            fields = ("what", "where", "found", "expected", "remedy")
            said = {name: getattr(error, name, None) for name in fields}
            print(json.dumps({"error": {"kind": type(error).__name__, **said}}))
        else:
            print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    sys.exit(0)


def _is_ours(error: Exception) -> bool:
    """Say whether an error is of the compiler's or of the runtime's family."""
    return any(base.__name__ == "SardonyxError" for base in type(error).__mro__)
