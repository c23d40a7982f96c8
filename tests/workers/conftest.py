"""What tests of processes share: the relay that misbehaves on order, which stands beside the client."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "mail"))
