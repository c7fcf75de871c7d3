"""Bitwuzla behind the command line that SymbiYosys expects; its wheel has none.

SMT-LIB commands come in on standard input, and answers go out.
"""

import ctypes
import re
import sys

import bitwuzla

#: What may hold a parenthesis that is none, and parentheses.
TOKEN = re.compile(r'\|[^|]*\||"[^"]*"|;[^\n]*|[()]')


def main() -> None:
    if "--help" in sys.argv:
        # SymbiYosys asks for the version's manners.
        print("--lang --time-limit")
        return
    # Bitwuzla writes past Python's own buffers.
    flush = ctypes.CDLL(None).fflush
    parser = bitwuzla.Parser(bitwuzla.TermManager(), bitwuzla.Options())
    command, depth = "", 0
    for line in sys.stdin:
        if not command and (not line.strip() or line.lstrip().startswith(";")):
            continue
        command += line
        depth += sum((token == "(") - (token == ")") for token in TOKEN.findall(line))
        if depth:
            continue
        if command.startswith("(exit"):
            return
        parser.parse(command, False, False)
        flush(None)
        command = ""


if __name__ == "__main__":
    main()
