// The file formats below the front end: round trips, and what strangers may send.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <random>
#include <string>

#include "frontend/files/bytes.hpp"
#include "frontend/files/hdf5.hpp"
#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/files/zip.hpp"
#include "hdf5_bytes.hpp"
#include "ir/base/sha256.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

using testing::HasSubstr;

Bytes bytes(std::string_view text) {
  const auto span = bytes_of(text);
  return {span.begin(), span.end()};
}

std::filesystem::path temporary(std::string_view name) {
  return std::filesystem::path(testing::TempDir()) / fmt::format("tusk_files_test_{}", name);
}

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(bytes_of(std::string(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Files, QuotesHideControlCharacters) { EXPECT_EQ(in_quotes("a\"b\\\x1b[31m"), "\"a\\\"b\\\\\\x1b[31m\""); }

TEST(Files, ByteCountsNeverOverflow) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_EQ(byte_count(std::vector<std::int64_t>{3, 4}, 4), 48U);
  EXPECT_EQ(byte_count(std::vector<std::int64_t>{}, 8), 8U);
  EXPECT_EQ(byte_count(std::vector<std::int64_t>{0, 4}, 4), 0U);
  EXPECT_FALSE(byte_count(std::vector<std::int64_t>{huge, huge, 0}, 4));
  EXPECT_FALSE(byte_count(std::vector<std::int64_t>{-1}, 4));
}

TEST(Files, WritesWholeFilesOnly) {
  const auto path = temporary("whole");
  ASSERT_TRUE(write_file(path, bytes_of("first")));
  ASSERT_TRUE(write_file(path, bytes_of("second")));
  const auto read = read_file(path);
  ASSERT_TRUE(read);
  EXPECT_EQ(text_of(*read), "second");
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path())) {
    EXPECT_TRUE(entry.path() == path || !entry.path().string().starts_with(path.string())) << "left behind";
  }
  std::filesystem::remove(path);
  EXPECT_THAT(problem_of(read_file(path)), HasSubstr("No such file"));
  EXPECT_THAT(problem_of(read_file("/dev/zero")), HasSubstr("not a regular file"));
  EXPECT_FALSE(write_file("/no/such/folder/file", {}));
}

Expected<ZipReader> open_zip(Bytes archive) {
  return ZipReader::from_bytes(std::make_shared<const Bytes>(std::move(archive)), "a.zip");
}
std::string zip_problem(Bytes archive, std::string_view member = "b") {
  const auto zip = open_zip(std::move(archive));
  return zip ? problem_of(zip->read(member)) : zip.problem().message;
}

TEST(Zip, RoundTripWithTheSameBytesEachTime) {
  const std::vector<ZipEntry> entries = {
      {"config.json", bytes("{}")}, {"d/e", bytes(std::string(5000, 'x'))}, {"f", {}}};
  for (const ZipMethod method : {ZipMethod::store, ZipMethod::deflate}) {
    const auto archive = zip_bytes(entries, method);
    ASSERT_TRUE(archive) << problem_of(archive);
    EXPECT_EQ(*archive, *zip_bytes(entries, method));
    EXPECT_EQ(archive->size() > 5000, method == ZipMethod::store);
    const auto zip = open_zip(*archive);
    ASSERT_TRUE(zip) << problem_of(zip);
    for (const ZipEntry& entry : entries) EXPECT_EQ(*zip->read(entry.name), entry.bytes);
    EXPECT_THAT(problem_of(zip->read("g")), HasSubstr("g is missing in \"a.zip\""));
    EXPECT_THAT(problem_of(zip->read("d/e", 100)), HasSubstr("claims 5000 bytes, more than 100"));
  }
}

