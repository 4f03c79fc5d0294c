#include <gtest/gtest.h>

#include <string>

#include "frontend/model/cells.hpp"
#include "ir/base/expected.hpp"
#include "ir/base/printable.hpp"

namespace tusk {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("größe 模型 \\ \"q\""), "größe 模型 \\ \"q\"");
  EXPECT_EQ(printable(std::string("a\n\t\x1b[2J\x7f\0b", 10)), R"(a\n\t\x1b[2J\x7f\x00b)");
  EXPECT_EQ(printable("\u0085\u202e\u2066"), R"(\x85\u202e\u2066)");
  EXPECT_EQ(printable("\xff\xc3"), R"(\xff\xc3)");  // no UTF-8
}

TEST(Printable, DiagnosticsAreSafe) {
  Diagnostic problem = error("code", "layer `a\x1b[2J`");
  problem.layer = "a\nb";
  problem.note("see \x07");
  problem.spot = {"m\x1b.tusk", 1, 4,
                  "\tb\x1b"
                  "c"};
  EXPECT_EQ(
      problem.str(),
      "m\\x1b.tusk:1:4: error: layer `a\\x1b[2J` [code]\n  \tb\\x1bc\n  \t     ^\n  at layer `a\\nb`\n  see \\x07\n");
}

TEST(Cells, OfTextOnATerminal) {
  EXPECT_EQ(cells_of("dense"), 5);
  EXPECT_EQ(cells_of("模型a"), 5);
  EXPECT_EQ(cells_of("e\u0301"), 1);
  EXPECT_EQ(cells_of("🙂"), 2);
  EXPECT_EQ(first_cells("模型", 3), "模 ");
  EXPECT_EQ(first_cells("abc", 5), "abc");
}

}  // namespace
}  // namespace tusk
