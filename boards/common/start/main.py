# Latchkey's starter, written by `latchkey board deploy`: runs the release whose folder boot.py put first on the path.
import sys

if sys.path[0][-2:] in ("/a", "/b"):
    import main

    main.run()
else:
    print("Latchkey: no whole release is on this board; run `latchkey board deploy`")
