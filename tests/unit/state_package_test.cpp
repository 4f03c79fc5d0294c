// Emitted folders of models with states: State, init, read, write, the self-test, the C interface.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "driver/compile.hpp"
#include "ir/graph/parse.hpp"
#include "tests/unit/emitted.hpp"

namespace tusk {
namespace {

using testing::HasSubstr;

constexpr const char* kModule = R"(module m numerics 1 / fma
symbol batch in 1..8
state @dense/kernel : f32[3,2] = [1, 2, 3, 4, 5, 6] trainable
state @steps : i64[] = 0
const @scale : f32[2] = [0.5, 0.25]
func train(%x: f32[batch,3]) -> (%sum: f32[2]) {
  %y = contract %x, @dense/kernel { a[n,k] b[k,o] -> y[n,o] }
  %all = reduce.sum %y {axes=[0]}
  %sum = map.mul %all, @scale
  %spread = broadcast %sum {shape=[3,2], dims=[1]}
  %next = map.fma %spread, -0.5, @dense/kernel
  %count = map.add @steps, 1
  update @dense/kernel = %next
  update @steps = %count
}
func initialize(%seed: u32[2]) -> () {
  %words = cast %seed {to=f32}
  %drawn = broadcast %words {shape=[3,2], dims=[1]}
  update @dense/kernel = %drawn
}
func predict(%x: f32[batch,3]) -> (%y: f32[batch,2]) {
  %y = contract %x, @dense/kernel { a[n,k] b[k,o] -> y[n,o] }
}
)";

// A user's program: two steps, a copy of the state, values read and written, what is refused.
constexpr const char* kProgram = R"(#include <cstdio>
#include <cstring>
#include "net.h"
#include "net.hpp"

static net::Arena arena;
static net::State state, copy;

int main() {
  const float x[3] = {1, 2, 3};
  float sum[2], y[2], kernel[6];
  if (net::train(arena, state, 1, {x, sum}) != net::Status::bad_state) return 1;
  net::init(state);
  if (net::predict(arena, state, 1, {x, y}) != net::Status::ok || y[0] != 22 || y[1] != 28) return 2;
  if (net::train(arena, state, 1, {x, sum}) != net::Status::ok || sum[0] != 11 || sum[1] != 7) return 3;
  copy = state;
  if (net::read(copy, 0, kernel) != net::Status::ok || kernel[0] != 1 - 5.5f || kernel[5] != 6 - 3.5f) return 4;
  if (std::strcmp(net::variables[0].path, "dense/kernel") != 0 || !net::variables[0].trainable) return 5;
  long long steps = 7;
  if (net::read(state, 1, &steps) != net::Status::ok || steps != 1) return 6;
  if (net::read(state, 2, &steps) != net::Status::bad_index) return 7;
  for (float& k : kernel) k = 1;
  if (net_write(&copy, 0, kernel) != net_ok || net_predict(&arena, &copy, 1, nullptr) != net_null_pointer) return 8;
  if (net::predict(arena, copy, 1, {x, y}) != net::Status::ok || y[0] != 6 || y[1] != 6) return 9;
  copy.bytes[9] ^= 1;  // another layout
  if (net::predict(arena, copy, 1, {x, y}) != net::Status::bad_state) return 10;
  if (net_state_bytes() != NET_STATE_BYTES || net_init(nullptr) != net_null_pointer) return 11;
  const std::uint64_t seed = 5 + (std::uint64_t{9} << 32);
  if (net::init(arena, state, seed) != net::Status::ok || net::read(state, 1, &steps) != net::Status::ok) return 13;
  if (net::predict(arena, state, 1, {x, y}) != net::Status::ok || y[0] != 30 || y[1] != 54 || steps != 0) return 14;
  if (net_init_seed(&arena, &copy, seed) != net_ok || std::memcmp(&copy, &state, sizeof state) != 0) return 15;
  if (net_init_seed(&arena, nullptr, seed) != net_null_pointer) return 16;
  const net::Status tested = net::self_test(arena, state);
  return tested == net::Status::ok ? 0 : 12;
}
)";

TEST(StatePackage, KeepsWhatAStepChanges) {
  auto module = graph::parse(kModule);
  ASSERT_TRUE(module) << module.problem().str();
  EmitOptions options;
  options.name = "net";
  const auto files = compile(*std::move(module), options);
  ASSERT_TRUE(files) << files.problem().str();
  const std::filesystem::path folder = work_folder("state");
  std::string sources;
  for (const auto& [name, text] : *files) {
    write(folder / name, text);
    if (name.ends_with(".cpp") && !name.ends_with("_main.cpp")) sources += fmt::format(" {}", (folder / name).string());
  }
  write(folder / "user.cpp", kProgram);
  write(folder / "c.c",
        "#include \"net.h\"\nint main(void) { return net_state_bytes() == NET_STATE_BYTES ? 0 : 1; }\n");
  for (const char* compiler : {TUSK_CXX, "clang++"}) {
    if (std::system(fmt::format("{} --version > /dev/null 2>&1", compiler).c_str()) != 0) continue;
    EXPECT_EQ(run_command(fmt::format("{} -std=c++17 -O1 -Wshadow {} {} {}/user.cpp -o {}/t && {}/t", compiler,
                                      kWarnings, sources, folder.string(), folder.string(), folder.string())),
              "");
    EXPECT_EQ(run_command(fmt::format("{} -std=c++17 -O1 {} {}/net_self_test_main.cpp -o {}/s && {}/s | grep passed > "
                                      "/dev/null",
                                      compiler, sources, folder.string(), folder.string(), folder.string())),
              "");
  }
  EXPECT_EQ(
      run_command(fmt::format("cc -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only {}/c.c", folder.string())),
      "");
  if (std::system("clang-format --version >/dev/null 2>&1") == 0) {
    EXPECT_EQ(
        run_command(fmt::format("cd {} && for f in net*.cpp net*.hpp net.h; do clang-format $f | diff $f - || exit 1; "
                                "done",
                                folder.string())),
        "");
  }
}

}  // namespace
}  // namespace tusk
