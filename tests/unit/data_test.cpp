// Arrays for training programs: data sets, and what is done to arrays.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "frontend/data/arrays.hpp"
#include "frontend/data/datasets.hpp"
#include "frontend/files/bytes.hpp"
#include "frontend/files/gzip.hpp"
#include "frontend/files/idx.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Extents = std::vector<std::int64_t>;

template <class T>
Array array_of(DType type, Extents shape, const std::vector<T>& values) {
  Array out(type, std::move(shape));
  for (std::size_t i = 0; i < values.size(); ++i) out.set(static_cast<std::int64_t>(i), static_cast<double>(values[i]));
  return out;
}

std::vector<double> values_of(const Array& array) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < array.size(); ++i) out.push_back(array.at(i));
  return out;
}

std::string gzip(const std::string& text) {
  std::string out(text.size() + 1024, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

/// An IDX file: type, sizes, bytes.
std::string idx(char type, const std::vector<unsigned>& sizes, const std::string& data) {
  std::string out{0, 0, type, static_cast<char>(sizes.size())};
  for (const unsigned size : sizes) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) out += static_cast<char>(size >> shift & 255U);
  }
  return out + data;
}

std::string digits(std::size_t count, char first) {
  std::string pixels(count * 784, '\0');
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(first + static_cast<char>(i % 7));
  return idx(8, {static_cast<unsigned>(count), 28, 28}, pixels);
}

/// A folder that is there for one test, and an environment without data sets.
class Data : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    unsetenv("TUSK_DATA");
    setenv("KERAS_HOME", (folder_ / "keras").c_str(), 1);
  }
  void TearDown() override {
    fs::remove_all(folder_);
    unsetenv("TUSK_DATA");
    unsetenv("KERAS_HOME");
  }

  fs::path put(const fs::path& name, const std::string& text) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  void put_digits(const fs::path& into, const std::string& ending = "") {
    const auto packed = [&](const std::string& text) { return ending.empty() ? text : gzip(text); };
    put(into / ("train-images-idx3-ubyte" + ending), packed(digits(3, 5)));
    put(into / ("train-labels-idx1-ubyte" + ending), packed(idx(8, {3}, "\1\2\3")));
    put(into / ("t10k-images-idx3-ubyte" + ending), packed(digits(2, 9)));
    put(into / ("t10k-labels-idx1-ubyte" + ending), packed(idx(8, {2}, "\4\5")));
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("tusk_data_test_{}", getpid());
};

// ---- data sets -----------------------------------------------------------------------------------------------------

TEST_F(Data, DigitsFromIdxFiles) {
  put_digits("plain");
  put_digits("packed", ".gz");
  for (const char* name : {"plain", "packed"}) {
    auto [train, test] = datasets::mnist::load_data({.folder = folder_ / name});
    EXPECT_EQ(train.x.shape(), (Extents{3, 28, 28}));
    EXPECT_EQ(train.x.dtype(), DType::u8);
    EXPECT_THAT(values_of(train.y), ElementsAre(1, 2, 3));
    EXPECT_EQ(train.x.at(3 * 784 - 1), 5 + (3 * 784 - 1) % 7);
    EXPECT_EQ(test.x.shape(), (Extents{2, 28, 28}));
    EXPECT_EQ(test.x.at(0), 9);
    EXPECT_THAT(values_of(test.y), ElementsAre(4, 5));
  }
}

