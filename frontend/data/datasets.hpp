// Data sets of Keras' guides as arrays, from files that are there: nothing is downloaded.
// https://keras.io/api/datasets/
#pragma once

#include <filesystem>

#include "frontend/model/choices.hpp"
#include "ir/base/array.hpp"

namespace tusk::datasets {

/// Samples and labels, one for each sample on axis 0.
struct Samples {
  Array x, y;
};
/// auto [train, test] = load_data();  auto& [x_train, y_train] = train;
struct Data {
  Samples train, test;
};

/// Where the files lie. Without a folder: in that of the environment variable TUSK_DATA, then in Keras' cache
/// (KERAS_HOME or ~/.keras, below it datasets).
struct Options {
  std::filesystem::path folder = {};
};

/// All of these throw an Error that names the files and the places where they were looked for, and refuse damaged
/// files.
///
/// Handwritten digits: u8 [60000, 28, 28] and [60000], and 10000 for the test. Files: mnist.npz as Keras has it, or the
/// four IDX files (train-images-idx3-ubyte, ...), with or without .gz; in the folder or in its subfolder mnist.
namespace mnist {
Data load_data(const Options& options = {});
}

/// Ten kinds of clothes, shapes and files as those of mnist; in the folder that is given, or in the subfolder
/// fashion-mnist of any.
namespace fashion_mnist {
Data load_data(const Options& options = {});
}

/// Colour pictures of ten classes: u8 [50000, 32, 32, 3] and [50000, 1], and 10000 for the test. Files:
/// data_batch_1.bin to data_batch_5.bin and test_batch.bin of the binary version, in the folder or in its subfolder
/// cifar-10-batches-bin. The Python version holds pickles, which are never read.
namespace cifar10 {
Data load_data(const Options& options = {});
/// One file with any number of records.
Samples load_batch(const std::filesystem::path& file);
}  // namespace cifar10

/// The same with 100 classes, or 20 coarse ones: train.bin and test.bin of the binary version, in the folder or in its
/// subfolder cifar-100-binary.
namespace cifar100 {
using LabelMode = OneOf<"fine", "coarse">;
struct Options {
  std::filesystem::path folder = {};
  LabelMode label_mode = "fine";
};
Data load_data(const Options& options = {});
/// One file with any number of records.
Samples load_batch(const std::filesystem::path& file, LabelMode label_mode = "fine");
}  // namespace cifar100

}  // namespace tusk::datasets
