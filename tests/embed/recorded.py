"""Fills a template with the names, sizes and the recorded call of an emitted folder (README.md lists what is what).

    python3 recorded.py TEMPLATE RESULT FOLDER [FOLDER]

Writes RESULT, and beside it NAME.inputs and NAME.outputs for each folder: the words of the recorded call, one a line in
hexadecimal, tensor by tensor in the order of the fields.
"""
import json
import pathlib
import re
import sys


def recorded(folder, manifest, function):
    """The words of each field and the values of the symbols, as the self-test has them."""
    text = (folder / f"{manifest['identifier']}_self_test.cpp").read_text()
    call = re.search(rf"= {function['identifier']}\(arena, weights, ([^{{]*)\{{", text)
    symbols = [int(value) for value in call.group(1).split(",") if value.strip()]
    for field in function["inputs"] + function["outputs"]:
        if field["type"] != "f32":
            sys.exit(f"{folder}: {field['name']} is {field['type']}; the templates know f32 alone")
    arrays = re.findall(r"^alignas\(64\) const std::uint32_t \w+\[\d+\] = {([^}]*)}", text, re.MULTILINE)
    words = [re.findall(r"0x([0-9a-f]{8})", array) for array in arrays]
    return words, symbols


def other_sizes(function, symbols, values):
    """C statements: calls with the least, the greatest and some size between for the symbols beside the batch."""
    out = ""
    for what in "least", "greatest", "other":
        sizes = dict(zip((symbol["name"] for symbol in symbols), values))
        for symbol in symbols:
            low, high, step = symbol["low"], symbol["high"], symbol["step"]
            between = low + (high - low) // 3 // step * step
            if symbol["name"] != "batch":
                sizes[symbol["name"]] = {"least": low, "greatest": high, "other": between}[what]
        counts = []
        for field in function["inputs"] + function["outputs"]:
            counts.append(1)
            for extent in field["shape"]:
                counts[-1] *= eval(extent, {"__builtins__": {}}, sizes)  # a sum, product or floor-division
        if list(sizes.values()) != values:
            numbers = [", ".join(map(str, each)) for each in (sizes.values(), counts)]
            out += f"""  {{
    static const int64_t d[] = {{{numbers[0]}}};
    static const size_t elements[] = {{{numbers[1]}}};
    other_size(arena, w, d, elements, "the {what} sizes");
  }}
"""
    return out


def refusals(name, function, symbols, values):
    """C statements: calls that have to be refused, with the status of each."""
    def call(replaced, what, status):
        return f'  gives({name}_predict(arena, w, {", ".join(map(str, replaced))}, &io), {name}_{status}, "{what}");\n'

    out = ""
    for i, symbol in enumerate(symbols):
        status = "bad_batch" if symbol["name"] == "batch" else "bad_dimension"
        wrong = [symbol["low"] - symbol["step"], symbol["high"] + symbol["step"], "INT64_MIN", "INT64_MAX"]
        if symbol["step"] > 1:
            wrong.append(symbol["low"] + 1)
        for value in wrong:
            replaced = values[:i] + [value] + values[i + 1:]
            out += call(replaced, f"{symbol['identifier']} {value}", status)
    for field in function["inputs"] + function["outputs"]:
        out += f"  io.{field['identifier']} = NULL;\n" + call(values, f"no {field['identifier']}", "null_pointer")
        out += "  io = good;\n"
    return out


def values_of(folder, result):
    folder = pathlib.Path(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    [function] = manifest["functions"]
    name = manifest["identifier"]
    words, symbols = recorded(folder, manifest, function)
    fields = [field["identifier"] for field in function["inputs"] + function["outputs"]]
    inputs = len(function["inputs"])
    starts = [sum(map(len, words[:i])) for i in range(len(words))]
    for suffix, part in ("inputs", words[:inputs]), ("outputs", words[inputs:]):
        lines = "".join(word.upper() + "\n" for tensor in part for word in tensor)
        (result.parent / f"{name}.{suffix}").write_text(lines)
    names = [symbol["name"] for symbol in manifest["symbols"]]
    at = names.index("batch") if "batch" in names else None  # no batch: one of everything
    batch = 1 if at is None else symbols[at]
    return {
        "NAME": name,
        "INPUT_SIZE": sum(map(len, words[:inputs])),
        "OUTPUT_SIZE": sum(map(len, words[inputs:])),
        "C_FIELDS": ", ".join(f".{field} = values + {start}" for field, start in zip(fields, starts)),
        "POINTERS": ", ".join(f"values + {start}" for start in starts),
        "FIELDS": ", ".join(fields),
        "FORTRAN_FIELDS": ", ".join(f"c_loc(values({start + 1}))" for start in starts),
        "DIMS": ", ".join(map(str, symbols)),
        "SYMBOLS": ", ".join(symbol["identifier"] for symbol in manifest["symbols"]),
        "FORTRAN_DIMS": ", ".join(f"{value}_c_int64_t" for value in symbols),
        "EMBEDDED": int(manifest["weights"]["embedded"]),
        "WEIGHTS_BYTES": manifest["weights"]["bytes"],
        "BATCH": batch,
        "MAX_BATCH": 1 if at is None else manifest["symbols"][at]["high"],
        "DIMS_OF_N": ", ".join("n" if i == at else str(value) for i, value in enumerate(symbols)),
        "DIMS_OF_D": ", ".join(f"d[{i}]" for i in range(len(symbols))),
        "FIELD_COUNT": len(fields),
        "INPUT_COUNT": inputs,
        "FIELD_ROWS": ", ".join(str(len(tensor) // batch) for tensor in words),
        "FIELDS_AT": ", ".join(f".{field} = at[{i}]" for i, field in enumerate(fields)),
        "OTHER_SIZES": other_sizes(function, manifest["symbols"], symbols),
        "REFUSALS": refusals(name, function, manifest["symbols"], symbols),
    }


def main(template, result, *folders):
    result = pathlib.Path(result)
    values = {}
    for folder, suffix in zip(folders, ("_A", "_B") if len(folders) == 2 else ("",)):
        values.update({key + suffix: value for key, value in values_of(folder, result).items()})
    text = pathlib.Path(template).read_text()
    result.write_text(re.sub(r"@(\w+)@", lambda found: str(values[found.group(1)]), text))


if __name__ == "__main__":
    main(*sys.argv[1:])
