// Writes seeds for a fuzz target: fuzz_seeds TARGET TESTS_FOLDER OUTPUT_FOLDER
// For graph, kernel and loop: every text test (a form that the target does not read is one seed refused), and the op
// samples for `graph`. For the readers of files: small recorded models and parts of them, and files made here.
#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "frontend/files/hdf5.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/files/zip.hpp"
#include "ir/graph/op.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "tests/unit/weight_files.hpp"

namespace fs = std::filesystem;
using tusk::Bytes;

namespace {

constexpr std::size_t kMaxSeed = 1 << 15;

class Seeds {
 public:
  Seeds(std::string target, fs::path output) : target(std::move(target)), output_(std::move(output)) {}

  void add(const std::string& name, std::span<const std::byte> bytes) const {
    if (bytes.size() > kMaxSeed) return;
    std::ofstream(output_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  void add(const std::string& name, std::string_view text) const { add(name, tusk::bytes_of(text)); }
  void add(const std::string& name, const tusk::Expected<Bytes>& bytes) const {
    if (bytes) add(name, std::span(*bytes));
  }

  const std::string target;

 private:
  fs::path output_;
};

void text_tests(const fs::path& folder, const Seeds& seeds) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().extension() == ".py") continue;
    const std::string name = entry.path().parent_path().filename().string() + "-" + entry.path().filename().string();
    seeds.add(name, tusk::read_file(entry.path()));
  }
}

void op_samples(const Seeds& seeds) {
  for (const tusk::graph::OpDef* op : tusk::graph::ops()) {
    int number = 0;
    for (const std::string_view sample : op->samples) {
      if (const auto module = tusk::graph::parse_sample(sample))
        seeds.add(std::string(op->name) + "-" + std::to_string(number++), tusk::graph::print(*module));
    }
  }
}

/// Whole files for the target that reads them, their members for the others.
void recorded_models(const fs::path& folder, const Seeds& seeds) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::string ending = entry.path().extension().string();
    const bool archive = ending == ".keras" || ending == ".npz";
    const bool whole = (seeds.target == "keras" && (ending == ".keras" || ending == ".h5")) ||
                       (seeds.target == "zip" && archive) || (seeds.target == "npz" && ending == ".npz") ||
                       (seeds.target == "hdf5" && ending == ".h5");
    if (whole) seeds.add(name, tusk::read_file(entry.path()));
    if (ending == ".h5" && seeds.target == "json") {
      const auto file = tusk::Hdf5File::open(entry.path());
      if (!file) continue;
      if (const auto config = file->string_attribute("", "model_config"); config && *config) seeds.add(name, **config);
    }
    const char* member = seeds.target == "json" ? "config.json" : seeds.target == "hdf5" ? "model.weights.h5" : nullptr;
    if (ending != ".keras" || member == nullptr) continue;
    if (const auto zip = tusk::ZipReader::open(entry.path())) seeds.add(name, zip->read(member));
  }
}

/// One array of each type that a file may have.
std::map<std::string, tusk::Array> arrays() {
  using tusk::DType;
  std::map<std::string, tusk::Array> out;
  for (const DType type :
       {DType::f32, DType::f64, DType::f16, DType::i8, DType::u8, DType::i32, DType::u32, DType::i64, DType::boolean}) {
    out.emplace(std::string(tusk::name_of(type)), tusk::Array::splat(type, {2, 3}, 1));
  }
  return out;
}

void made_files(const Seeds& seeds) {
  std::vector<tusk::ZipEntry> entries;
  for (const auto& [name, array] : arrays()) {
    auto bytes = tusk::npy_bytes(array);
    if (!bytes) continue;
    if (seeds.target == "npz") seeds.add(name + ".npy", std::span(*bytes));
    entries.push_back({name + ".npy", *std::move(bytes)});
  }
  if (seeds.target == "npz" || seeds.target == "zip") {
    seeds.add("stored", tusk::zip_bytes(entries, tusk::ZipMethod::store));
    seeds.add("deflated", tusk::zip_bytes(entries, tusk::ZipMethod::deflate));
    seeds.add("empty", tusk::zip_bytes({}, tusk::ZipMethod::store));
  }
  if (seeds.target == "json") {
    seeds.add("values", R"({"a": [1, -2.5e3, "t\u00e9\n", true, null, NaN, -Infinity, {}, []], "": "\ud83d\ude00"})");
    seeds.add("deep", std::string(200, '[') + std::string(200, ']'));
  }
  if (seeds.target == "hdf5") {
    tusk::test::Hdf5Bytes file;
    const auto names = file.heap_strings("layer_names", {"a", "a longer name"});
    const auto group = file.group({tusk::test::Hdf5Bytes::link("0", file.floats({2}, {1, 2})),
                                   tusk::test::Hdf5Bytes::strings("weight_names", {"x", "yy"})});
    const auto root = file.group({names, tusk::test::Hdf5Bytes::link("a", group)});
    seeds.add("heap", std::span<const std::byte>(file.file(root)));
    const Bytes groups = tusk::test::groups({"layers|dense|vars|0", "layers|dense|vars|1", "optimizer|vars|0"}).file();
    seeds.add("groups", std::span<const std::byte>(groups));
    const Bytes lists = tusk::test::lists({{"dense", {"kernel:0", "bias:0"}}, {"flatten", {}}}).file();
    seeds.add("lists", std::span<const std::byte>(lists));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 1;
  const Seeds seeds(argv[1], argv[3]);
  const fs::path tests = argv[2];
  if (seeds.target == "graph" || seeds.target == "kernel" || seeds.target == "loop") {
    text_tests(tests / "lit", seeds);
    if (seeds.target == "graph") op_samples(seeds);
    return 0;
  }
  recorded_models(tests / "parity/goldens", seeds);
  recorded_models(tests / "parity/refused", seeds);
  made_files(seeds);
  return 0;
}
