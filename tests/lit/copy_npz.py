"""Copies recorded calls, with some arrays left out or taken from others.

    python3 copy_npz.py FROM.npz TO.npz out/0=in/x in/x=      out/0 becomes what in/x is, in/x is left out
"""
import sys
import zipfile


def main(source, target, *changes):
    with zipfile.ZipFile(source) as archive:
        old = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    new = dict(old)
    for name, origin in (change.split("=") for change in changes):
        new.pop(name, None)
        if origin:
            new[name] = old.get(origin, origin.encode())
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in new.items():
            archive.writestr(name + ".npy", data)


if __name__ == "__main__":
    main(*sys.argv[1:])
