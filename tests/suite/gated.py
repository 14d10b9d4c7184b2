"""A plugin that waits in the middle of a pre-training, for tests that disturb it there on a machine of any speed."""

GATED = """
import os, time
from pathlib import Path
from gwbench.contracts import Objective
from gwbench.registry import register

@register("objective", "gated")
class Gated(Objective):
    \"\"\"Stops in its second epoch until a file is there.\"\"\"
    calls = 0
    def loss(self, a, b):
        self.calls += 1
        while self.calls > 8 and not Path(os.environ["GWBENCH_TEST_GATE"]).exists():
            time.sleep(0.05)
        return (a - b).square().mean() - a.std(0).mean()
"""
