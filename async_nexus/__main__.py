"""Runs the command line: `python -m async_nexus`."""

from .cli import main

if __name__ == "__main__":
    main()
