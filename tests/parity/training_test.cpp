// Training steps against those of Keras, state by state: by the graph interpreter in double, and by the loops.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/model/trace.hpp"
#include "frontend/training/loss_list.hpp"
#include "frontend/training/optimizer_list.hpp"
#include "frontend/training/optimizer_state.hpp"
#include "frontend/training/train_step.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/callable.hpp"
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

Target target_of(const Array& array) {
  Target target{array.dtype(), {}};
  for (std::size_t i = 1; i < array.shape().size(); ++i) target.shape.push_back(Dim(array.shape()[i]));
  return target;
}

struct Difference {
  double worst = 0;  // of what is allowed
  std::string where;
  int arrays = 0;

  void compare(const std::string& name, const Array& got, const Array& wanted, double atol, double relative) {
    ++arrays;
    if (got.shape() != wanted.shape()) {
      worst = INFINITY;
      where = name + " has another shape";
      return;
    }
    double largest = 0;
    for (std::int64_t i = 0; i < wanted.size(); ++i) largest = std::max(largest, std::abs(wanted.at(i)));
    const double allowed = std::max(atol, relative * largest);
    for (std::int64_t i = 0; i < wanted.size(); ++i) {
      double apart = std::abs(got.at(i) - wanted.at(i)) / allowed;
      if (got.at(i) == wanted.at(i)) apart = 0;
      if (!(apart <= worst)) {
        worst = std::isnan(apart) ? INFINITY : apart;
        where = fmt::format("{}[{}] is {}, recorded {}", name, i, got.at(i), wanted.at(i));
      }
    }
  }
};

// A module whose states change from step to step: by the graph interpreter in double, or by the loops.
class Steps {
 public:
  Steps(graph::Module module, bool by_loops) : module_(std::move(module)) {
    if (!by_loops) return;
    const Expected<Ir> ir = run_pipeline(module_, {});
    if (!ir) throw Error(ir.problem());
    lowered_ = std::get<Lowered>(*ir);
  }

  Array step(const std::vector<Array>& inputs) {
    const graph::Function& function = module_.functions.front();
    std::vector<std::vector<std::int64_t>> shapes;
    for (const Array& input : inputs) shapes.push_back(input.shape());
    const auto symbols = graph::bind_symbols(module_, function, shapes);
    if (!symbols) throw Error(symbols.problem());
    const auto results =
        lowered_ ? run_loops(lowered_->program, lowered_->loops, function.name, inputs, *symbols, kPoison, &states_)
                 : graph::interpret(module_, function, inputs, *symbols);
    if (!results) throw Error(results.problem());
    for (std::size_t i = 0; !lowered_ && i < function.updates.size(); ++i) {
      graph::Global& state = module_.globals[static_cast<std::size_t>(function.updates[i].global)];
      state.value = (*results)[function.results.size() + i].converted(state.type.dtype);
    }
    return results->front();
  }

  /// Null if no step reads it.
  const Array* state(const std::string& path) const {
    if (const auto it = states_.find(path); it != states_.end()) return &it->second;
    const int global = module_.global_named(path);
    return global < 0 ? nullptr : &module_.globals[static_cast<std::size_t>(global)].value;
  }

 private:
  graph::Module module_;
  std::optional<Lowered> lowered_;
  States states_;
};

// The loss of each output, as compile_config has them: one for all, a list, or by name.
TrainingPlan plan_of(const json& entry, const Model& model, const Arrays& arrays) {
  const json& config = entry["compile_config"];
  TrainingPlan plan;
  plan.optimizer = optimizer_from_config(config["optimizer"]);
  const json& loss = config["loss"];
  const json& weights = config["loss_weights"];
  for (std::size_t i = 0; i < model.output_names().size(); ++i) {
    const std::string& name = model.output_names()[i];
    plan.losses.push_back(loss_from_config(loss.is_array() ? loss[i] : loss.contains(name) ? loss[name] : loss));
    if (!weights.is_null()) plan.loss_weights.push_back(weights.is_array() ? weights[i] : weights[name]);
    plan.targets.push_back(target_of(arrays.at(fmt::format("step/1/y/{}", i))));
  }
  if (arrays.contains("step/1/sample_weight") || entry.contains("class_weight"))
    plan.sample_weights = {{DType::f32, {}}};
  return plan;
}

