// Tests of the emitted folder: it builds, checks itself and its arguments, alone and with a weights file.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package.hpp"
#include "codegen/cpp/print_loop.hpp"
#include "ir/loop/interpret.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/rows.hpp"
#include "ir/loop/verify.hpp"
#include "tests/unit/emitted.hpp"

namespace tusk {
namespace {

using testing::HasSubstr;
using testing::Not;

// ---- A package
// ------------------------------------------------------------------------------------------------------------

struct Example {
  kernel::Program program;
  loop::Module loops;
  std::vector<cpp::SelfTest> tests;
};

// y = max(x * w + b, 0) with nasty names.
Example example() {
  Example out;
  out.program.name = "x\"; #endif */";
  out.program.symbols = {{"batch", 1, 8, 1}, {"time", 2, 16, 2}};
  const Dim batch = Dim::symbol("batch");
  const Dim time = Dim::symbol("time", 2);
  Array w(DType::f32, {3, 2});
  Array b(DType::f32, {2});
  for (std::int64_t i = 0; i < 6; ++i) w.set(i, 0.1 * static_cast<double>(i) - 0.2);
  b.set(0, 0.5);
  b.set(1, -0.0);
  out.program.globals = {{"unused", b}, {"dense */ \\/kernel", w}, {"dense/bias?\?/", b}};
  kernel::Function f;
  f.name = "predict";
  using Place = kernel::Tensor::Place;
  const auto tensor = [&](std::string name, Shape shape, Place place, int constant) {
    kernel::Tensor t;
    t.name = std::move(name);
    t.shape = std::move(shape);
    t.place = place;
    t.global = constant;
    f.tensors.push_back(std::move(t));
  };
  tensor("operator", {batch, time, Dim(3)}, Place::input, -1);
  tensor("out", {batch, time, Dim(2)}, Place::output, -1);
  tensor("w", {Dim(3), Dim(2)}, Place::constant, 1);
  tensor("b", {Dim(2)}, Place::constant, 2);
  f.inputs = {0};
  f.outputs = {1};
  f.requirements = {"(batch + time) % 2 == 0", "8*batch >= time//2"};
  f.arena_bytes = 2048;
  f.arena_lower_bound = 1024;
  out.program.functions = {f};
  out.loops = parsed(R"(
    loop dense(x: f32* const "[batch,time,3]", w: f32* const, b: f32* const, y: f32* "[batch,time,2]", batch: index, time: index) {
      for n = 0 to batch * time step 1 {
        for o = 0 to 2 step 1 {
          z = for k = 0 to 3 step 1 carry (acc = load b[o]) { yield fma(load x[n*3 + k], load w[k*2 + o], acc) }
          store y[n*2 + o], relu(z)
        }
      }
    }
    loop copy(x: f32* const, y: f32*, count: index) { for i = 0 to count step 1 { store y[i], load x[i] } }
    loop predict(operator: f32* const, out: f32*, w: f32* const align 64, b: f32* const align 64, arena: u8* align 64, batch: index, time: index) {
      let dense: f32* = arena + 0
      call dense(operator, w, b, dense, batch, time)
      call copy(dense, out, batch * time * 2)
    })");
  cpp::SelfTest test{"predict", {{"batch", 2}, {"time", 2}}, {}, {}, "loop interpreter"};
  Array x(DType::f32, {2, 2, 3});
  for (std::int64_t i = 0; i < 12; ++i)
    x.set(i, i == 5 ? std::numeric_limits<double>::quiet_NaN() : std::sin(static_cast<double>(i)));
  Array y(DType::f32, {2, 2, 2});
  Array arena(DType::u8, {2048});
  Array xin = x;
  const auto argument = [](Array& array) {
    const std::span<std::byte> bytes = array.writable_bytes();
    return loop::BufferArg{bytes.data(), static_cast<std::int64_t>(bytes.size())};
  };
  const std::vector<loop::BufferArg> buffers = {argument(xin), argument(y), argument(w), argument(b), argument(arena)};
  const std::vector<std::int64_t> scalars = {2, 2};
  loop::Interpreter interpreter(out.loops);
  const Status ok = interpreter.run("predict", buffers, scalars);
  EXPECT_TRUE(ok) << (ok ? "" : ok.problem().str());
  test.inputs["operator"] = x;
  test.outputs["out"] = y;
  out.tests = {test};
  return out;
}

std::map<std::string, std::string> package(const Example& e, const std::string& name, bool embed) {
  const cpp::PackageInput input{name,  e.program,           e.loops, "mo\"del*/.keras",  "00ff", "0.1.0",
                                embed, {"fold_batch_norm"}, e.tests, {"-mno-such;thing"}};
  Expected<std::map<std::string, std::string>> files = cpp::print_package(input);
  if (!files) ADD_FAILURE() << files.problem().str();
  return files ? *files : std::map<std::string, std::string>{};
}

TEST(Package, BuildsAndChecksItself) {
  const Example e = example();
  for (const bool embed : {true, false}) {
    const std::filesystem::path folder = work_folder(embed ? "embed" : "file");
    const std::map<std::string, std::string> files = package(e, "net", embed);
    EXPECT_EQ(files, package(e, "net", embed)) << "the same bytes each time";
    std::string sources;
    for (const auto& [name, text] : files) {
      write(folder / name, text);
      EXPECT_THAT(text, Not(HasSubstr(folder.string())));
      if (name.size() > 4 && name.substr(name.size() - 4) == ".cpp")
        sources += fmt::format(" {}", (folder / name).string());
    }
    write(folder / "c.c",
          "#include \"net.h\"\nint main(void) { return net_arena_bytes() == NET_ARENA_BYTES && NET_MAX_TIME == 16 ? 0 "
          ": 1; }\n");
    EXPECT_EQ(run_command(fmt::format("{} -std=c++17 -O1 -Wshadow {} {} -o {}/t && cd {} && ./t", TUSK_CXX, kWarnings,
                                      sources, folder.string(), folder.string())),
              "");
    EXPECT_EQ(
        run_command(fmt::format("cc -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only {}/c.c", folder.string())),
        "");
    if (std::system("clang-format --version >/dev/null 2>&1") == 0) {
      EXPECT_EQ(
          run_command(fmt::format("cd {} && for f in *.cpp *.hpp *.h; do clang-format $f | diff $f - || exit 1; done",
                                  folder.string())),
          "");
    }
    // Other bits are found.
    std::string spoilt = files.at("net_self_test.cpp");
    const std::size_t at = spoilt.rfind("0x", spoilt.find("clang-format on"));
    spoilt[at + 9] = spoilt[at + 9] == '0' ? '1' : '0';
    write(folder / "net_self_test.cpp", spoilt);
    EXPECT_THAT(run_command(fmt::format("{} -std=c++17 -O1 {} -o {}/t && cd {} && ./t", TUSK_CXX, sources,
                                        folder.string(), folder.string())),
                HasSubstr("THE SELF TEST FAILED"));
  }
}

TEST(Package, ChecksItsArguments) {
  const Example e = example();
  const std::filesystem::path folder = work_folder("arguments");
  for (const auto& [name, text] : package(e, "net", true)) write(folder / name, text);
  write(folder / "main.cpp", R"(
#include "net.h"
#include "net.hpp"
static net::Arena arena;
static float x[8 * 16 * 3], y[8 * 16 * 2];
int main() {
  using net::Status;
  const net::Weights w = net::weights();
  if (net::predict(arena, w, 2, 4, {x, y}) != Status::ok) return 1;
  if (net::predict(arena, w, 0, 4, {x, y}) != Status::bad_batch) return 2;
  if (net::predict(arena, w, 9, 4, {x, y}) != Status::bad_batch) return 3;
  if (net::predict(arena, w, 2, 18, {x, y}) != Status::bad_dimension) return 4;
  if (net::predict(arena, w, 2, 3, {x, y}) != Status::bad_dimension) return 5;
  if (net::predict(arena, w, 3, 4, {x, y}) != Status::bad_dimension) return 6;
  if (net::predict(arena, w, 2, 4, {x, nullptr}) != Status::null_pointer) return 7;
  if (net::predict(arena, {}, 2, 4, {x, y}) != Status::bad_weights && net::predict(arena, {}, 2, 4, {x, y}) != Status::null_pointer) return 8;
  if (net::predict(arena, {w.data, 64}, 2, 4, {x, y}) != Status::bad_weights) return 9;
  const net_predict_io io = {x, y};
  if (net_predict(arena.bytes, nullptr, 2, 4, &io) != net_ok) return 10;
  if (net_predict(arena.bytes + 1, nullptr, 2, 4, &io) != net_bad_arena) return 11;
  if (net_predict(nullptr, nullptr, 2, 4, &io) != net_null_pointer) return 12;
  if (net_predict(arena.bytes, nullptr, 2, 4, nullptr) != net_null_pointer) return 13;
  if (net_align(arena.bytes + 1) != arena.bytes + 64 || net_align(arena.bytes) != arena.bytes) return 14;
  if (net_self_test(arena.bytes, nullptr) != net_ok) return 15;
  if (net::predict(arena, {w.data + 4, w.size}, 2, 4, {x, y}) != Status::bad_weights) return 16;
  return 0;
}
)");
  const std::string path = folder.string();
  EXPECT_EQ(
      run_command(fmt::format(
          "{0} -std=c++17 -O1 {1} {2}/main.cpp {2}/net.cpp {2}/net_weights.cpp {2}/net_self_test.cpp -o {2}/t && {2}/t",
          TUSK_CXX, kWarnings, path)),
      "");
}

TEST(Package, WeightsFileIsChecked) {
  const Example e = example();
  const std::filesystem::path folder = work_folder("weights");
  for (const auto& [name, text] : package(e, "net", false)) write(folder / name, text);
  write(folder / "main.cpp", R"(
#include <cstdio>
#include "net.hpp"
alignas(64) static unsigned char bytes[4096];
int main(int, char** a) {
  std::FILE* f = std::fopen(a[1], "rb");
  const std::size_t n = std::fread(bytes, 1, sizeof bytes, f);
  net::Weights w;
  using net::Status;
  if (net::open(bytes, n, w) != Status::ok) return 1;
  if (net::open(bytes, n - 1, w) != Status::bad_weights) return 2;
  if (net::open(bytes + 1, n, w) != Status::bad_weights) return 3;
  if (net::open(nullptr, n, w) != Status::null_pointer) return 4;
  for (std::size_t i = 0; i < n; ++i) {
    if (i >= 56 && i < 64) continue;
    bytes[i] ^= 1;
    if (net::open(bytes, n, w) != Status::bad_weights) return 5;
    bytes[i] ^= 1;
  }
  return 0;
}
)");
  const std::string path = folder.string();
  EXPECT_EQ(run_command(fmt::format("{0} -std=c++17 -O1 {1} {2}/main.cpp {2}/net.cpp -o {2}/t && {2}/t {2}/net.weights",
                                    TUSK_CXX, kWarnings, path)),
            "");
}

TEST(Package, LargeWeightsAreStrings) {
  Example e = example();
  e.program.globals[1].value = Array(DType::f32, {200, 100});
  std::mt19937 random(4);
  for (std::byte& byte : e.program.globals[1].value.writable_bytes()) byte = static_cast<std::byte>(random());
  const std::map<std::string, std::string> files = package(e, "net", true);
  const std::filesystem::path folder = work_folder("strings");
  for (const auto& [name, text] : files) write(folder / name, text);
  std::ofstream raw(folder / "raw", std::ios::binary);
  const std::span<const std::byte> bytes = e.program.globals[1].value.bytes();
  raw.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  raw.close();
  write(folder / "main.cpp", R"(
#include <cstdio>
#include "net.hpp"
int main() { return std::fwrite(net::weights().data, 1, 80000, stdout) == 80000 ? 0 : 1; }
)");
  const std::string path = folder.string();
  EXPECT_EQ(run_command(fmt::format(
                "{0} -std=c++17 {1} -trigraphs {2}/main.cpp {2}/net_weights.cpp -o {2}/t && {2}/t | cmp - {2}/raw",
                TUSK_CXX, kWarnings, path)),
            "");
}

}  // namespace
}  // namespace tusk
