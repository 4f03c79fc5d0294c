// Random layers on images, as a training step calls them, against what Keras makes of an image by numbers that are
// given (record_random_images.py): by the graph interpreter in double, and by the loops.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "frontend/export/config.hpp"
#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/model/trace.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/verify.hpp"
#include "passes/pipeline.hpp"
#include "passes/run_loops.hpp"
#include "tests/parity/recorded.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Arrays = std::map<std::string, Array>;

const fs::path kImages = fs::path(TUSK_SOURCE_DIR) / "tests/parity/goldens";

graph::Module in_training(const Layer& layer, const Array& x) {
  const graph::Type type = type_of(x);
  layer.base().ensure_built({type.shape});
  Trace trace("step", Trace::Weights::states);
  const Tensor given = trace.parameter("x", type);
  trace.function.results = {trace.operand(trace.run(layer.base(), {given}, {.training = true}).front())};
  trace.function.result_names = {"y"};
  trace.module.functions.push_back(std::move(trace.function));
  return std::move(trace.module);
}

Array called(const graph::Module& module, const Array& x, bool by_loops) {
  const graph::Function& function = module.functions.front();
  if (!by_loops) return value_or_throw(graph::interpret(module, function, {x}, {})).front();
  const Lowered lowered = std::get<Lowered>(value_or_throw(run_pipeline(module, {})));
  States states;
  return value_or_throw(run_loops(lowered.program, lowered.loops, "step", {x}, {}, kPoison, &states)).front();
}

// How far a part of the elements is from that of a recording.
double apart(const Array& got, const Array& wanted, std::int64_t first, std::int64_t count) {
  double worst = 0;
  for (std::int64_t i = first; i < first + count; ++i) worst = std::max(worst, std::abs(got.at(i) - wanted.at(i)));
  return worst;
}

TEST(RandomImages, TransformAsKeras) {
  std::ifstream file(kImages / "random_images.json");
  const json records = json::parse(file);
  const Arrays arrays = value_or_throw(read_npz(kImages / "random_images.npz"));
  ASSERT_GE(records.size(), 85);
  double worst = 0;
  for (const json& record : records) {
    const auto name = record["name"].get<std::string>();
    SCOPED_TRACE(name);
    const Array& x = arrays.at(name + "/x");
    std::vector<Array> wanted;
    for (int k = 0; k < record["results"].get<int>(); ++k) wanted.push_back(arrays.at(fmt::format("{}/y/{}", name, k)));
    const Layer layer =
        layer_from_config(record["layer"]["class_name"].get<std::string>(), record["layer"]["config"].dump());
    const graph::Module module = in_training(layer, x);
    const Status verified = graph::verify(module);
    ASSERT_TRUE(verified) << verified.problem().str();
    for (const bool by_loops : {false, true}) {
      const Array got = called(module, x, by_loops);
      ASSERT_EQ(got.shape(), wanted[0].shape());
      ASSERT_EQ(by_loops ? got.dtype() : wanted[0].dtype(), wanted[0].dtype());
      const std::int64_t samples = record["whole"].get<bool>() ? 1 : x.shape()[0];
      const std::int64_t count = got.size() / samples;
      double largest = 0;
      for (const Array& each : wanted) {
        for (std::int64_t i = 0; i < each.size(); ++i) largest = std::max(largest, std::abs(each.at(i)));
      }
      for (std::int64_t sample = 0; sample < samples; ++sample) {
        double nearest = INFINITY;
        for (const Array& each : wanted) nearest = std::min(nearest, apart(got, each, sample * count, count));
        const double allowed = (wanted[0].dtype() == DType::f16 ? 0x1p-10 : 2e-6) * largest;
        EXPECT_LE(nearest, allowed) << (by_loops ? "by loops" : "in double") << ", sample " << sample;
        worst = std::max(worst, nearest / allowed);
      }
    }
  }
  fmt::print("{} layers, worst {:.2f} of what is allowed\n", records.size(), worst);
}

}  // namespace
}  // namespace tusk
