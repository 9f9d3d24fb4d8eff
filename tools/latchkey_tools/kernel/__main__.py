"""See the package: write the kernel for every chip, or print it for one."""

import sys

from latchkey_tools import kernel
from latchkey_tools.kernel.assembler import listing


def main(arguments):
    if not arguments:
        for arch in kernel.SOURCES:
            print(kernel.write(arch))
    for arch in arguments:
        for name, lines in kernel.lines(arch).items():
            print(f"{name}:")
            print("".join(f"{at:6x}  {text}\n" for at, text in listing(lines)))


if __name__ == "__main__":
    main(sys.argv[1:])
