"""Settings of all tests."""

import os
import signal

from hypothesis import settings

# One thread a process, here and in what tests start: `make test` runs as many as there are cores.
os.environ["OMP_NUM_THREADS"] = "1"
# Under nohup the tests of a closed terminal would have nothing to close.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# a test that has to wait for a busy machine has not failed
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
