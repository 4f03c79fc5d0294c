// Tables of text: what is read, and where it is wrong.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "frontend/data/arrays.hpp"
#include "frontend/data/csv.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

using Extents = std::vector<std::int64_t>;

std::vector<double> numbers_of(const Array& array) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < array.size(); ++i) out.push_back(array.at(i));
  return out;
}

class Tables : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path put(const fs::path& name, std::string_view text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  std::string csv_error(const std::string& text, const CsvOptions& options = {}) {
    return error_of([&] { read_csv(put("t.csv", text), options); });
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("tusk_table_test_{}", getpid());
};

TEST_F(Tables, NumbersAndText) {
  const Table table =
      read_csv(put("t.csv", "\xef\xbb\xbfname,\"a, b\",c\r\n\"x \"\"1\"\"\n\", 1.5 ,+3\r\n\r\ny,-2e-1,4"));
  EXPECT_THAT(table.names(), ElementsAre("name", "a, b", "c"));
  EXPECT_EQ(table.rows(), 2);
  EXPECT_THAT(table.text("name"), ElementsAre("x \"1\"\n", "y"));
  EXPECT_THAT(numbers_of(table.column("c", DType::i64)), ElementsAre(3, 4));
  EXPECT_EQ(table.column("c").shape(), Extents{2});
  const Array both = table.numbers({"c", "a, b"});
  EXPECT_EQ(both.dtype(), DType::f32);
  EXPECT_EQ(both.shape(), (Extents{2, 2}));
  EXPECT_THAT(numbers_of(both), ElementsAre(3, 1.5, 4, -0.2F));
  EXPECT_THAT(numbers_of(table.numbers_without({"name"}, DType::f64)), ElementsAre(1.5, 3, -0.2, 4));

  const Table plain = read_csv(put("t.tsv", "1\t\"a\n2\tb\"c\n"), {.header = false, .separator = '\t', .quote = 0});
  EXPECT_THAT(plain.names(), ElementsAre("0", "1"));
  EXPECT_THAT(plain.text("1"), ElementsAre("\"a", "b\"c"));
  // gzip -c of "a,b\n1,2\n"
  constexpr std::string_view kPacked(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\xd4\x49\xe2\x32\xd4\x31\xe2\x02\x00\x7b\x07\x97\x0a\x08\x00\x00"
      "\x00",
      28);
  EXPECT_THAT(read_csv(put("p.csv.gz", kPacked)).names(), ElementsAre("a", "b"));
  EXPECT_EQ(read_csv(put("h.csv", "a,b\n")).numbers().shape(), (Extents{0, 2}));
  const Table open = read_csv(put("o.csv", "a,b\n,nan\ninf,\"\"\n"), {.missing = -1});
  EXPECT_EQ(open.numbers().at(0), -1);
  EXPECT_TRUE(std::isnan(open.numbers().at(1)));
  EXPECT_EQ(open.numbers().at(2), INFINITY);
  EXPECT_EQ(open.numbers().at(3), -1);
}

TEST_F(Tables, SayWhereTheyAreWrong) {
  EXPECT_THAT(
      csv_error("a,b\n1,2\n3,4,5\n"),
      testing::EndsWith(
          "t.csv:3:5: error: a row of 3 fields, expected 2 as in the first one [csv-format]\n  3,4,5\n      ^\n"));
  EXPECT_THAT(csv_error("a,b\r\n\"x\ny\",2\r\n7\r\n"), HasSubstr("t.csv:4:2: error: a row of 1 fields"));
  EXPECT_THAT(csv_error("a,b\n1,\"2\n"), HasSubstr("t.csv:2:3: error: a quote is opened here and never closed"));
  EXPECT_THAT(csv_error("a,b\n1,\"ä\"x\n"), HasSubstr("t.csv:2:6: error: text behind the closing quote"));
  EXPECT_THAT(csv_error("a,a\n"), HasSubstr("t.csv:1:3: error: two columns are named \"a\""));
  EXPECT_THAT(csv_error("\n\r\n"), HasSubstr("has no rows [csv-format]"));
  EXPECT_THAT(error_of([&] { read_csv(folder_ / "none.csv"); }), HasSubstr("[file-access]"));

  const Table table = read_csv(put("t.csv", "item,count\n1,2\nö,300\n,1.5\n1e39,9223372036854775807\n1e999,1x\n"));
  const auto problem = [&](const char* name, DType type) { return error_of([&] { table.column(name, type); }); };
  EXPECT_THAT(
      problem("item", DType::f32),
      HasSubstr("t.csv:3:1: error: \"ö\" in column \"item\" is no number that f64 holds [csv-number]\n  ö,300\n  ^"));
  EXPECT_THAT(problem("count", DType::u8), HasSubstr("t.csv:3:3: error: \"300\" in column \"count\" does not fit u8"));
  EXPECT_THAT(problem("count", DType::i32),
              HasSubstr("t.csv:4:2: error: \"1.5\" in column \"count\" does not fit i32"));
  EXPECT_THAT(problem("itme", DType::f32), HasSubstr("has no column \"itme\"; did you mean `item`? [csv-column]"));
  const auto single = [&](const std::string& text, DType type) {
    return error_of([&] { read_csv(put("s.csv", "a\n" + text)).numbers({}, type); });
  };
  EXPECT_THAT(single("1e39", DType::f32), HasSubstr("\"1e39\" in column \"a\" does not fit f32"));
  EXPECT_THAT(single("1e39", DType::f64), "no error");
  EXPECT_THAT(single("9223372036854775807", DType::i64), "no error");
  EXPECT_THAT(single("9223372036854775808", DType::i64), HasSubstr("does not fit i64"));
  EXPECT_THAT(single("3e2", DType::i32), "no error");
  EXPECT_THAT(single("300", DType::boolean), HasSubstr("does not fit bool"));
  EXPECT_THAT(single("1e999", DType::f64), HasSubstr("is no number that f64 holds"));
  EXPECT_THAT(single("1x", DType::f64), HasSubstr("is no number"));
  EXPECT_THAT(single("\"\"", DType::f64), HasSubstr("an empty field in column \"a\" is no number"));
}

TEST_F(Tables, OfAnyBytes) {
  std::mt19937 random(5);
  const std::string letters = "a1,,\n\r\"\"";
  int read = 0;
  for (int i = 0; i < 150; ++i) {
    std::string text;
    for (std::size_t k = random() % 12; k > 0; --k) text += letters[random() % letters.size()];
    const fs::path path = put("r.csv", text);
    const std::string problem = error_of([&] {
      const Table table = read_csv(path, {.header = false, .missing = 0});
      for (const std::string& name : table.names())
        EXPECT_EQ(static_cast<std::int64_t>(table.text(name).size()), table.rows());
      ++read;
    });
    EXPECT_THAT(problem, testing::AnyOf("no error", HasSubstr("[csv-format]")));
  }
  EXPECT_GT(read, 30);
}

TEST(RealTables, AreRead) {
  const char* given = std::getenv("TUSK_SHARED");
  const fs::path folder = fs::path(given != nullptr ? given : TUSK_SHARED_DEFAULT) / "data";
  if (!fs::exists(folder)) GTEST_SKIP() << "left out: " << folder << " is not there";

  const Table iris = read_csv(folder / "iris.csv");
  EXPECT_EQ(iris.numbers_without({"label"}).shape(), (Extents{150, 4}));
  EXPECT_EQ(to_categorical(iris.column("label", DType::i32)).shape(), (Extents{150, 3}));
  int files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".csv") continue;
    const Table table = read_csv(entry.path(), {.missing = NAN});
    EXPECT_EQ(table.numbers().size(), table.rows() * static_cast<std::int64_t>(table.names().size())) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 14);
  const auto missing = [&] { read_csv(folder / "co2.csv").column("co2"); };
  EXPECT_THAT(error_of(missing), HasSubstr("an empty field in column \"co2\" is no number [csv-number]"));
  const Table spam = read_csv(folder / "sms_spam.tsv", {.header = false, .separator = '\t', .quote = 0});
  EXPECT_EQ(spam.rows(), 5574);
  EXPECT_EQ(std::ranges::count(spam.text("0"), "spam"), 747);
  EXPECT_EQ(read_csv(folder / "sentences.tsv", {.header = false, .separator = '\t', .quote = 0}).rows(), 3000);
}

}  // namespace
}  // namespace tusk
