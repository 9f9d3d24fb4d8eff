# Signed updates over the local API: GET and PUT /v1/firmware, PUT /v1/keys. A new release goes
# into the other of two folders, or with updates_programs also into the other of two program slots.
package(
    "latchkey",
    files=(
        "api/firmware.py",
        "api/keys.py",
        "update/finish.py",
        "update/folders.py",
        "update/judge.py",
        "update/manifest.py",
        "update/proof.py",
        "update/record.py",
        "update/upload.py",
    ),
    base_path="../..",
)
