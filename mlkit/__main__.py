"""The command `mlkit`, and ``python -m mlkit``.

Nothing is open while the command line is imported: until `main` takes over, ^C ends the process at once and without
a word, as it does any C tool.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the caller had it ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from mlkit.cli import main

if __name__ == "__main__":
    main()
