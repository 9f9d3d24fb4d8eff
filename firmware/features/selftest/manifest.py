# The self-test, which `latchkey board selftest` runs.
module("selftest.py", base_path="../..")
