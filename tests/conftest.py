"""Settings of all tests."""

from hypothesis import settings

# a test that has to wait for a busy machine has not failed
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
