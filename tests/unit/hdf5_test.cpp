// The HDF5 reader against files that no library would write.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "frontend/files/hdf5.hpp"
#include "frontend/files/zip.hpp"
#include "hdf5_bytes.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

using test::f32_type;
using test::Hdf5Bytes;
using test::integer_type;
using test::put;
using testing::ElementsAre;
using testing::HasSubstr;

/// A file with one dataset "x" of three floats, `more` links and `attributes` at its root.
Bytes file_with(const std::vector<Hdf5Bytes::Message>& more, Hdf5Bytes file = {}) {
  std::vector<Hdf5Bytes::Message> root = more;
  root.push_back(Hdf5Bytes::link("x", file.floats({3}, {1, 2, 3})));
  return file.file(file.group(root));
}

std::string array_problem(const std::vector<Hdf5Bytes::Message>& root, Hdf5Bytes file = {}) {
  const auto opened = Hdf5File::from_bytes(file.file(file.group(root)), "f.h5");
  return opened ? problem_of(opened->array("y")) : opened.problem().message;
}

TEST(Hdf5, GroupsDatasetsAttributes) {
  Hdf5Bytes file;
  const auto attribute = file.heap_strings("layer_names", {"a", "", "long name"});
  const auto dense =
      file.group({Hdf5Bytes::link("0", file.floats({2, 2}, {1, 2, 3, 4})), Hdf5Bytes::link("1", file.floats({}, {5})),
                  Hdf5Bytes::link("2", file.floats({0, 2}, {}))});
  const auto root =
      file.group({Hdf5Bytes::link("dense", dense), attribute, Hdf5Bytes::strings("keras_version", {"2.4.0"}, true),
                  Hdf5Bytes::strings("names0", {"p", "qq"}), Hdf5Bytes::strings("names1", {"r"})});
  const auto opened = Hdf5File::from_bytes(file.file(root), "f.h5");
  ASSERT_TRUE(opened) << problem_of(opened);
  const auto tree = opened->tree("");
  ASSERT_TRUE(tree) << problem_of(tree);
  EXPECT_THAT(tree->groups, ElementsAre("dense"));
  EXPECT_THAT(tree->datasets, ElementsAre("dense/0", "dense/1", "dense/2"));
  EXPECT_TRUE(opened->tree("", {"dense"})->datasets.empty());
  EXPECT_TRUE(opened->has("dense/0"));
  EXPECT_FALSE(opened->has("dense/3"));
  EXPECT_FALSE(opened->has("dense/0/1"));
  const auto array = opened->array("/dense//0");
  ASSERT_TRUE(array) << problem_of(array);
  EXPECT_THAT(array->as<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(opened->array("dense/1")->at(0), 5);
  EXPECT_EQ(opened->array("dense/2")->shape(), (std::vector<std::int64_t>{0, 2}));
  EXPECT_THAT(**opened->strings_attribute("", "layer_names"), ElementsAre("a", "", "long name"));
  EXPECT_EQ(**opened->string_attribute("", "keras_version"), "2.4.0");
  EXPECT_THAT(**opened->strings_attribute("", "names"), ElementsAre("p", "qq", "r"));
  EXPECT_FALSE(*opened->string_attribute("", "backend"));
  EXPECT_THAT(problem_of(opened->array("dense/3")), HasSubstr("\"dense/3\" of \"f.h5\": it is missing"));
  EXPECT_THAT(problem_of(opened->array("dense")), HasSubstr("not a dataset"));
}

TEST(Hdf5, ElementTypes) {
  const auto read = [](const Bytes& type, const std::string& values, std::vector<Hdf5Bytes::Message> more = {}) {
    Hdf5Bytes file;
    Bytes data;
    put(data, values);
    const auto dataset = file.dataset(type, {2}, data, std::move(more));
    return Hdf5File::from_bytes(file.file(file.group({Hdf5Bytes::link("y", dataset)})), "f.h5")->array("y");
  };
  EXPECT_EQ(read(integer_type(1, true), "\x80\x01")->int_at(0), -128);
  EXPECT_EQ(read(integer_type(1, false), "\x80\x01")->int_at(0), 128);
  EXPECT_EQ(read(integer_type(2, true), std::string("\x00\x80\x01\x00", 4))->int_at(0), -32768);
  EXPECT_EQ(read(integer_type(2, false), std::string("\x00\x80\x01\x00", 4))->int_at(0), 32768);
  EXPECT_EQ(read(integer_type(2, false), std::string("\x00\x80\x01\x00", 4))->dtype(), DType::u32);
  EXPECT_EQ(read(integer_type(8, true), std::string(15, '\0') + "\x01")->int_at(1), std::int64_t{1} << 56);
  EXPECT_THAT(problem_of(read(integer_type(8, false), std::string(16, '\0'))), HasSubstr("not supported"));
  EXPECT_THAT(problem_of(read(integer_type(4, true, true), std::string(8, '\0'))), HasSubstr("big endian"));
  const auto bf16 = read(integer_type(2, false), std::string("\x80\x3f\x00\x40", 4),
                         {Hdf5Bytes::strings("dtype", {"bfloat16"}, true)});
  ASSERT_TRUE(bf16) << problem_of(bf16);
  EXPECT_EQ(bf16->dtype(), DType::bf16);
  EXPECT_EQ(bf16->at(1), 2);
}

TEST(Hdf5, NeverLeavesTheFile) {
  EXPECT_THAT(array_problem({Hdf5Bytes::soft_link("y", "/y")}), HasSubstr("soft link"));
  EXPECT_THAT(array_problem({Hdf5Bytes::soft_link("y", "no_such_file", 64)}), HasSubstr("link to another file"));
  EXPECT_THAT(array_problem({Hdf5Bytes::soft_link("y", "?", 200)}), HasSubstr("unknown kind"));
  Hdf5Bytes external;
  const auto outside = external.dataset(f32_type(), {3}, Bytes(12), {{0x7, Bytes(32)}});
  EXPECT_THAT(array_problem({Hdf5Bytes::link("y", outside)}, external), HasSubstr("in another file"));
  Hdf5Bytes virtual_file;
  Bytes layout;
  put(layout, 0x0304, 2);
  put(layout, 0, 16);
  const auto pieces = virtual_file.object({{0x1, test::dataspace({3})}, {0x3, f32_type()}, {0x8, layout}});
  EXPECT_THAT(array_problem({Hdf5Bytes::link("y", pieces)}, virtual_file), HasSubstr("virtual"));
}

TEST(Hdf5, BelievesNoSize) {
  const auto problem = [](const std::vector<std::uint64_t>& shape, std::size_t bytes) {
    Hdf5Bytes file;
    const auto dataset = file.dataset(f32_type(), shape, Bytes(bytes));
    return array_problem({Hdf5Bytes::link("y", dataset)}, file);
  };
  EXPECT_EQ(problem({3}, 12), "no problem");
  EXPECT_THAT(problem({131072, 131072}, 0), HasSubstr("declares 68719476736 bytes, 0 are stored"));
  EXPECT_THAT(problem({4}, 12), HasSubstr("declares 16 bytes, 12 are stored"));
  EXPECT_THAT(problem({std::uint64_t{1} << 62, 16}, 12), HasSubstr("damaged"));
  EXPECT_THAT(problem({std::uint64_t{1} << 63, 0}, 12), HasSubstr("damaged"));
  Hdf5Bytes file;
  Bytes layout;
  put(layout, 0x0103, 2);
  put(layout, 40, 8);
  put(layout, std::uint64_t{1} << 40, 8);
  const auto outside = file.object({{0x1, test::dataspace({3})}, {0x3, f32_type()}, {0x8, layout}});
  EXPECT_THAT(array_problem({Hdf5Bytes::link("y", outside)}, file), HasSubstr("outside of the file"));
  Bytes filters;
  put(filters, 0x0102, 2);
  put(filters, 4, 2);
  put(filters, 0, 4);
  const auto packed = file.dataset(f32_type(), {3}, Bytes(12), {{0xb, filters}});
  EXPECT_THAT(array_problem({Hdf5Bytes::link("y", packed)}, file), HasSubstr("filter 4 is not supported"));
}

TEST(Hdf5, HeapStringsStayInTheirHeap) {
  Hdf5Bytes file;
  const auto names = file.heap_strings("layer_names", {"abc"}, 1);
  const auto opened = Hdf5File::from_bytes(file_with({names}, file), "f.h5");
  EXPECT_THAT(problem_of(opened->strings_attribute("", "layer_names")), HasSubstr("heap of strings"));
}

TEST(Hdf5, LoopsEnd) {
  // A group that contains itself: its address is known before it is written.
  Hdf5Bytes file;
  const std::uint64_t self = file.end();
  const auto root = file.group({Hdf5Bytes::link("loop", self)});
  const auto opened = Hdf5File::from_bytes(file.file(root), "f.h5");
  EXPECT_THAT(problem_of(opened->tree("")), HasSubstr("reached by two links"));
  EXPECT_TRUE(opened->has("loop/loop/loop"));
  std::string deep = "loop";
  for (int i = 0; i < 1000; ++i) deep += "/loop";
  EXPECT_THAT(problem_of(opened->tree(deep)), HasSubstr("too deep"));
}

/// Reads everything of a file; damaged ones must give problems, not crashes.
void read_all(Bytes bytes) {
  const auto file = Hdf5File::from_bytes(std::move(bytes), "f.h5");
  if (!file) return;
  (void)file->strings_attribute("", "layer_names");
  const auto tree = file->tree("");
  if (!tree) return;
  for (const std::string& dataset : tree->datasets) (void)file->array(dataset);
  for (const std::string& group : tree->groups) (void)file->strings_attribute(group, "weight_names");
}

TEST(Hdf5, SurvivesDamage) {
  Hdf5Bytes builder;
  const auto names = builder.heap_strings("layer_names", {"a", "b"});
  std::vector<Bytes> files = {file_with({names, Hdf5Bytes::strings("weight_names", {"x"})}, builder)};
  // What h5py writes: trees of groups, heaps of names.
  const auto zip = ZipReader::open(std::string(TUSK_SOURCE_DIR) + "/examples/digits/digits.keras");
  ASSERT_TRUE(zip) << problem_of(zip);
  files.push_back(*zip->read("model.weights.h5"));
  std::mt19937_64 random(7);
  for (const Bytes& good : files) {
    EXPECT_TRUE(Hdf5File::from_bytes(good, "f.h5")->tree(""));
    for (std::size_t cut = 0; cut < good.size(); cut += good.size() / 100 + 1) {
      const auto head =
          Hdf5File::from_bytes(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut)), "f.h5");
      EXPECT_FALSE(head) << cut;
    }
    for (int i = 0; i < 2000; ++i) {
      Bytes bad = good;
      const std::size_t at = random() % bad.size();
      const std::uint64_t values[] = {random(), ~std::uint64_t{0}, 0, random() % bad.size()};
      const int size = 1 << random() % 4;
      if (at + 8 <= bad.size()) test::poke(bad, at, values[random() % 4], size);
      read_all(std::move(bad));
    }
  }
}

}  // namespace
}  // namespace tusk
