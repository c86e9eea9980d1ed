"""`python -m dsd_runtime` is `dsd-run`."""

import os
import sys

if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):
    sys.path.append(sys.path.pop(0))  # `-m` puts the working folder first, where its files would shadow modules

from dsd_runtime.cli import main

sys.exit(main())