TEST_F(Data, PlacesInTheirOrder) {
  const auto first_pixel = [] { return datasets::mnist::load_data().train.x.at(0); };
  const auto archive = [&](const fs::path& at, double pixel) {
    fs::create_directories((folder_ / at).parent_path());
    save_npz(folder_ / at, {{"x_train", Array::splat(DType::u8, {2, 28, 28}, pixel)},
                            {"y_train", Array(DType::u8, {2})},
                            {"x_test", Array(DType::u8, {1, 28, 28})},
                            {"y_test", Array(DType::u8, {1})}});
  };
  archive("keras/datasets/mnist.npz", 77);
  EXPECT_EQ(first_pixel(), 77);
  setenv("TUSK_DATA", folder_.c_str(), 1);
  EXPECT_EQ(first_pixel(), 77);
  put_digits("mnist");
  EXPECT_EQ(first_pixel(), 5);
  archive("mnist.npz", 99);
  EXPECT_EQ(first_pixel(), 99);
  // A folder that is named is the only place.
  EXPECT_EQ(datasets::mnist::load_data({.folder = folder_ / "mnist"}).train.x.at(0), 5);
  EXPECT_THAT(error_of([&] { datasets::mnist::load_data({.folder = folder_ / "keras"}); }),
              HasSubstr("[dataset-missing]"));
  // The files of clothes have the names of those of digits: they count only where it is said that they are clothes.
  put_digits("");
  EXPECT_THAT(error_of([] { datasets::fashion_mnist::load_data(); }), HasSubstr("[dataset-missing]"));
  put_digits("fashion-mnist", ".gz");
  EXPECT_EQ(datasets::fashion_mnist::load_data().train.y.at(1), 2);
  EXPECT_EQ(datasets::fashion_mnist::load_data({.folder = folder_ / "mnist"}).train.y.at(1), 2);
}

TEST_F(Data, SaysWhatIsMissing) {
  setenv("TUSK_DATA", (folder_ / "none").c_str(), 1);
  put_digits("keras/datasets/mnist");
  fs::remove(folder_ / "keras/datasets/mnist/t10k-images-idx3-ubyte");
  const std::string text = error_of([] { datasets::mnist::load_data(); });
  EXPECT_THAT(text, HasSubstr("the files of MNIST are not there, and nothing is downloaded [dataset-missing]"));
  EXPECT_THAT(text, HasSubstr("wanted train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "));
  EXPECT_THAT(text, HasSubstr("or mnist.npz"));
  EXPECT_THAT(text, HasSubstr("none\", which is no folder"));
  EXPECT_THAT(text, HasSubstr("keras/datasets/mnist\", which lacks t10k-images-idx3-ubyte\n"));
  EXPECT_THAT(text, HasSubstr("set TUSK_DATA"));
  EXPECT_THAT(error_of([&] { datasets::mnist::load_data({.folder = folder_}); }), Not(HasSubstr("set TUSK_DATA")));
}

