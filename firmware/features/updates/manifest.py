# Signed updates over the local API: GET and PUT /v1/firmware, PUT /v1/keys.
package(
    "latchkey",
    files=(
        "api/firmware.py",
        "api/keys.py",
        "update/__init__.py",
        "update/finish.py",
        "update/judge.py",
        "update/manifest.py",
        "update/proof.py",
        "update/record.py",
        "update/upload.py",
    ),
    base_path="../..",
)