// What a step is given.
std::vector<Array> inputs_of(const json& entry, const Model& model, const Arrays& arrays, const std::string& prefix) {
  std::vector<Array> inputs;
  for (const std::string& name : model.input_names()) inputs.push_back(arrays.at(prefix + "in/" + name));
  for (std::size_t i = 0; i < model.output_names().size(); ++i)
    inputs.push_back(arrays.at(fmt::format("{}y/{}", prefix, i)));
  if (const auto weights = arrays.find(prefix + "sample_weight"); weights != arrays.end())
    inputs.push_back(weights->second);
  if (entry.contains("class_weight")) {
    const Array& classes = arrays.at(prefix + "y/0");
    Array weights(DType::f32, {classes.shape()[0]});
    for (std::int64_t i = 0; i < weights.size(); ++i)
      weights.set(i, entry["class_weight"].value(std::to_string(static_cast<int>(classes.at(i))), 1.0));
    inputs.push_back(weights);
  }
  return inputs;
}

// From the step behind `done` on.
Difference check_training(const json& entry, const Model& model, const TrainingPlan& plan, int done,
                          const Arrays& arrays, bool by_loops) {
  auto module = to_training_module(model, plan);
  if (!module) throw Error(module.problem());
  const Status verified = graph::verify(*module);
  if (!verified) throw Error(verified.problem());

  Steps steps(*std::move(module), by_loops);
  Difference difference;
  const double atol = entry["atol"]["var"];
  for (int step = done + 1; step <= entry["steps"].get<int>(); ++step) {
    const std::string prefix = fmt::format("step/{}/", step);
    const Array loss = steps.step(inputs_of(entry, model, arrays, prefix));
    difference.compare(prefix + "loss", loss, arrays.at(prefix + "loss"), entry["atol"]["loss"], 2e-6);
    for (const json& variable : entry["variables"]) {
      const auto path = variable["path"].get<std::string>();
      const Array* state = steps.state(path);
      if (state == nullptr) throw Error(error("test", "no state is called " + path));
      difference.compare(prefix + path, *state, arrays.at(prefix + "var/" + path), atol, 1e-5);
    }
    const std::vector<Variable>& states = plan.optimizer.variables();
    for (std::size_t i = 0; i < states.size(); ++i) {
      const auto recorded = arrays.find(fmt::format("{}opt/{}", prefix, i));
      if (recorded == arrays.end()) continue;
      if (const Array* state = steps.state(states[i].name()))
        difference.compare(prefix + states[i].name(), *state, recorded->second, atol, 1e-5);
    }
  }
  return difference;
}

TEST(Training, AgreesWithKeras) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the recorded trainings of " << folder;
  std::ifstream file(folder / "manifest.json");
  const json manifest = json::parse(file);
  int cases = 0;
  int compared = 0;
  int left_out = 0;
  std::vector<std::string> refused;  // layers that training cannot do yet
  double worst = 0;
  for (const json& entry : manifest["goldens"]) {
    if (entry.value("kind", "") != "training") continue;
    const auto name = entry["name"].get<std::string>();
    if (!entry.contains("atol")) {  // Keras' backends differ: the unit tests have the formula
      ++left_out;
      continue;
    }
    const auto arrays = read_npz(folder / (name + ".npz"));
    ASSERT_TRUE(arrays) << arrays.problem().str();
    try {
      for (const bool by_loops : {false, true}) {
        const Expected<LoadedModel> loaded = read_model(folder / (name + ".keras"));
        if (!loaded) throw Error(loaded.problem());
        const TrainingPlan plan = plan_of(entry, loaded->model, *arrays);
        const Difference difference = check_training(entry, loaded->model, plan, 0, *arrays, by_loops);
        EXPECT_LE(difference.worst, 1) << name << (by_loops ? ", by loops: " : ", in double: ") << difference.where;
        worst = std::max(worst, difference.worst);
        compared += difference.arrays;
      }
    } catch (const Error& problem) {
      const std::string& code = problem.problem().code;
      if (code != "layer-unsupported" && code != "layer-training") ADD_FAILURE() << name << "\n" << problem.what();
      refused.push_back(name);
      continue;
    }
    ++cases;
  }
  EXPECT_GE(cases, 69);
  EXPECT_LE(refused.size(), 4) << fmt::format("{}", fmt::join(refused, " "));
  fmt::print("refused: {}\n", fmt::join(refused, " "));
  fmt::print("{} trainings, {} arrays, worst {:.2f} of what is allowed; {} left out\n", cases, compared, worst,
             left_out);
}

