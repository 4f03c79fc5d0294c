"""The JSON of a model of Keras 1:

    python3 keras1_model.py OUT.json
"""
import json
import sys

LAYERS = [
    ("Convolution2D", {"name": "convolution2d_1", "batch_input_shape": [None, 6, 5, 3], "nb_filter": 5, "nb_row": 3, "nb_col": 3,
                       "border_mode": "valid", "subsample": [1, 1], "dim_ordering": "tf", "bias": True, "activation": "relu",
                       "init": "glorot_uniform", "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None,
                       "W_constraint": None, "b_constraint": None, "trainable": True, "input_dtype": "float32"}),
    ("MaxPooling2D", {"name": "maxpooling2d_1", "pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid", "dim_ordering": "tf",
                      "trainable": True}),
    ("Dropout", {"name": "dropout_1", "p": 0.25, "trainable": True}),
    ("Flatten", {"name": "flatten_1", "trainable": True}),
    ("Dense", {"name": "dense_1", "output_dim": 3, "input_dim": None, "init": "glorot_uniform", "activation": "softmax", "bias": True,
               "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None, "W_constraint": None, "b_constraint": None,
               "trainable": True}),
]

with open(sys.argv[1], "w", encoding="utf-8") as out:
    json.dump({"class_name": "Sequential", "keras_version": "1.2.2", "config": [{"class_name": c, "config": k} for c, k in LAYERS]}, out)
