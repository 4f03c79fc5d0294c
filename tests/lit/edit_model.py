"""Copies a .keras file with another architecture in it.

    python3 edit_model.py FROM.keras TO.keras "layers[1]['config'].update(units=-3)"

The statement sees `model`, the object of config.json, and `layers`, its list of layers.
"""
import json
import sys
import zipfile


def main(source, target, statement):
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    model = json.loads(members["config.json"])
    exec(statement, {"model": model, "layers": model["config"].get("layers")})
    members["config.json"] = json.dumps(model).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


if __name__ == "__main__":
    main(*sys.argv[1:])