void expect_bytes(const Array& got, const Array& wanted, const std::string& what) {
  EXPECT_EQ(got.shape(), wanted.shape()) << what;
  EXPECT_TRUE(std::ranges::equal(got.bytes(), wanted.converted(got.dtype()).bytes())) << what;
}

// A model that Keras saved in the middle of its training: the steps behind give what Keras' own did, from its file and
// from ours.
TEST(Training, GoesOnFromFiles) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the recorded trainings of " << folder;
  std::ifstream file(folder / "manifest.json");
  const json manifest = json::parse(file);
  const fs::path again = fs::path(testing::TempDir()) / "tusk_resumed.keras";
  int cases = 0;
  int states = 0;
  int left_out = 0;
  std::vector<std::string> refused;
  double worst = 0;
  for (const json& entry : manifest["goldens"]) {
    if (!entry.contains("resume")) continue;
    const auto name = entry["name"].get<std::string>();
    SCOPED_TRACE(name);
    const auto resume = entry["resume"].get<std::string>();
    const int done = std::stoi(resume.substr(resume.rfind("_step") + 5));
    const auto arrays = read_npz(folder / (name + ".npz"));
    ASSERT_TRUE(arrays) << arrays.problem().str();
    try {
      for (const bool is_ours : {false, true}) {
        const Model model = load_model(is_ours ? again : (folder / name).parent_path() / resume);
        std::map<std::string, Array> weights;
        for (const TrainedWeight& weight : trained_weights(model)) weights[weight.path] = weight.variable.value();
        for (const json& variable : entry["variables"]) {
          const auto path = variable["path"].get<std::string>();
          if (weights.contains(path))
            expect_bytes(weights[path], arrays->at(fmt::format("step/{}/var/{}", done, path)), path);
        }
        const std::vector<Variable>& state = model.optimizer().variables();
        EXPECT_EQ(state.size(), entry["optimizer_variables"].size());
        for (std::size_t i = 0; i < state.size(); ++i) {
          const auto recorded = arrays->find(fmt::format("step/{}/opt/{}", done, i));
          if (recorded == arrays->end()) continue;
          expect_bytes(state[i].value(), recorded->second, state[i].name());
          ++states;
        }
        if (!is_ours) model.save(again.string());
        if (!entry.contains("atol")) continue;  // Keras' backends differ: the unit tests have the formula
        TrainingPlan plan = plan_of(entry, model, *arrays);
        plan.optimizer = model.optimizer();
        const Difference difference = check_training(entry, model, plan, done, *arrays, is_ours);
        EXPECT_LE(difference.worst, 1) << (is_ours ? "from ours: " : "from Keras' file: ") << difference.where;
        worst = std::max(worst, difference.worst);
      }
    } catch (const Error& problem) {
      const std::string& code = problem.problem().code;
      if (code != "layer-unsupported" && code != "layer-training") ADD_FAILURE() << problem.what();
      refused.push_back(name);
      continue;
    }
    entry.contains("atol") ? ++cases : ++left_out;
  }
  fs::remove(again);
  EXPECT_GE(cases, 69);
  EXPECT_GE(states, 300);
  EXPECT_LE(refused.size(), 4) << fmt::format("{}", fmt::join(refused, " "));
  fmt::print(
      "{} trainings go on from Keras' files and from ours, worst {:.2f} of what is allowed; {} recorded states "
      "of optimizers are the same; {} left out; refused: {}\n",
      cases, worst, states, left_out, fmt::join(refused, " "));
}

