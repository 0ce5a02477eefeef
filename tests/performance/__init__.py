"""How fast the networks compute here, and what share of the device that is: `python -m tests.performance --help`."""
