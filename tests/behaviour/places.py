"""Where things lie in the tree. Not in conftest.py: there is one in each folder, and `import conftest` finds any."""

import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
LAB = TOP / "lab"
sys.path.insert(0, str(LAB))    # for `import vmdk, ova`
