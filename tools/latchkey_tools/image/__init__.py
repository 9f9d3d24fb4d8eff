"""Freeze modules into an official MicroPython image for an ESP32, without a compiler, an ELF file or ESP-IDF.

    container    the .bin file: bootloader, partition table, application, its segments and checksums
    partitions   the partition table, also with two program slots
    references   which instructions of the application hold an address, for Xtensa and RISC-V
    bytecode     what mpy-cross made of a module, and which names and constants its code uses
    tables       MicroPython's tables in an application: names, types, frozen modules; reads modules back
    freezing     writes modules and new tables into an application, and compares the result with what was meant
    recipe       what a board freezes, which images were tried, the command's work

docs/image.md draws both formats and names the source of every structure. Nothing is guessed: a table is found by what
it holds and checked against what the image itself froze. A difference is refused (``Refused``) and changes nothing.
"""


class Refused(Exception):
    """The image, or what is to be frozen, is not what this tool understands; the text names it."""


def need(condition, why):
    """Refused(``why``) unless ``condition`` holds."""
    if not condition:
        raise Refused(why)
