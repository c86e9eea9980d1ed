"""`python -m dsd_runtime` is `dsd-run`."""

import sys

from dsd_runtime.cli import main

sys.exit(main())
