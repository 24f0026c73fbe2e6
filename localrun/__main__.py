"""Entry point of `python -m localrun`."""

import sys

from localrun.cli import main

if __name__ == "__main__":
    sys.exit(main())