TEST_F(Data, CifarOfTheBinaryVersion) {
  const auto record = [](char label, char red, char green, char blue) {
    return std::string(1, label) + std::string(1024, red) + std::string(1023, green) + 'g' + std::string(1024, blue);
  };
  const fs::path two = put("two.bin", record(9, 1, 2, 3) + record(0, 4, 5, 6));
  const auto [x, y] = datasets::cifar10::load_batch(two);
  EXPECT_EQ(x.shape(), (Extents{2, 32, 32, 3}));
  EXPECT_EQ(y.shape(), (Extents{2, 1}));
  EXPECT_THAT(values_of(y), ElementsAre(9, 0));
  EXPECT_THAT(values_of(slice(reshape(x, {-1, 3}), 1022, 1025)), ElementsAre(1, 2, 3, 1, 'g', 3, 4, 5, 6));
  put("short.bin", record(1, 1, 1, 1).substr(1));
  put("label.bin", record(1, 1, 1, 1) + record(10, 1, 1, 1));
  put("empty.bin", "");
  const auto problem = [&](const char* name) {
    return error_of([&] { datasets::cifar10::load_batch(folder_ / name); });
  };
  EXPECT_THAT(problem("short.bin"),
              HasSubstr("3072 bytes, expected records of 3073 bytes (1 of labels, 3072 of colours) [dataset-format]"));
  EXPECT_THAT(problem("label.bin"), HasSubstr("record 1 has label 10, expected less than 10"));
  EXPECT_THAT(problem("empty.bin"), HasSubstr("0 bytes"));
  EXPECT_THAT(problem("none.bin"), HasSubstr("[file-access]"));

  std::string all;
  for (int i = 0; i < 10000; ++i) all += record(static_cast<char>(i % 10), 7, 8, 9);
  const fs::path into = folder_ / "cifar-10-batches-bin";
  put(into / "test_batch.bin", all);
  for (const char* name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin"})
    fs::create_symlink(into / "test_batch.bin", into / name);
  const auto load = [&] { return datasets::cifar10::load_data({.folder = folder_}); };
  EXPECT_THAT(error_of(load), HasSubstr("which lacks data_batch_5.bin"));
  put(into / "data_batch_5.bin.gz", gzip(record(1, 1, 1, 1)));
  EXPECT_THAT(error_of(load), HasSubstr("data_batch_5.bin.gz\": 1 records, expected 10000"));
  fs::create_symlink(into / "test_batch.bin", into / "data_batch_5.bin");
  const auto [train, test] = load();
  EXPECT_EQ(train.x.shape(), (Extents{50000, 32, 32, 3}));
  EXPECT_EQ(train.y.shape(), (Extents{50000, 1}));
  EXPECT_EQ(test.x.shape(), (Extents{10000, 32, 32, 3}));
  EXPECT_EQ(train.y.at(49999), 9);
  EXPECT_EQ(train.x.at(train.x.size() - 1), 9);
}

TEST_F(Data, CifarOfPicklesIsRefused) {
  fs::create_directories(folder_ / "keras/datasets/cifar-10-batches-py-target/cifar-10-batches-py");
  EXPECT_THAT(
      error_of([] { datasets::cifar10::load_data(); }),
      HasSubstr(
          "cifar-10-batches-py\" holds pickles, which are never read; take the binary version, cifar-10-binary.tar.gz, "
          "which unpacks to cifar-10-batches-bin"));
}

TEST_F(Data, Cifar100HasTwoLabels) {
  const fs::path one = put("one.bin", std::string("\x13\x63") + std::string(3072, '\1'));
  EXPECT_EQ(datasets::cifar100::load_batch(one).y.at(0), 0x63);
  EXPECT_EQ(datasets::cifar100::load_batch(one, "coarse").y.at(0), 0x13);
  const fs::path wrong = put("wrong.bin", std::string("\x14\x63") + std::string(3072, '\1'));
  EXPECT_THAT(error_of([&] { datasets::cifar100::load_batch(wrong, "coarse"); }),
              HasSubstr("label 20, expected less than 20"));
  // train.bin is a common name: it counts in the data set's own folder, or in one that is named.
  setenv("TUSK_DATA", folder_.c_str(), 1);
  put("train.bin", std::string(3074, '\1'));
  put("test.bin", std::string(3074, '\1'));
  EXPECT_THAT(error_of([] { datasets::cifar100::load_data(); }), HasSubstr("[dataset-missing]"));
  EXPECT_THAT(error_of([&] { datasets::cifar100::load_data({.folder = folder_}); }),
              HasSubstr("train.bin\": 1 records, expected 50000"));
}

TEST_F(Data, ArraysOfOtherShapesAreRefused) {
  put_digits("a");
  put("a/train-labels-idx1-ubyte", idx(8, {4}, "\1\2\3\4"));
  EXPECT_THAT(error_of([&] { datasets::mnist::load_data({.folder = folder_ / "a"}); }),
              HasSubstr("found u8 (3, 28, 28) and u8 (4), expected u8 (n, 28, 28) and u8 (n) [dataset-format]"));
  save_npz(folder_ / "mnist.npz", {{"x_train", Array(DType::u8, {2, 28, 28})}});
  EXPECT_THAT(error_of([&] { datasets::mnist::load_data({.folder = folder_}); }), HasSubstr("has no array y_train"));
}

TEST(IdxFiles, AllTypesTheHighestByteFirst) {
  const auto read = [](const std::string& file) { return read_idx(bytes_of(file), "f.idx"); };
  EXPECT_THAT(values_of(*read(idx(9, {2}, "\xff\x7f"))), ElementsAre(-1, 127));
  EXPECT_THAT(values_of(*read(idx(12, {2, 1}, {0, 0, 1, 2, -1, -1, -1, -2}))), ElementsAre(258, -2));
  EXPECT_THAT(values_of(*read(idx(13, {1}, {0x40, 0x48, 0, 0}))), ElementsAre(3.125));
  EXPECT_THAT(values_of(*read(idx(14, {1}, {0x40, 0x09, 0, 0, 0, 0, 0, 0}))), ElementsAre(3.125));
  EXPECT_EQ(read(idx(8, {}, "\7"))->shape(), Extents{});
}

TEST(IdxFiles, StrangersAreRefused) {
  const auto problem = [](const std::string& file) {
    const Expected<Array> array = read_idx(bytes_of(file), "f.idx");
    return array ? "no problem" : array.problem().str();
  };
  EXPECT_THAT(problem(""), HasSubstr("cannot read \"f.idx\": it is no IDX file: no two zeros in front [idx-format]"));
  EXPECT_THAT(problem("PNG...."), HasSubstr("no IDX file"));
  EXPECT_THAT(problem(idx(11, {1}, "ab")), HasSubstr("element type 0x0b is none of"));
  EXPECT_THAT(problem(std::string("\0\0\x08\x03\0\0\0\1", 8)),
              HasSubstr("it is cut short: 8 bytes, the sizes of 3 axes take 16"));
  EXPECT_THAT(problem(idx(8, {0xffffffff, 0xffffffff, 0xffffffff}, "abc")), HasSubstr("does not fit the 3 bytes"));
  EXPECT_THAT(problem(idx(8, {5}, "abcd")), HasSubstr("shape (5) of u8 does not fit the 4 bytes"));
  EXPECT_THAT(problem(idx(8, {3}, "abcd")), HasSubstr("does not fit"));
  // Whatever stands in it, it is read or refused.
  std::mt19937 random(7);
  const std::string good = idx(12, {2, 3}, std::string(24, 'x'));
  for (int i = 0; i < 2000; ++i) {
    std::string bad = good.substr(0, random() % (good.size() + 1));
    for (int k = 0; k < 2 && !bad.empty(); ++k) bad[random() % bad.size()] = static_cast<char>(random());
    const Expected<Array> array = read_idx(bytes_of(bad), "f.idx");
    EXPECT_LE(array ? array->bytes().size() : 0, bad.size());
  }
}

TEST(GzipFiles, MembersFollowEachOther) {
  const auto text = [](const std::string& packed) {
    const Expected<Bytes> bytes = gunzip(bytes_of(packed), "f.gz");
    return bytes ? std::string(text_of(*bytes)) : bytes.problem().str();
  };
  EXPECT_EQ(text(gzip("one ") + gzip("two")), "one two");
  EXPECT_EQ(text(gzip("") + std::string(9, '\0')), "");
  const std::string large(300000, 'a');
  EXPECT_EQ(text(gzip(large)), large);
  EXPECT_THAT(text(gzip("one") + "two"), HasSubstr("something else follows behind its end [gzip-format]"));
  EXPECT_THAT(text("text"), HasSubstr("it is no gzip file"));
  EXPECT_THAT(text(gzip(large).substr(0, 100)), HasSubstr("it is cut short"));
  EXPECT_THAT(text(gzip("one").substr(0, 5)), HasSubstr("it is cut short"));
  std::string damaged = gzip("one two three");
  damaged[damaged.size() - 6] ^= 1;  // its checksum
  EXPECT_THAT(text(damaged), HasSubstr("it is damaged (incorrect data check)"));
  EXPECT_THAT(text(gzip(std::string(20 << 20, '\0'))), HasSubstr("more than 16777216 bytes come out of"));
}

// ---- arrays --------------------------------------------------------------------------------------------------------

TEST(Arrays, ReshapeCastAndDivide) {
  const Array x = array_of<int>(DType::u8, {2, 3}, {0, 1, 2, 127, 254, 255});
  EXPECT_EQ(reshape(x, {3, -1}).shape(), (Extents{3, 2}));
  EXPECT_EQ(reshape(x, {6}).shape(), Extents{6});
  EXPECT_EQ(reshape(Array(DType::f32, {0, 4}), {2, -1}).shape(), (Extents{2, 0}));
  const Array scaled = cast(x, DType::f32) / 255;
  EXPECT_EQ(scaled.dtype(), DType::f32);
  EXPECT_THAT(values_of(scaled), ElementsAre(0, 1.0F / 255.0F, 2.0F / 255.0F, 127.0F / 255.0F, 254.0F / 255.0F, 1));
  EXPECT_EQ((x / 255).dtype(), DType::f64);
  EXPECT_EQ((x / 255).at(1), 1.0 / 255.0);
  EXPECT_EQ((cast(x, DType::i64) / 4).at(3), 31.75);
  EXPECT_EQ((cast(x, DType::f16) / 2).dtype(), DType::f16);
  EXPECT_EQ((cast(x, DType::f16) / 2).at(3), 63.5);
  EXPECT_THAT(error_of([&] {
                reshape(x, {4, -1});
              }),
              HasSubstr("cannot reshape (2, 3), 6 elements, to (4, -1) [array-shape]"));
  EXPECT_THAT(error_of([&] { reshape(x, {7}); }), HasSubstr("to (7)"));
  EXPECT_THAT(error_of([&] { reshape(x, {-1, -1}); }), HasSubstr("one size may be -1"));
  EXPECT_THAT(error_of([&] { reshape(x, {-2, 3}); }), HasSubstr("one size may be -1"));
  EXPECT_THAT(error_of([&] { reshape(Array(DType::f32, {0}), {0, -1}); }), HasSubstr("cannot reshape"));
  EXPECT_THAT(error_of([&] { reshape(x, {std::int64_t{1} << 62, 4}); }), HasSubstr("cannot reshape"));
}

TEST(Arrays, SlicesAreThoseOfPython) {
  const Array x = array_of<int>(DType::i32, {4, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_THAT(values_of(slice(x, 1, 3)), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(values_of(slice(x, -1)), ElementsAre(6, 7));
  EXPECT_THAT(values_of(slice(x, 0, -3)), ElementsAre(0, 1));
  EXPECT_EQ(slice(x, 3, 1).shape(), (Extents{0, 2}));
  EXPECT_EQ(slice(x, -9, 99).shape(), (Extents{4, 2}));
  EXPECT_EQ(slice(x, 9).shape(), (Extents{0, 2}));
  EXPECT_EQ(slice(Array(DType::f32, {0, 3}), 0, 5).shape(), (Extents{0, 3}));
  EXPECT_THAT(error_of([] { slice(Array(DType::f32, {}), 0); }), HasSubstr("[array-shape]"));

  EXPECT_THAT(values_of(concatenate({slice(x, 3), slice(x, 0, 1)})), ElementsAre(6, 7, 0, 1));
  EXPECT_THAT(error_of([&] {
                concatenate({x, Array(DType::i32, {4, 3})});
              }),
              HasSubstr("cannot concatenate i32 (4, 2) and i32 (4, 3)"));
  EXPECT_THAT(error_of([&] { concatenate({x, cast(x, DType::f32)}); }), HasSubstr("and f32 (4, 2)"));
  EXPECT_THAT(error_of([] { concatenate({}); }), HasSubstr("nothing to concatenate"));
}

TEST(Arrays, Categories) {
  const Array labels = array_of<int>(DType::u8, {3, 1}, {2, 0, 1});
  const Array hot = to_categorical(labels);
  EXPECT_EQ(hot.shape(), (Extents{3, 3}));
  EXPECT_EQ(hot.dtype(), DType::f32);
  EXPECT_THAT(values_of(hot), ElementsAre(0, 0, 1, 1, 0, 0, 0, 1, 0));
  EXPECT_EQ(to_categorical(labels, 10).shape(), (Extents{3, 10}));
  EXPECT_EQ(to_categorical(reshape(labels, {1, 3})).shape(), (Extents{1, 3, 3}));
  EXPECT_EQ(to_categorical(array_of<int>(DType::i32, {1}, {1})).shape(), (Extents{1, 2}));
  EXPECT_EQ(one_hot(labels, 3).shape(), (Extents{3, 1, 3}));
  EXPECT_THAT(values_of(one_hot(array_of<int>(DType::i32, {3}, {-1, 1, 2}), 2)), ElementsAre(0, 0, 0, 1, 0, 0));
  EXPECT_THAT(error_of([&] { to_categorical(labels, 2); }),
              HasSubstr("label 0 is 2, outside of 0 .. 1 [array-labels]"));
  EXPECT_THAT(error_of([] {
                to_categorical(array_of<int>(DType::i32, {2}, {3, -1}));
              }),
              HasSubstr("label 1 is -1, outside of 0 .. 3"));
  EXPECT_THAT(error_of([] { to_categorical(array_of<int>(DType::i32, {1}, {-1})); }),
              HasSubstr("the largest label is -1"));
  EXPECT_THAT(error_of([] { to_categorical(Array(DType::i32, {0})); }), HasSubstr("give it"));
  Array wild(DType::i64, {3});
  wild.set_int(0, std::int64_t{1} << 62);
  EXPECT_THAT(error_of([&] { to_categorical(wild); }), HasSubstr("is too large"));
  EXPECT_THAT(error_of([&] { one_hot(labels, 0); }), HasSubstr("expected at least 1"));
}

TEST_F(Data, FilesOfArrays) {
  const Array x = array_of<double>(DType::f64, {2, 2}, {1.5, -0.0, 3, 1e300});
  const Array y = array_of<int>(DType::boolean, {3}, {1, 0, 1});
  save_npy(folder_ / "x.npy", x);
  EXPECT_THAT(values_of(load_npy(folder_ / "x.npy")), ElementsAre(1.5, 0, 3, 1e300));
  EXPECT_EQ(load_npy(folder_ / "x.npy").shape(), (Extents{2, 2}));
  // Zeros are not deflated: the reader would take more than 200 zeros out of a byte for an attack.
  const Array zeros(DType::f32, {6 << 20});
  save_npz(folder_ / "all.npz", {{"x", x}, {"in/y", y}, {"zeros", zeros}});
  const auto arrays = load_npz(folder_ / "all.npz");
  EXPECT_EQ(arrays.size(), 3U);
  EXPECT_THAT(values_of(arrays.at("in/y")), ElementsAre(1, 0, 1));
  EXPECT_EQ(arrays.at("zeros").size(), 6 << 20);
  EXPECT_THAT(error_of([&] { save_npy(folder_ / "h.npy", Array(DType::bf16, {1})); }), HasSubstr("[npy-format]"));
  EXPECT_THAT(error_of([&] { load_npy(put("t.npy", "text")); }), HasSubstr("not a .npy array"));
  EXPECT_THAT(error_of([&] { load_npz(folder_ / "none.npz"); }), HasSubstr("[file-access]"));
  EXPECT_THAT(error_of([&] { save_npz(folder_ / "no/x.npz", {{"x", x}}); }), HasSubstr("[file-access]"));
}

// ---- real data -----------------------------------------------------------------------------------------------------

class RealData : public testing::Test {
 protected:
  void SetUp() override {
    const char* given = std::getenv("TUSK_SHARED");
    folder_ = fs::path(given != nullptr ? given : TUSK_SHARED_DEFAULT) / "data";
    if (!fs::exists(folder_)) GTEST_SKIP() << "left out: " << folder_ << " is not there";
  }
  fs::path folder_;
};

TEST_F(RealData, DigitsOfMnist) {
  auto [train, test] = datasets::mnist::load_data({.folder = folder_});
  EXPECT_EQ(train.x.shape(), (Extents{60000, 28, 28}));
  EXPECT_EQ(test.y.shape(), Extents{10000});
  std::vector<int> counts(10);
  for (const std::uint8_t label : train.y.as<std::uint8_t>()) ++counts[label];
  EXPECT_THAT(counts, ElementsAre(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949));
  const Array x = cast(reshape(train.x, {60000, 784}), DType::f32) / 255;
  double sum = 0;
  for (const float pixel : x.as<float>()) sum += static_cast<double>(pixel);
  EXPECT_NEAR(sum / static_cast<double>(x.size()), 0.13066, 5e-6);
}

TEST_F(RealData, PicturesOfCifar) {
  const auto [x, y] = datasets::cifar10::load_batch(folder_ / "cifar10_train_4000.bin");
  EXPECT_EQ(x.shape(), (Extents{4000, 32, 32, 3}));
  EXPECT_THAT(values_of(slice(y, 0, 10)), ElementsAre(6, 9, 9, 4, 1, 1, 2, 7, 8, 3));
  // The channels are the last axis: their means are those of the whole data set.
  std::vector<double> sums(3);
  const auto bytes = x.as<std::uint8_t>();
  for (std::size_t i = 0; i < bytes.size(); ++i) sums[i % 3] += bytes[i] / 255.0;
  for (double& sum : sums) sum /= static_cast<double>(bytes.size()) / 3;
  EXPECT_NEAR(sums[0], 0.4916, 0.005);
  EXPECT_NEAR(sums[1], 0.4818, 0.005);
  EXPECT_NEAR(sums[2], 0.4447, 0.005);
}

}  // namespace
}  // namespace tusk
