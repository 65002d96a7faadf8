"""A CloudStack management server for tests; lab/README.md says how it is run."""
