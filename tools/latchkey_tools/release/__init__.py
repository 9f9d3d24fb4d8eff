"""Files that a maker publishes for devices: releases of the firmware, signed key sets, and new release keys.

    payload      the bytes that a device writes: a folder's files in one piece, or the program of an image
    build        makes a payload, and describes it
    manifest     the file to hand around: a signed manifest, a newline, the payload
    keys         public keys from files; signing with a private key or by a program of the maker's

docs/updates.md says what a maker does with them. Every refusal here is a ValueError with words for the user.
"""
