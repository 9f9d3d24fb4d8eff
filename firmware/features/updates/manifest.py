# Signed updates over the local API: GET and PUT /v1/firmware.
package(
    "latchkey",
    files=(
        "api/firmware.py",
        "update/__init__.py",
        "update/manifest.py",
        "update/proof.py",
        "update/record.py",
        "update/upload.py",
    ),
    base_path="../..",
)
