#include "frontend/data/datasets.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <map>
#include <optional>

#include "frontend/files/gzip.hpp"
#include "frontend/files/idx.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/model/arrays.hpp"
#include "frontend/model/error.hpp"

namespace tusk::datasets {
namespace {

namespace fs = std::filesystem;

fs::path from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The folder of Keras' downloads.
fs::path keras_cache() {
  if (const fs::path home = from_environment("KERAS_HOME"); !home.empty()) return home / "datasets";
  if (const fs::path home = from_environment("HOME"); !home.empty()) return home / ".keras" / "datasets";
  return {};
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// Where a data set may lie. `own` says that its files' names are not those of another one, so that they may lie among
/// others.
std::vector<fs::path> places_of(const fs::path& folder, const std::vector<std::string>& subfolders, bool own) {
  std::vector<fs::path> places;
  const auto add = [&](const fs::path& root, bool itself) {
    if (root.empty()) return;
    if (itself) places.push_back(root);
    for (const std::string& name : subfolders) places.push_back(root / name);
  };
  if (!folder.empty()) {
    add(folder, true);
  } else {
    add(from_environment("TUSK_DATA"), own);
    add(keras_cache(), own);
  }
  return places;
}

/// The file or the packed one, if there is one.
std::optional<fs::path> found(const fs::path& place, const std::string& file) {
  if (is_file(place / file)) return place / file;
  if (is_file(place / (file + ".gz"))) return place / (file + ".gz");
  return std::nullopt;
}

/// Says what was looked for. `sets`: each of these sets of files would do.
Diagnostic missing(std::string_view name, const std::vector<fs::path>& places,
                   const std::vector<std::vector<std::string>>& sets, bool folder_given) {
  Diagnostic problem =
      error("dataset-missing", fmt::format("the files of {} are not there, and nothing is downloaded", name));
  for (std::size_t i = 0; i < sets.size(); ++i)
    problem.note(fmt::format("{} {}", i == 0 ? "wanted" : "or", fmt::join(sets[i], ", ")));
  for (const fs::path& place : places) {
    std::error_code ignored;
    std::string lacking;
    for (const std::vector<std::string>& set : sets) {
      std::vector<std::string> absent;
      for (const std::string& file : set) {
        if (!found(place, file)) absent.push_back(file);
      }
      if (absent.size() < set.size()) lacking = fmt::format(", which lacks {}", fmt::join(absent, ", "));
    }
    problem.note(fmt::format("looked in {}{}", in_quotes(place.string()),
                             fs::is_directory(place, ignored) ? lacking : ", which is no folder"));
  }
  if (!folder_given) problem.note("name a folder: load_data({.folder = ...}), or set TUSK_DATA");
  return problem;
}

/// The paths of a whole set of files in one place.
std::optional<std::vector<fs::path>> all_found(const fs::path& place, const std::vector<std::string>& files) {
  std::vector<fs::path> paths;
  for (const std::string& file : files) {
    const std::optional<fs::path> path = found(place, file);
    if (!path) return std::nullopt;
    paths.push_back(*path);
  }
  return paths;
}

// ---- digits and clothes --------------------------------------------------------------------------------------------

const std::vector<std::string> kIdxFiles = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                            "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
const std::vector<std::string> kArrays = {"x_train", "y_train", "x_test", "y_test"};

/// Four arrays in the order of the names above, from `where`.
Expected<Data> pictures_of(std::vector<Array> arrays, const std::string& where) {
  for (std::size_t i = 0; i < 4; i += 2) {
    const auto& x = arrays[i].shape();
    const auto& y = arrays[i + 1].shape();
    const bool fits = arrays[i].dtype() == DType::u8 && arrays[i + 1].dtype() == DType::u8 && x.size() == 3 &&
                      x[1] == 28 && x[2] == 28 && y.size() == 1 && x[0] == y[0];
    if (!fits) {
      return error("dataset-format",
                   fmt::format("{} in {}: found {} ({}) and {} ({}), expected u8 (n, 28, 28) and u8 (n)", kArrays[i],
                               in_quotes(where), name_of(arrays[i].dtype()), fmt::join(x, ", "),
                               name_of(arrays[i + 1].dtype()), fmt::join(y, ", ")));
    }
  }
  return Data{{arrays[0], arrays[1]}, {arrays[2], arrays[3]}};
}

Expected<Data> from_npz(const fs::path& path) {
  TRY(const auto members, read_npz(path));
  std::vector<Array> arrays;
  for (const std::string& name : kArrays) {
    const auto member = members.find(name);
    if (member == members.end()) {
      return error("dataset-format", fmt::format("{} has no array {}; expected {}", in_quotes(path.string()), name,
                                                 fmt::join(kArrays, ", ")));
    }
    arrays.push_back(member->second);
  }
  return pictures_of(std::move(arrays), path.string());
}

Expected<Data> from_idx(const std::vector<fs::path>& paths) {
  std::vector<Array> arrays;
  for (const fs::path& path : paths) {
    TRY(const Bytes bytes, read_unpacked(path));
    TRY(Array array, read_idx(bytes, path.string()));
    arrays.push_back(std::move(array));
  }
  return pictures_of(std::move(arrays), paths[0].parent_path().string());
}

Expected<Data> load_pictures(std::string_view name, const std::vector<fs::path>& places, const std::string& npz,
                             bool folder_given) {
  for (const fs::path& place : places) {
    if (!npz.empty() && is_file(place / npz)) return from_npz(place / npz);
    if (const auto paths = all_found(place, kIdxFiles)) return from_idx(*paths);
  }
  std::vector<std::vector<std::string>> sets{kIdxFiles};
  if (!npz.empty()) sets.push_back({npz});
  return missing(name, places, sets, folder_given);
}

// ---- CIFAR ---------------------------------------------------------------------------------------------------------

constexpr std::size_t kSide = 32, kPlane = kSide * kSide, kColours = 3;

/// A record of the binary versions: labels, a byte each, then all red, all green and all blue, row by row.
struct Records {
  std::size_t labels;  // in front of each record
  std::size_t label;   // the one that is taken
  int classes;         // that it may name
};

Expected<Samples> read_records(const fs::path& path, const Records& records, std::optional<std::size_t> expected = {}) {
  TRY(const Bytes bytes, read_unpacked(path));
  const std::size_t size = records.labels + kColours * kPlane;
  const std::size_t count = bytes.size() / size;
  const auto refuse = [&](std::string_view why) {
    return error("dataset-format", fmt::format("cannot read {}: {}", in_quotes(path.string()), why));
  };
  if (bytes.size() % size != 0 || count == 0) {
    return refuse(fmt::format("{} bytes, expected records of {} bytes ({} of labels, {} of colours)", bytes.size(),
                              size, records.labels, kColours * kPlane));
  }
  if (expected && count != *expected) return refuse(fmt::format("{} records, expected {}", count, *expected));
  const auto n = static_cast<std::int64_t>(count);
  Samples samples{Array(DType::u8, {n, kSide, kSide, kColours}), Array(DType::u8, {n, 1})};
  const std::span<std::byte> x = samples.x.writable_bytes();
  const std::span<std::byte> y = samples.y.writable_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* record = bytes.data() + i * size;
    y[i] = record[records.label];
    if (std::to_integer<int>(y[i]) >= records.classes) {
      return refuse(
          fmt::format("record {} has label {}, expected less than {}", i, std::to_integer<int>(y[i]), records.classes));
    }
    std::byte* to = x.data() + i * kColours * kPlane;
    for (std::size_t pixel = 0; pixel < kPlane; ++pixel) {
      for (std::size_t colour = 0; colour < kColours; ++colour)
        *to++ = record[records.labels + colour * kPlane + pixel];
    }
  }
  return samples;
}

/// How a data set is spread over files.
struct Batches {
  std::string name;
  std::string folder;   // of the binary version
  std::string pickles;  // folder of the Python version
  std::string archive;  // of the binary version
  std::vector<std::string> train;
  std::string test;
  std::size_t train_count;  // of each file
};

Expected<Data> load_batches(const Batches& set, const Records& records, const fs::path& folder) {
  // train.bin is a name that others have, too.
  const std::vector<fs::path> places = places_of(folder, {set.folder}, set.train.size() > 1);
  std::vector<std::string> files = set.train;
  files.push_back(set.test);
  for (const fs::path& place : places) {
    const auto paths = all_found(place, files);
    if (!paths) continue;
    std::vector<Array> x, y;
    for (std::size_t i = 0; i < set.train.size(); ++i) {
      TRY(Samples part, read_records((*paths)[i], records, set.train_count));
      x.push_back(std::move(part.x));
      y.push_back(std::move(part.y));
    }
    TRY(Samples test, read_records(paths->back(), records, 10000));
    return Data{{joined(x), joined(y)}, std::move(test)};
  }
  Diagnostic problem = missing(set.name, places, {files}, !folder.empty());
  for (const fs::path& place : places_of(folder, {set.pickles, set.pickles + "-target/" + set.pickles}, true)) {
    std::error_code ignored;
    if (place.filename() != set.pickles || !fs::is_directory(place, ignored)) continue;
    problem.note(fmt::format("{} holds pickles, which are never read; take the binary version, {}, which unpacks to {}",
                             in_quotes(place.string()), set.archive, set.folder));
  }
  return problem;
}

Records cifar100_records(cifar100::LabelMode mode) {
  const bool fine = mode == "fine";
  return {2, fine ? 1U : 0U, fine ? 100 : 20};  // the coarse label comes first
}

constexpr Records kCifar10 = {1, 0, 10};

}  // namespace

Data mnist::load_data(const Options& options) {
  return value_or_throw(
      load_pictures("MNIST", places_of(options.folder, {"mnist"}, true), "mnist.npz", !options.folder.empty()));
}

Data fashion_mnist::load_data(const Options& options) {
  return value_or_throw(
      load_pictures("Fashion-MNIST", places_of(options.folder, {"fashion-mnist"}, false), "", !options.folder.empty()));
}

Data cifar10::load_data(const Options& options) {
  const Batches set = {
      "CIFAR-10",
      "cifar-10-batches-bin",
      "cifar-10-batches-py",
      "cifar-10-binary.tar.gz",
      {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
      "test_batch.bin",
      10000};
  return value_or_throw(load_batches(set, kCifar10, options.folder));
}

Samples cifar10::load_batch(const fs::path& file) { return value_or_throw(read_records(file, kCifar10)); }

Data cifar100::load_data(const Options& options) {
  const Batches set = {
      "CIFAR-100", "cifar-100-binary", "cifar-100-python", "cifar-100-binary.tar.gz", {"train.bin"}, "test.bin", 50000};
  return value_or_throw(load_batches(set, cifar100_records(options.label_mode), options.folder));
}

Samples cifar100::load_batch(const fs::path& file, LabelMode label_mode) {
  return value_or_throw(read_records(file, cifar100_records(label_mode)));
}

}  // namespace tusk::datasets