TEST(Zip, RefusesWhatIsDamagedOrClaimsTooMuch) {
  const Bytes good = *zip_bytes({{"b", bytes(std::string(300, 'x'))}, {"c", bytes("y")}}, ZipMethod::deflate);
  // The directory entry of "b": method at 10, sizes at 20 and 24.
  const std::size_t entry = text_of(good).find("PK\x01\x02");
  EXPECT_THAT(zip_problem({}), HasSubstr("empty"));
  EXPECT_THAT(zip_problem(bytes("hello")), HasSubstr("not a ZIP archive"));
  for (std::size_t cut = 4; cut + 1 < good.size(); ++cut) {
    const std::string problem = zip_problem(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut)));
    EXPECT_THAT(problem, HasSubstr("cut short")) << cut;
  }
  const auto with = [&](std::size_t at, std::uint64_t value, int size) {
    Bytes bad = good;
    test::poke(bad, entry + at, value, size);
    return zip_problem(bad);
  };
  EXPECT_THAT(with(24, 0xf0000000U, 4), HasSubstr("claim more than 16777216 bytes"));
  EXPECT_THAT(with(24, 0x00700000U, 4), HasSubstr("cannot come from"));
  EXPECT_NE(with(24, 299, 4), "no problem");
  EXPECT_NE(with(24, 301, 4), "no problem");
  EXPECT_NE(with(16, 12345, 4), "no problem") << "checksum";
  EXPECT_NE(with(10, 12, 2), "no problem") << "bzip2";
  EXPECT_NE(with(8, 1, 2), "no problem") << "encrypted";
  Bytes twins = good;
  for (std::size_t at = 0; (at = text_of(twins).find("c", at)) != std::string_view::npos; ++at)
    twins[at] = std::byte{'b'};
  EXPECT_THAT(zip_problem(twins), HasSubstr("two members"));
}

TEST(Npy, RoundTripOfEveryType) {
  std::mt19937 random(1);
  for (const DType type :
       {DType::f32, DType::f64, DType::f16, DType::i8, DType::u8, DType::i32, DType::u32, DType::i64, DType::boolean}) {
    for (const std::vector<std::int64_t>& shape :
         std::vector<std::vector<std::int64_t>>{{}, {5}, {2, 3}, {0, 4}, {2, 1, 3, 2}}) {
      Array array(type, shape);
      for (std::int64_t i = 0; i < array.size(); ++i) array.set(i, static_cast<double>(random() % 100));
      const auto encoded = npy_bytes(array);
      ASSERT_TRUE(encoded);
      EXPECT_EQ((encoded->size() - array.bytes().size()) % 64, 0U);
      const auto back = read_npy(*encoded);
      ASSERT_TRUE(back) << problem_of(back);
      EXPECT_EQ(back->dtype(), type);
      EXPECT_EQ(back->shape(), shape);
      EXPECT_TRUE(std::ranges::equal(back->bytes(), array.bytes()));
    }
  }
  EXPECT_THAT(problem_of(npy_bytes(Array(DType::bf16, {2}))), HasSubstr("no NumPy type"));
}

Bytes npy(std::string_view header, std::size_t data, int version = 1) {
  Bytes out = bytes("\x93NUMPY");
  test::put(out, static_cast<std::uint64_t>(version), 2);
  test::put(out, header.size(), version == 1 ? 2 : 4);
  test::put(out, header);
  for (std::size_t i = 0; i < data; ++i) out.push_back(static_cast<std::byte>(i));
  return out;
}
std::string npy_problem(std::string_view descr, std::string_view shape, std::size_t data) {
  return problem_of(
      read_npy(npy(fmt::format("{{'descr': {}, 'fortran_order': False, 'shape': {}, }}\n", descr, shape), data)));
}

TEST(Npy, FortranOrderAndNewerVersions) {
  const auto array = read_npy(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }", 12, 2));
  ASSERT_TRUE(array) << problem_of(array);
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < 12; ++i) values.push_back(array->int_at(i));
  EXPECT_THAT(values, testing::ElementsAre(0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11));
}

TEST(Npy, RefusesWhatItCannotRead) {
  EXPECT_EQ(npy_problem("'<f4'", "(3,)", 12), "no problem");
  EXPECT_EQ(npy_problem("'|b1'", "(3L,)", 3), "no problem");
  EXPECT_THAT(npy_problem("'>f4'", "(3,)", 12), HasSubstr("big endian"));
  EXPECT_THAT(npy_problem("'|O'", "(3,)", 24), HasSubstr("pickle"));
  for (const char* type : {"'<i2'", "'<u2'", "'<u8'", "'<c8'", "'<U4'", "'|V2'"}) {
    EXPECT_THAT(npy_problem(type, "(3,)", 6), HasSubstr("not supported")) << type;
  }
  EXPECT_THAT(npy_problem("[('a', '<f4')]", "(3,)", 12), HasSubstr("header"));
  EXPECT_THAT(npy_problem("'<f4'", "(4,)", 12), HasSubstr("does not fit the 12 bytes"));
  EXPECT_THAT(npy_problem("'<f4'", "(2,)", 12), HasSubstr("does not fit"));
  EXPECT_THAT(npy_problem("'<f4'", "(4611686018427387904, 4)", 0), HasSubstr("does not fit"));
  EXPECT_THAT(npy_problem("'<f4'", "(4611686018427387904, 4611686018427387904, 0)", 0), HasSubstr("does not fit"));
  EXPECT_THAT(npy_problem("'<f4'", "(99999999999999999999,)", 0), HasSubstr("header"));
  EXPECT_THAT(npy_problem("'<f4'", "(-3,)", 12), HasSubstr("header"));
  const Bytes good = *npy_bytes(Array(DType::f32, {3}));
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(read_npy(std::span(good).first(cut))) << cut;
  }
}

