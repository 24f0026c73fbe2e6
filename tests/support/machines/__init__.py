"""Run tests on any container engine, each in a private view of this machine that is removed completely."""
