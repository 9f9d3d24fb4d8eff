"""Format an image file with LittleFS and copy a host folder into it, on the unix port itself.

micropython mkimage.py IMAGE FOLDER
"""

import os
import sys

import fileblocks
import vfs

_DIRECTORY = 0x4000


def copy_tree(source, target):
    for name, kind, *_ in os.ilistdir(source):
        if kind == _DIRECTORY:
            os.mkdir(target + "/" + name)
            copy_tree(source + "/" + name, target + "/" + name)
        else:
            copy_file(source + "/" + name, target + "/" + name)


def copy_file(source, target):
    with open(source, "rb") as reading:
        with open(target, "wb") as writing:
            while True:
                part = reading.read(4096)
                if not part:
                    return
                writing.write(part)


def main(image, folder):
    blocks = fileblocks.FileBlocks(image)
    vfs.VfsLfs2.mkfs(blocks)
    vfs.mount(vfs.VfsLfs2(blocks), "/flash")
    copy_tree(folder, "/flash")
    vfs.umount("/flash")


main(sys.argv[1], sys.argv[2])
