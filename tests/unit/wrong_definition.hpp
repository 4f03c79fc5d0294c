// Tables of what is defined wrongly and what a user then reads.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "frontend/model/names.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {

struct Wrong {
  std::function<void()> define;
  std::string message;  // the first line without "error: "
  std::string layer;
  std::string note = {};
};

/// Each text as a whole.
inline void expect(const std::vector<Wrong>& table) {
  for (const Wrong& wrong : table) {
    clear_session();
    std::string text = "error: " + wrong.message + "\n";
    if (!wrong.layer.empty()) text += "  at layer `" + wrong.layer + "`\n";
    if (!wrong.note.empty()) text += "  " + wrong.note + "\n";
    EXPECT_EQ(error_of(wrong.define), text);
  }
}

}  // namespace tusk
