"""Settings of all tests."""

from hypothesis import settings

# a test that has to wait for a busy machine has not failed
settings.register_profile("patient", deadline=None)
    "busy machine", deadline=None
)  # a test that waits its turn has not failed
settings.load_profile("patient")
