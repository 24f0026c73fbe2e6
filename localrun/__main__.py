"""Entry point of `python -m localrun`."""

import sys

try:
    from localrun.cli import main
except ImportError as error:
    from localrun.errors import missing_package

    sys.exit(missing_package(error, sys.executable, "run the Python of the environment with localrun"))

if __name__ == "__main__":
    sys.exit(main())
