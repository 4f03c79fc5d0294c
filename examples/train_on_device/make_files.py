"""Writes the two files beside it: small_digits.keras, a model that was never trained, by Keras; and digits_data.hpp, the
200 digits of ../digits/test_digits.bin as a header.

    pip install keras==3.15.1 tensorflow-cpu==2.21.0
    python make_files.py
"""
import pathlib

import keras
from keras import layers

HERE = pathlib.Path(__file__).parent
DIGITS = 200


def write_model():
    keras.utils.set_random_seed(7)
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 16, name="scale")(image)
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    digit = layers.Dense(10, activation="softmax", name="digit")(x)
    keras.Model(image, digit, name="small_digits").save(HERE / "small_digits.keras")


def write_data():
    data = (HERE / "../digits/test_digits.bin").read_bytes()
    lines = []
    for i in range(DIGITS):
        pixels = "".join(chr(ord("A") + value) for value in data[64 * i:64 * (i + 1)])
        lines.append(f'    {{{data[64 * DIGITS + i]}, "{pixels}"}},\n')
    (HERE / "digits_data.hpp").write_text(
        f"// {DIGITS} handwritten digits (../digits/README.md says whose). Written by make_files.py.\n"
        "#pragma once\n\n"
        "struct Digit {\n"
        "  int label;\n"
        "  char pixels[65];  // 8 rows of 8: A is 0 (white), Q is 16 (black)\n"
        "};\n\n"
        f"// clang-format off\ninline constexpr Digit kDigits[{DIGITS}] = {{\n" + "".join(lines) +
        "};\n// clang-format on\n")


write_model()
write_data()
