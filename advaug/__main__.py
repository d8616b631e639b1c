"""`python -m advaug` is `advaug`."""

import sys

from advaug.cli import main

if __name__ == "__main__":
    sys.exit(main())