TEST(Npz, RoundTripWithTheSameBytesEachTime) {
  const auto path = temporary("arrays.npz");
  const std::map<std::string, Array> arrays = {{"in/x", Array::splat(DType::f32, {2, 3}, 1.5)},
                                               {"out/0", Array::splat(DType::i64, {}, -7)}};
  ASSERT_TRUE(write_npz(path, arrays));
  const auto back = read_npz(path);
  ASSERT_TRUE(back) << problem_of(back);
  ASSERT_EQ(back->size(), 2U);
  EXPECT_EQ(back->at("in/x").at(5), 1.5);
  EXPECT_EQ(back->at("out/0").int_at(0), -7);
  const Bytes first = *read_file(path);
  ASSERT_TRUE(write_npz(path, arrays));
  EXPECT_EQ(*read_file(path), first);
  ASSERT_TRUE(write_zip(path, {{"readme.txt", bytes("hello")}}, ZipMethod::store));
  EXPECT_THAT(problem_of(read_npz(path)), HasSubstr("\"readme.txt\""));
  std::filesystem::remove(path);
}

TEST(Npz, ReadsWhatNumPyWrites) {
  int read = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(TUSK_SOURCE_DIR) + "/tests/parity/goldens")) {
    if (entry.path().extension() != ".npz") continue;
    const auto arrays = read_npz(entry.path());
    EXPECT_TRUE(arrays) << problem_of(arrays);
    EXPECT_FALSE(arrays && arrays->empty());
    ++read;
  }
  EXPECT_GT(read, 10);
}

TEST(Json, ReadsWhatPythonWrites) {
  const auto value = parse_json(
      "{\"a\": [1, -2, 3.5e2, true, false, null], \"big\": 9223372036854775807, \"bigger\": 18446744073709551615,"
      " \"nan\": NaN, \"inf\": [Infinity, -Infinity], \"text\": \"\\u00e9\\ud83d\\ude00\\n\", \"a b\": {}, \"twice\": "
      "1, "
      "\"twice\": 2}",
      "it");
  ASSERT_TRUE(value) << problem_of(value);
  EXPECT_EQ((*value)["a"].dump(), "[1,-2,350.0,true,false,null]");
  EXPECT_EQ((*value)["big"], std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ((*value)["bigger"], std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(std::isnan((*value)["nan"].get<double>()));
  EXPECT_EQ((*value)["inf"][1].get<double>(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ((*value)["text"], "\xc3\xa9\xf0\x9f\x98\x80\n");
  EXPECT_EQ((*value)["twice"], 2);
}

TEST(Json, SaysWhereTheFaultIs) {
  EXPECT_EQ(problem_of(parse_json("{\n \"a\": 1,\n \"b\" 2}", "config.json")),
            "config.json is not valid JSON: expected ':' at line 3, column 6 (byte 17)");
  for (const char* text :
       {"",        "{",         "[1,]",        "[1 2]",    "{\"a\"}",  "{1: 2}",       "\"a",
        "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "01",       "1.",       "1e",           "-",
        "1e999",   "nan",       "[] []",       "\"\x01\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\""}) {
    EXPECT_THAT(problem_of(parse_json(text, "it")), HasSubstr("not valid JSON")) << text;
  }
  EXPECT_TRUE(parse_json(std::string(200, '[') + std::string(200, ']'), "it"));
  EXPECT_THAT(problem_of(parse_json(std::string(20000, '['), "it")), HasSubstr("nesting too deep"));
  EXPECT_THAT(problem_of(parse_json(std::string(1000000, '['), "it")), HasSubstr("nesting too deep"));
}

}  // namespace
}  // namespace tusk
