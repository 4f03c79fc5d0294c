// Graph text of one kernel to an emitted folder, as `tusk compile --target TARGET` (or native) does for a model:
//
//   bench_emit TEXT WEIGHTS FOLDER [TARGET [mlir|asm]]     WEIGHTS holds what `file(offset)` refers to; the module's
//   name is that of the files
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "driver/compile.hpp"
#include "ir/graph/parse.hpp"
#include "ir/target/target_machine.hpp"

namespace {

using namespace tusk;

Expected<std::string> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return error("file-access", fmt::format("cannot read {}", path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Status emit(const std::string& text_path, const std::string& weights_path, const std::string& folder,
            const std::string& target, const std::string& form) {
  TRY(const std::string text, read(text_path));
  TRY(const std::string weights, read(weights_path));
  TRY(graph::Module module, graph::parse(text, {text_path, std::as_bytes(std::span(weights))}));
  EmitOptions options;
  options.name = module.name;
  if (!form.empty()) options.backend = Backend::mlir;
  if (form == "asm") options.emit = form;
  options.embed_weights = false;
  options.self_test = false;  // contenders are checked against reference.c
  TRY(options.passes.target, target_named(target));
  TRY(const auto files, compile(std::move(module), options));
  return write_files(folder, files);
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> arguments(words + 1, words + count);
  Status status = error("usage", "usage: bench_emit TEXT WEIGHTS FOLDER [TARGET [mlir|asm]]");
  if (arguments.size() >= 3 && arguments.size() <= 5 &&
      (arguments.size() < 5 || arguments[4] == "mlir" || arguments[4] == "asm"))
    status = emit(arguments[0], arguments[1], arguments[2], arguments.size() > 3 ? arguments[3] : "native",
                  arguments.size() > 4 ? arguments[4] : "");
  if (status) return 0;
  fmt::print(stderr, "{}", status.problem().str());
  return 1;
}