// Emitted code and the loop interpreter: the same bits in every state, step by step.
TEST(Training, CompiledStepsGiveTheBitsOfTheLoops) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the recorded trainings of " << folder;
  std::ifstream file(folder / "manifest.json");
  const json manifest = json::parse(file);
  int cases = 0;
  for (const json& entry : manifest["goldens"]) {
    const auto name = entry["name"].get<std::string>();
    if (name != "optimizers/adam_0_01_gradient_accumulation_steps_2" && name != "training/conv_bn_softmax_cce")
      continue;
    SCOPED_TRACE(name);
    const auto arrays = read_npz(folder / (name + ".npz"));
    const auto loaded = read_model(folder / (name + ".keras"));
    ASSERT_TRUE(arrays && loaded);
    const auto module = to_training_module(loaded->model, plan_of(entry, loaded->model, *arrays));
    ASSERT_TRUE(module) << module.problem().str();
    const auto compiled = graph::make_callable(*module);
    ASSERT_TRUE(compiled) << compiled.problem().str();
    Steps loops(*module, true);
    for (int step = 1; step <= entry["steps"].get<int>(); ++step) {
      const std::vector<Array> inputs = inputs_of(entry, loaded->model, *arrays, fmt::format("step/{}/", step));
      const Array loss = loops.step(inputs);
      const auto results = (**compiled)("train_step", inputs);
      ASSERT_TRUE(results) << results.problem().str();
      EXPECT_TRUE(std::ranges::equal(results->front().bytes(), loss.bytes())) << "loss of step " << step;
      for (const graph::Update& update : module->functions.front().updates) {
        const std::string& path = module->globals[static_cast<std::size_t>(update.global)].path;
        const auto state = (*compiled)->state(path);
        ASSERT_TRUE(state) << state.problem().str();
        EXPECT_TRUE(std::ranges::equal(state->bytes(), loops.state(path)->bytes())) << path << ", step " << step;
      }
    }
    ++cases;
  }
  EXPECT_EQ(cases, 2);
}

TEST(Training, SchedulesAgreeWithKeras) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the recorded schedules of " << folder;
  std::ifstream file(folder / "manifest.json");
  const json manifest = json::parse(file);
  int cases = 0;
  for (const json& entry : manifest["goldens"]) {
    if (entry.value("kind", "") != "schedule") continue;
    const auto name = entry["name"].get<std::string>();
    const auto arrays = read_npz(folder / (name + ".npz"));
    ASSERT_TRUE(arrays) << arrays.problem().str();
    const Schedule schedule = schedule_from_config(entry["config"]);
    Trace trace("rate", Trace::Weights::copied);
    const Tensor step = trace.parameter("step", {DType::i64, {}});
    trace.function.results = {trace.operand(schedule(step))};
    trace.function.result_names = {"rate"};
    trace.module.functions.push_back(std::move(trace.function));
    Difference difference;
    const Array& steps = arrays->at("step");
    const Array& values = arrays->at("value_int64_tensor");
    Array rates(DType::f32, steps.shape());
    for (std::int64_t i = 0; i < steps.size(); ++i) {
      const auto rate = graph::interpret(trace.module, "rate", {Array::splat(DType::i64, {}, steps.at(i))}, {});
      ASSERT_TRUE(rate) << rate.problem().str();
      rates.set(i, rate->front().at(0));
    }
    difference.compare("rate", rates, values, 0, 2e-6);
    EXPECT_LE(difference.worst, 1) << name << ": " << difference.where;
    ++cases;
  }
  EXPECT_GE(cases, 10);
}

}  // namespace
}  // namespace tusk
