// summary() beside the texts that Keras printed, byte for byte.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "frontend/import/load_model.hpp"
#include "frontend/model/summary.hpp"
#include "tests/parity/recorded.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// MODEL.summary.txt, MODEL.summary_nested_100_trainable.txt: what Keras was asked for stands in the name.
SummaryOptions asked(const std::string& name) {
  SummaryOptions options;
  if (name.find("_100") != std::string::npos) options.line_length = 100;
  options.expand_nested = name.find("_nested") != std::string::npos;
  options.show_trainable = name.find("_trainable") != std::string::npos;
  return options;
}

TEST(Summaries, AreThoseOfKeras) {
  const fs::path folder = shared() / "goldens" / "guide";
  if (!fs::exists(folder)) GTEST_SKIP() << "left out: " << folder << " is not there";
  int compared = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    const std::size_t end = file.find(".summary");
    if (end == std::string::npos) continue;
    fs::path model = folder / (file.substr(0, end) + ".keras");
    if (!fs::exists(model)) model.replace_extension(".json");
    const Expected<LoadedModel> loaded = read_architecture(model);
    if (!loaded) {  // recurrent, or with code of its own: nothing else is refused
      const std::string why = loaded.problem().str();
      const auto has = [&](std::string_view code) { return why.find(code) != std::string::npos; };
      EXPECT_TRUE(has("[layer-unsupported]") || has("[layer-custom]") || has("[model-class]")) << why;
      continue;
    }
    SummaryOptions options = asked(file.substr(end));
    for (const Array& array : loaded->optimizer) {
      options.optimizer_params += array.size();
      options.optimizer_bytes += static_cast<std::int64_t>(array.bytes().size());
    }
    EXPECT_EQ(summary(loaded->model, options), text_of(entry.path())) << file;
    ++compared;
  }
  EXPECT_GE(compared, 46);
}

}  // namespace
}  // namespace tusk
