// Small files that would keep a reader busy for hours, or fill the memory, if it followed all that they say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <vector>

#include "frontend/files/hdf5.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/files/zip.hpp"
#include "frontend/import/weights.hpp"
#include "tests/unit/error_of.hpp"
#include "weight_files.hpp"

namespace tusk {
namespace {

using test::Hdf5Bytes;
using test::put;
using testing::HasSubstr;

constexpr const char* kAgain = "again and again";

Hdf5File opened(const Hdf5Bytes& file, std::uint64_t root) { return *Hdf5File::from_bytes(file.file(root), "f.h5"); }

Bytes number(std::uint64_t value, int size) {
  Bytes out;
  put(out, value, size);
  return out;
}

TEST(PlausibleSize, SmallFilesMayHoldSixteenMiB) {
  EXPECT_EQ(plausible_size(0), std::uint64_t{16} << 20);
  EXPECT_EQ(plausible_size(1 << 20), std::uint64_t{16} << 20);
  EXPECT_EQ(plausible_size(2 << 20), std::uint64_t{216} << 20);
}

TEST(HostileZip, MembersTogetherClaimTooMuch) {
  std::vector<ZipEntry> entries;
  for (int i = 0; i < 17; ++i) entries.push_back({std::to_string(i), Bytes(1 << 20)});
  const auto open = [&] {
    return ZipReader::from_bytes(std::make_shared<const Bytes>(*zip_bytes(entries, ZipMethod::deflate)), "a.zip");
  };
  EXPECT_THAT(problem_of(open()), HasSubstr("claim more than 16777216 bytes"));
  entries.pop_back();
  EXPECT_EQ(problem_of(open()), "no problem");
}

TEST(HostileZip, ManyEndsOfDirectories) {
  Bytes archive = *zip_bytes({{"a", Bytes(3)}}, ZipMethod::store);
  const Bytes end(archive.end() - 22, archive.end());
  for (int i = 0; i < 100; ++i) put(archive, end);
  EXPECT_THAT(problem_of(ZipReader::from_bytes(std::make_shared<const Bytes>(archive), "a.zip")),
              HasSubstr("too many directories"));
}

TEST(HostileHdf5, BlocksOfAHeaderOnTopOfEachOther) {
  // Each block is the rest of the file: where the next one lies, then messages that hide that from it, then empty ones.
  Hdf5Bytes file;
  const std::uint64_t start = file.end();
  constexpr std::uint64_t kBlocks = 1000;
  constexpr std::uint64_t kSize = 32 * kBlocks + 8 * 4000;
  Bytes blocks;
  for (std::uint64_t i = 0; i < kBlocks; ++i) {
    put(blocks, 0, 2);
    put(blocks, 24, 2);
    put(blocks, 0, 4);
    const bool last = i + 1 == kBlocks;
    put(blocks, last ? 0 : 0x10, 2);
    put(blocks, 16, 2);
    put(blocks, 0, 4);
    put(blocks, start + 32 * (i + 1) + 8, 8);
    put(blocks, kSize - 32 * (i + 1) - 8, 8);
  }
  blocks.resize(kSize);
  file.data(blocks);
  Bytes first = number(start + 8, 8);
  put(first, kSize - 8, 8);
  const auto root = file.object({{0x10, first}, Hdf5Bytes::no_heap()});
  EXPECT_THAT(problem_of(opened(file, root).tree("")), HasSubstr("object header"));
}

/// A group of the older form: a table of links and a heap with their names.
Hdf5Bytes::Message table(std::uint64_t tree, std::uint64_t heap) {
  Bytes message = number(tree, 8);
  put(message, heap, 8);
  return {0x11, message};
}

/// Many links with the names of `names`, to one object; gives tree and heap.
std::pair<std::uint64_t, std::uint64_t> links(Hdf5Bytes& file, std::uint64_t target, int count,
                                              const std::string& names, std::uint64_t step) {
  Bytes text;
  put(text, names);
  const std::uint64_t names_at = file.data(text);
  Bytes heap;
  put(heap, "HEAP");
  put(heap, 0, 4);
  put(heap, names.size(), 8);
  put(heap, 0, 8);
  put(heap, names_at, 8);
  const std::uint64_t heap_at = file.data(heap);
  Bytes node;
  put(node, "SNOD");
  put(node, 1, 2);
  put(node, static_cast<std::uint64_t>(count), 2);
  for (int i = 0; i < count; ++i) {
    put(node, static_cast<std::uint64_t>(i) * step, 8);
    put(node, target, 8);
    put(node, 0, 24);
  }
  const std::uint64_t node_at = file.data(node);
  Bytes tree;
  put(tree, "TREE");
  put(tree, 0, 2);
  put(tree, 1, 2);
  put(tree, 0, 16);
  put(tree, 0, 8);
  put(tree, node_at, 8);
  return {file.data(tree), heap_at};
}

TEST(HostileHdf5, NamesThatAreEndsOfEachOther) {
  Hdf5Bytes file;
  const auto dataset = file.floats({1}, {1});
  const auto [tree, heap] = links(file, dataset, 10000, std::string(20000, 'x') + std::string(1, '\0'), 1);
  EXPECT_THAT(problem_of(opened(file, file.object({table(tree, heap)})).tree("")), HasSubstr(kAgain));
}

TEST(HostileHdf5, GroupsThatShareATable) {
  Hdf5Bytes file;
  const auto dataset = file.floats({1}, {1});
  std::string names;
  for (int i = 1000; i < 2000; ++i) names += std::to_string(i) + std::string(1, '\0');
  const auto [tree, heap] = links(file, dataset, 1000, names, 5);
  std::vector<Hdf5Bytes::Message> root;
  for (int i = 0; i < 1000; ++i) {
    root.push_back(Hdf5Bytes::link(std::to_string(i), file.object({table(tree, heap)})));
  }
  EXPECT_THAT(problem_of(opened(file, file.group(root)).tree("")), HasSubstr(kAgain));
}

TEST(HostileHdf5, ManyLinksToOneLongHeader) {
  Hdf5Bytes file;
  std::vector<Hdf5Bytes::Message> messages(5000, {0x0, Bytes()});
  const auto group = file.dataset(test::f32_type(), {1}, Bytes(4), messages);
  std::vector<Hdf5Bytes::Message> root;
  for (int i = 0; i < 5000; ++i) root.push_back(Hdf5Bytes::link(std::to_string(i), group));
  EXPECT_THAT(problem_of(opened(file, file.group(root)).tree("")), HasSubstr(kAgain));
}

TEST(HostileHdf5, HeapsOfStringsOnTopOfEachOther) {
  // Each heap begins inside of an object of the one before.
  Hdf5Bytes file;
  constexpr int kHeaps = 1000;
  const std::uint64_t start = file.end();
  Bytes heaps;
  for (int i = 0; i < kHeaps; ++i) {
    put(heaps, "GCOL");
    put(heaps, 1, 4);
    put(heaps, static_cast<std::uint64_t>(32 * (kHeaps - i) + 16), 8);
    put(heaps, 1, 2);
    put(heaps, 0, 6);
    put(heaps, 16, 8);
  }
  put(heaps, 0, 16);
  file.data(heaps);
  Bytes type;
  put(type, 0x19, 1);
  put(type, 1, 3);
  put(type, 16, 4);
  Bytes value;
  for (int i = 0; i < kHeaps; ++i) {
    put(value, 1, 4);
    put(value, start + static_cast<std::uint64_t>(32 * i), 8);
    put(value, 1, 4);
  }
  const auto root = file.group({Hdf5Bytes::attribute("layer_names", type, test::dataspace({kHeaps}), value)});
  EXPECT_THAT(problem_of(opened(file, root).strings_attribute("", "layer_names")), HasSubstr("heap of strings"));
}

/// A dataset of bytes in chunks, all of which are stored as the same bytes.
std::uint64_t chunked(Hdf5Bytes& file, std::uint64_t size, std::uint64_t chunk, const Bytes& stored,
                      const std::vector<int>& filters) {
  const std::uint64_t at = file.data(stored);
  const std::uint64_t count = (size + chunk - 1) / chunk;
  Bytes tree;
  put(tree, "TREE");
  put(tree, 1, 1);
  put(tree, 0, 1);
  put(tree, count, 2);
  put(tree, 0, 16);
  for (std::uint64_t i = 0; i < count; ++i) {
    put(tree, stored.size(), 4);
    put(tree, 0, 4);
    put(tree, i * chunk, 8);
    put(tree, 0, 8);
    put(tree, at, 8);
  }
  Bytes layout;
  put(layout, 0x0203, 2);
  put(layout, 2, 1);
  put(layout, file.data(tree), 8);
  put(layout, chunk, 4);
  put(layout, 1, 4);
  Bytes pipeline;
  put(pipeline, 2, 1);
  put(pipeline, filters.size(), 1);
  for (const int filter : filters) {
    put(pipeline, static_cast<std::uint64_t>(filter), 2);
    put(pipeline, 0, 4);
  }
  return file.object(
      {{0x1, test::dataspace({size})}, {0x3, test::integer_type(1, false)}, {0x8, layout}, {0xb, pipeline}});
}

Bytes deflated(std::size_t zeros) {
  const Bytes plain(zeros);
  uLongf size = compressBound(static_cast<uLong>(zeros));
  Bytes out(size);
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(plain.data()),
           static_cast<uLong>(zeros));
  out.resize(size);
  return out;
}

std::string chunk_problem(std::uint64_t size, std::uint64_t chunk, const Bytes& stored,
                          const std::vector<int>& filters) {
  Hdf5Bytes file;
  const auto dataset = chunked(file, size, chunk, stored, filters);
  return problem_of(opened(file, file.group({Hdf5Bytes::link("x", dataset)})).array("x"));
}

TEST(HostileHdf5, ChunksUnpackToMoreThanTheFileCanHold) {
  EXPECT_EQ(chunk_problem(40, 16, deflated(16), {1}), "no problem");
  EXPECT_EQ(chunk_problem(40, 16, deflated(16), {2, 1}), "no problem");
  EXPECT_THAT(chunk_problem(40, 16, deflated(16), {1, 1}), HasSubstr("filters are damaged"));
  EXPECT_EQ(chunk_problem(16 << 20, 1 << 20, deflated(1 << 20), {1}), "no problem");
  EXPECT_THAT(chunk_problem((16 << 20) + 1, 1 << 20, deflated(1 << 20), {1}), HasSubstr("larger than the file can"));
  // The array is small, but not its one chunk.
  EXPECT_THAT(chunk_problem(1, 32 << 20, deflated(32 << 20), {1}), HasSubstr("larger than the file can fill"));
}

TEST(HostileHdf5, ArraysOfAFileTogether) {
  Hdf5Bytes file;
  const auto dataset = chunked(file, 5 << 20, 1 << 20, deflated(1 << 20), {1});
  const auto once = opened(file, file.group({Hdf5Bytes::link("x", dataset)}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(problem_of(once.array("x")), "no problem");
  EXPECT_THAT(problem_of(once.array("x")), HasSubstr("too many for a file"));
}

TEST(HostileHdf5, FilesThatWerePackedTwice) {
  Hdf5Bytes file;
  const auto dataset = chunked(file, 20 << 20, 1 << 20, deflated(1 << 20), {1});
  Bytes bytes = file.file(file.group({Hdf5Bytes::link("x", dataset)}));
  bytes.resize(2 << 20);
  EXPECT_EQ(problem_of(Hdf5File::from_bytes(bytes, "f.h5")->array("x")), "no problem");
  EXPECT_THAT(problem_of(Hdf5File::from_bytes(bytes, "f.h5", 5000)->array("x")), HasSubstr("larger than the file can"));
}

TEST(HostileHdf5, EveryLayerIsTheSameGroup) {
  Hdf5Bytes file;
  std::vector<std::string> names;
  for (int i = 0; i < 3000; ++i) names.push_back(std::string(static_cast<std::size_t>(i % 5), '/'));
  const auto root = file.group({Hdf5Bytes::strings("layer_names", names), Hdf5Bytes::strings("weight_names", names)});
  EXPECT_THAT(problem_of(Weights::read(opened(file, root))), HasSubstr(kAgain));
}

TEST(HostileHdf5, NamesOfManyGroups) {
  Hdf5Bytes file;
  std::vector<Hdf5Bytes::Message> root;
  std::string deep;
  for (int i = 0; i < 120; ++i) deep += "a\\";
  for (int i = 0; i < 2000; ++i) {
    const auto group = file.group({});
    root.push_back(Hdf5Bytes::link(std::to_string(i) + '\\' + deep.substr(0, 200), group));
  }
  EXPECT_THAT(problem_of(Weights::read(opened(file, file.group(root)))), HasSubstr("too many groups"));
}

}  // namespace
}  // namespace tusk
