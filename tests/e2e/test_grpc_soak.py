# SPDX-License-Identifier: Apache-2.0
"""tests/bench/grpc_soak.py, for a moment: it must not rot. At full length it is run by hand."""
import os
import subprocess
import sys
import unittest

from signet import BUILD, TREE

SOAK = os.path.join(TREE, "tests", "bench", "grpc_soak.py")


class Soak(unittest.TestCase):
    def test_a_few_thousand_calls_leave_nothing_behind(self):
        for more in ([], ["--tls", "--seed", "2"]):
            done = subprocess.run([sys.executable, SOAK, "--build", BUILD, "--calls", "2000",
                                   "--workers", "2", *more], capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
