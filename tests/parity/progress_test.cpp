// The progress bar beside the texts that Keras wrote, byte for byte.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "frontend/files/bytes.hpp"
#include "frontend/files/gzip.hpp"
#include "frontend/files/json.hpp"
#include "frontend/training/progress_bar.hpp"

namespace tusk {
namespace {

using nlohmann::json;

std::vector<std::string> names(const json& list) { return list.get<std::vector<std::string>>(); }

ProgressValues values_of(const json& list) {
  ProgressValues values;
  for (const json& pair : list) values.emplace_back(pair.at(0), pair.at(1));
  return values;
}

std::optional<std::int64_t> steps_of(const json& steps) {
  return steps.is_null() ? std::nullopt : std::optional(steps.get<std::int64_t>());
}

/// What ours writes when it is told at the same times what Keras' was told.
class Replay {
 public:
  std::string run(const json& recorded) {
    out_.str("");
    now_ = 1000;
    const bool of_bar = recorded.contains("bar");
    const json& config = recorded.at(of_bar ? "bar" : "logger");
    const ProgressOutput output{.out = &out_, .dynamic = config.at("dynamic"), .clock = [this] { return now_; }};
    if (of_bar) {
      bar(config, output, recorded.at("calls"));
    } else {
      logger(config, output, recorded.at("calls"));
    }
    return out_.str();
  }

 private:
  void bar(const json& config, const ProgressOutput& output, const json& calls) {
    ProgressBar::Config given;
    given.target = steps_of(config.at("target"));
    given.width = config.value("width", given.width);
    given.verbose = config.value("verbose", given.verbose);
    given.interval = config.value("interval", given.interval);
    given.unit_name = config.value("unit_name", given.unit_name);
    if (config.contains("stateless_metrics")) given.stateless_metrics = names(config.at("stateless_metrics"));
    if (config.contains("stateful_metrics")) given.stateful_metrics = names(config.at("stateful_metrics"));
    ProgressBar one(given, output);
    for (const json& call : calls) {
      now_ = call.at(0);
      const json& finalize = call.at(3);
      one.update(call.at(1), values_of(call.at(2)),
                 finalize.is_null() ? std::nullopt : std::optional(finalize.get<bool>()));
    }
  }

  void logger(const json& config, const ProgressOutput& output, const json& calls) {
    const int verbose = config.at("verbose") == "auto" ? 1 : config.at("verbose").get<int>();
    ProgressLogger one({.verbose = verbose, .epochs = config.at("epochs"), .steps = steps_of(config.at("steps"))},
                       output);
    for (const json& call : calls) {
      const double at = now_ = call.at(0);
      const std::string kind = call.at(1);
      if (kind == "begin") one.begin();
      if (kind == "epoch") one.begin_epoch(call.at(2));
      if (kind == "step") one.step(call.at(2), values_of(call.at(3)));
      if (kind == "end") one.end(values_of(call.at(2)));
      if (kind != "run") continue;
      const std::int64_t first = call.at(2), last = call.at(3);
      for (std::int64_t batch = first; batch < last; ++batch) {
        now_ = at + static_cast<double>(batch - first) * call.at(4).get<double>();
        one.step(batch, {{"loss", call.at(5).get<double>() / static_cast<double>(batch + 1)}});
      }
    }
  }

  std::ostringstream out_;
  double now_ = 0;
};

TEST(Progress, IsThatOfKeras) {
  const std::string path = TUSK_SOURCE_DIR "/tests/parity/goldens/progress.json.gz";
  const Expected<Bytes> bytes = read_unpacked(path);
  ASSERT_TRUE(bytes) << bytes.problem().str();
  const Expected<json> cases = parse_json(text_of(*bytes), path);
  ASSERT_TRUE(cases) << cases.problem().str();
  EXPECT_GE(cases->size(), 140U);
  Replay replay;
  for (const json& recorded : *cases)
    EXPECT_EQ(replay.run(recorded), recorded.at("text").get<std::string>()) << recorded.at("name");
}

TEST(Progress, CountsSecondsOfItsOwn) {
  std::ostringstream out;
  ProgressBar bar({.target = 2, .verbose = 2}, {.out = &out});
  bar.add(1);
  bar.add(1, {{"loss", 2}});
  EXPECT_EQ(out.str().substr(0, 11), "2/2 - 0s - ");
  EXPECT_TRUE(out.str().ends_with("/step - loss: 2.0000\n")) << out.str();
}

}  // namespace
}  // namespace tusk
