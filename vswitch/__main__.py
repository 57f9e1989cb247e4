"""``python -m vswitch``: the same as the command ``vswitch``."""

import sys

from vswitch.cli import main

sys.exit(main())
