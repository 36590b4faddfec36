"""Checks with nm that the library cannot print, end the process or install signal handlers.

Arguments: nm, the library's file.
"""

import re
import subprocess
import sys

FORBIDDEN = re.compile(
    r"(abort|_?exit|_Exit|quick_exit|v?printf|v?fprintf|__v?f?printf_chk|puts|fputs|putchar|putc|fputc|perror"
    r"|stdout|stderr|signal|sigaction|system"
    r"|_ZSt(4cout|4cerr|4clog|5wcout|5wcerr)|_ZN3fmt\w*6vprintE\w*)$")


def main():
    nm, library = sys.argv[1:]
    dynamic = [] if library.endswith(".a") else ["--dynamic"]
    listing = subprocess.run([nm, "-A", "--undefined-only", *dynamic, library], check=True, capture_output=True, text=True)
    errors = []
    for line in listing.stdout.splitlines():
        where, _, symbol = line.rpartition(" U ")
        symbol = symbol.partition("@")[0]
        if FORBIDDEN.match(symbol):
            errors.append(f"{where.split(':')[-2 if dynamic == [] else 0]}: uses {symbol}")
    print("\n".join(errors) or "no printing, no ending of the process")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
