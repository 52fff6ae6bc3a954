"""A small package for semi-supervised learning with generative adversarial networks."""

import signal
import sys

__version__ = "0.1.0"

# Only while `python -m ssgan_core.NAME` looks for its module: during the seconds of imports that
# follow, Ctrl-C ends the process without a traceback. Then `run_command` sees to it.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
