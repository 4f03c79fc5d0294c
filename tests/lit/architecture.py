"""The architecture and the weights of a .keras file, apart:

    python3 architecture.py MODEL.keras OUT.json OUT.weights.h5
"""
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as archive:
    for member, target in (("config.json", sys.argv[2]), ("model.weights.h5", sys.argv[3])):
        with open(target, "wb") as out:
            out.write(archive.read(member))
