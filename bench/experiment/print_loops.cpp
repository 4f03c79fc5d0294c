// Loop text to C++, and the check that a schedule keeps bits.
//
//   print_loops print FILE NAME...      C++ of the functions NAME of a loop text, as extern "C" void run_NAME(pointers)
//   print_loops same PLAIN FILE NAME    runs the plain loops `f` and the scheduled NAME in the loop interpreter on the
//                                       same random inputs, and compares the results byte by byte
//
// Sizes of buffers are their notes: "[4,512]".
#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/cpp/package_parts.hpp"
#include "codegen/cpp/print_loop.hpp"
#include "ir/loop/interpret.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/verify.hpp"

namespace {

using namespace tusk;
using Floats = std::vector<float>;

Expected<loop::Module> read(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  TRY(loop::Module module, loop::parse(text, path));
  CHECK(loop::verify(module));
  return module;
}

std::size_t elements(const loop::Buffer& buffer) {
  std::size_t count = 1, number = 0;
  for (const char c : buffer.note) {
    if (c >= '0' && c <= '9') {
      number = 10 * number + static_cast<std::size_t>(c - '0');
    } else if (c == ',' || c == ']') {
      count *= number;
      number = 0;
    }
  }
  return count;
}

Status run(loop::Interpreter& interpreter, const std::string& name, const std::vector<Floats*>& buffers) {
  std::vector<loop::BufferArg> arguments;
  for (Floats* b : buffers) {
    arguments.push_back({reinterpret_cast<std::byte*>(b->data()), static_cast<std::int64_t>(4 * b->size())});
  }
  return interpreter.run(name, arguments, {});
}

Status same(const std::string& plain_path, const std::string& path, const std::string& name) {
  TRY(const loop::Module plain, read(plain_path));
  TRY(const loop::Module module, read(path));
  std::mt19937 random(1);
  std::uniform_real_distribution<float> value(-1, 1);
  std::vector<Floats> inputs, expected;
  std::vector<Floats*> arguments;
  const loop::Func& f = *plain.func("f");
  inputs.reserve(f.buffers.size());
  expected.reserve(f.buffers.size());
  for (const loop::Buffer& buffer : f.buffers) {
    std::vector<Floats>& list = buffer.constant ? inputs : expected;
    list.emplace_back(buffer.name == "arena" ? 1U << 20U : elements(buffer));
    if (buffer.constant) {
      for (float& x : list.back()) x = value(random);
    }
    arguments.push_back(&list.back());
  }
  loop::Interpreter oracle(plain);
  CHECK(run(oracle, "f", arguments));

  loop::Interpreter interpreter(module);
  std::vector<Floats> own;
  arguments.clear();
  const loop::Func& kernel = *module.func(name);
  own.reserve(kernel.buffers.size());
  std::size_t input = 0, results = expected.size() - 1;  // without the arena
  std::vector<const Floats*> outputs;
  for (const loop::Buffer& buffer : kernel.buffers) {
    own.emplace_back(elements(buffer), std::nanf(""));  // poison
    if (buffer.constant && module.func("pack_" + buffer.name.substr(0, buffer.name.find('_'))) != nullptr &&
        buffer.name.find("_packed") != std::string::npos) {
      CHECK(run(interpreter, "pack_" + buffer.name.substr(0, buffer.name.find('_')), {&inputs[input++], &own.back()}));
    } else if (buffer.constant) {
      own.back() = inputs[input++];
    } else if (outputs.size() < results) {
      outputs.push_back(&own.back());
    }
    arguments.push_back(&own.back());
  }
  CHECK(run(interpreter, name, arguments));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i]->size() != expected[i].size() ||
        std::memcmp(outputs[i]->data(), expected[i].data(), 4 * expected[i].size()) != 0) {
      return error("experiment", fmt::format("{}: result {} differs", name, i));
    }
  }
  fmt::print("{}: same bits in the interpreter\n", name);
  return done();
}

Status print(const std::string& path, const std::vector<std::string>& names) {
  TRY(const loop::Module module, read(path));
  TRY(const cpp::LoopText text, cpp::print_loops(module, names));
  fmt::print("{}#include \"tusk_runtime.hpp\"\n\nextern \"C\" {{\n\n{}}}  // extern C\n", cpp::bit_protection(),
             text.text);
  return done();
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> arguments(words + 1, words + count);
  Status status = error("experiment", "usage: print_loops print FILE NAME... | same PLAIN FILE NAME");
  if (arguments.size() >= 3 && arguments[0] == "print") {
    status = print(arguments[1], {arguments.begin() + 2, arguments.end()});
  } else if (arguments.size() == 4 && arguments[0] == "same") {
    status = same(arguments[1], arguments[2], arguments[3]);
  }
  if (status) return 0;
  fmt::print(stderr, "{}\n", status.problem().str());
  return 1;
}
