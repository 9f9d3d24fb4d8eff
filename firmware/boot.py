"""Before main, as MicroPython boots: how the heap is kept.

Imports leave holes between what stays; collecting every few KB while they run lets the next ones fill these. Measured
on the unix port with 256 KB: 45 KB in one piece are left after all imports, against 1.2 KB without.
"""

import gc

gc.threshold(16 * 1024)
