// Models as files: what is written reads back, and what cannot be written is refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "frontend/export/config.hpp"
#include "frontend/export/save_model.hpp"
#include "frontend/files/hdf5.hpp"
#include "frontend/files/hdf5_writer.hpp"
#include "frontend/files/zip.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/import/load_state.hpp"
#include "frontend/import/load_weights.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/trainer.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Save : public testing::Test {
 protected:
  void SetUp() override { clear_session(); }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path path(std::string_view name) {
    fs::create_directories(folder_);
    return folder_ / name;
  }

 private:
  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("tusk_save_{}", getpid());
};

std::string problem_of(const Status& status) { return status ? "no problem" : status.problem().str(); }

Array numbers(DType type, std::vector<std::int64_t> shape) {
  Array array(type, std::move(shape));
  for (std::int64_t i = 0; i < array.size(); ++i) array.set(i, type == DType::boolean ? double(i % 2) : double(i) + 1);
  return array;
}

bool same(const Array& a, const Array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

TEST_F(Save, EveryTypeOfArrayReadsBack) {
  Hdf5Tree root;
  for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::u8, DType::i32,
                           DType::u32, DType::i64, DType::boolean}) {
    root.at(fmt::format("of/{}", name_of(type))).array = numbers(type, {2, 3});
  }
  root.at("scalar").array = numbers(DType::f32, {});
  root.at("nothing").array = numbers(DType::f32, {0, 3});
  root.at("vars").attributes = {{"name", "f\xc3\xbcnf"}, {"empty", ""}, {"long", std::string(100000, 'x')}};
  root.lists = {{"names", {"a", "", "f\xc3\xbcnf"}}, {"one", {"x"}}, {"none", {}}};
  const Bytes bytes = *hdf5_bytes(root);
  EXPECT_TRUE(bytes == *hdf5_bytes(root));
  const auto file = Hdf5File::from_bytes(bytes, "a.h5");
  ASSERT_TRUE(file) << file.problem().str();
  for (const auto& [name, tree] : root.at("of").children) {
    const auto read = file->array("of/" + name);
    ASSERT_TRUE(read) << read.problem().str();
    EXPECT_TRUE(same(*read, *tree.array)) << name;
  }
  EXPECT_TRUE(same(*file->array("scalar"), *root.at("scalar").array));
  EXPECT_TRUE(same(*file->array("nothing"), *root.at("nothing").array));
  for (const auto& [name, text] : root.at("vars").attributes) EXPECT_EQ(*file->string_attribute("vars", name), text);
  for (const auto& [name, list] : root.lists) EXPECT_EQ(*file->strings_attribute("", name), list);
}

// Keras cuts lists that an attribute cannot hold; so do we, and read them as one.
TEST_F(Save, LongListsAreCut) {
  const Tensor x = Input({2}, {.name = "x"});
  Tensor y = x;
  std::vector<std::string> names{"x"};
  for (int i = 0; i < 700; ++i) {
    names.push_back(fmt::format("{:0100}", i));
    y = layers::Activation("relu", {.name = names.back()})(y);
  }
  const Model model(x, layers::Dense(1, {.name = "last"})(y));
  names.emplace_back("last");
  const auto file = Hdf5File::from_bytes(*h5_bytes(model), "a.h5");
  ASSERT_TRUE(file) << file.problem().str();
  EXPECT_EQ(*file->strings_attribute("model_weights", "layer_names"), names);
  EXPECT_EQ((*file->strings_attribute("model_weights", "layer_names0"))->size(), 351U);
  EXPECT_EQ((*file->strings_attribute("model_weights", "layer_names1"))->size(), 351U);
  Hdf5Tree long_list;
  long_list.lists["names"].resize(4001);
  EXPECT_THAT(hdf5_bytes(long_list).problem().str(),
              HasSubstr("the list \"names\" of group \"\" has 4001 texts, expected at most 4000 [hdf5-write]"));
}

TEST_F(Save, ManyGroupsAndNames) {
  Hdf5Tree root;
  constexpr int kCount = 2000;
  for (int i = 0; i < kCount; ++i) {
    Hdf5Tree& group = root.at(fmt::format("layers/dense_{}/vars", i));
    group.attributes["name"] = fmt::format("name {}", i);
    group.at("0").array = Array::splat(DType::f32, {}, i);
  }
  const auto file = Hdf5File::from_bytes(*hdf5_bytes(root), "a.h5");
  ASSERT_TRUE(file) << file.problem().str();
  for (int i = 0; i < kCount; i += 37) {
    const std::string at = fmt::format("layers/dense_{}/vars", i);
    EXPECT_EQ(*file->string_attribute(at, "name"), fmt::format("name {}", i));
    EXPECT_EQ(file->array(at + "/0")->at(0), i);
  }
  Hdf5Tree wide;
  for (int i = 0; i < 65001; ++i) wide.at(std::to_string(i));
  EXPECT_THAT(problem_of(hdf5_bytes(wide) ? done() : hdf5_bytes(wide).problem()),
              HasSubstr("65001 members of group \"\", expected at most 65000 [hdf5-write]"));
  Hdf5Tree named;
  named.at(std::string(60001, 'n'));
  EXPECT_THAT(hdf5_bytes(named).problem().str(), HasSubstr("a name in group \"\" has more than 60000 bytes"));
}

struct ScaleImpl : LayerBase {
  struct Config {
    double start = 2;
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) { f("start", c.start); }

  // The order of the parts is not that of their names.
  layers::Dense second_part{3, {.name = "z"}};
  layers::Dense first_part{3, {.name = "a"}};
  Variable scale;
  void build(const Shape& in) override {
    scale = add_weight("scale", {}, {.initializer = "ones"});
    add_child(second_part, {in});
    add_child(first_part, {in});
  }
  Tensor call(Tensor x, const Call&) override { return first_part(second_part(x)) * scale; }
};
using Scale = LayerOf<ScaleImpl>;

Model model_of_many(bool with_operation = true) {
  const Tensor x = Input({4, 3}, {.name = "x"});
  const Tensor inner_in = Input({4, 3});
  const layers::Dense shared(3, {.name = "shared"});
  const Model inner(inner_in, layers::BatchNormalization()(shared(inner_in)), {.name = "inner"});
  Tensor y = layers::TimeDistributed(layers::Dense(3))(inner(x));
  y = with_operation ? y + shared(x) : layers::add({y, shared(x)});
  y = layers::MultiHeadAttention(2, 3)({y, y});
  y = layers::SpectralNormalization(layers::Conv1D(3, 1))(y);
  return Model(x, Scale()(layers::Normalization()(y)), {.name = "many"});
}

void fill(const Model& model, double first) {
  double next = first;
  for (Variable variable : model.weights()) {
    Array value(variable.type().dtype, variable.shape());
    for (std::int64_t i = 0; i < value.size(); ++i) value.set(i, next++);
    variable.assign(value);
  }
}

void expect_same_weights(const Model& a, const Model& b) {
  ASSERT_EQ(a.weights().size(), b.weights().size());
  for (std::size_t i = 0; i < a.weights().size(); ++i)
    EXPECT_TRUE(same(a.weights()[i].value(), b.weights()[i].value())) << i << ": " << a.weights()[i].name();
}

TEST_F(Save, ModelsAndWeightsReadBack) {
  register_layer<Scale>("Test");
  const Model model = model_of_many();
  fill(model, 1);
  ASSERT_EQ(problem_of(save_model(path("m.keras"), model)), "no problem");
  ASSERT_EQ(problem_of(save_weights(path("m.weights.h5"), model)), "no problem");
  const auto read = load_model_checked(path("m.keras"));
  ASSERT_TRUE(read) << read.problem().str();
  expect_same_weights(*read, model);
  EXPECT_TRUE(*keras_bytes(model) == *read_file(path("m.keras"))) << "saved again, it has other bytes";
  for (const char* file : {"m.keras", "m.weights.h5"}) {
    clear_session();
    const Model other = model_of_many();
    fill(other, 5000);
    ASSERT_EQ(problem_of(load_weights(path(file), other)), "no problem");
    expect_same_weights(other, model);
  }
}

TEST_F(Save, OlderFilesReadBack) {
  register_layer<Scale>("Test");
  EXPECT_THAT(problem_of(save_model(path("m.h5"), model_of_many())), HasSubstr("config-class"));
  clear_session();
  const Model model = model_of_many(false);
  model.get_layer("spectral_normalization").base().set_trainable(false);
  fill(model, 1);
  ASSERT_EQ(problem_of(save_model(path("m.h5"), model)), "no problem");
  const auto older = load_model_checked(path("m.h5"));
  ASSERT_TRUE(older) << older.problem().str();
  // A layer in two models has become two.
  EXPECT_EQ(older->weights().size(), model.weights().size() + 2);
  const auto named = [](const Model& of, std::string_view layer) { return of.get_layer(layer).get_weights(); };
  for (const Layer& layer : model.layers()) {
    const std::vector<Array> wanted = layer.get_weights();
    const std::vector<Array> found = named(*older, layer.name());
    ASSERT_EQ(found.size(), wanted.size()) << layer.name();
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_TRUE(same(found[i], wanted[i])) << layer.name() << " " << i;
  }
  const auto config = [](const Model& of) { return nlohmann::json::parse(legacy_json(of)); };
  EXPECT_TRUE(config(*older) == config(model));
  clear_session();
  const Model other = model_of_many(false);
  other.get_layer("spectral_normalization").base().set_trainable(false);  // where its weights stand depends on it
  fill(other, 5000);
  ASSERT_EQ(problem_of(load_weights(path("m.h5"), other)), "no problem");
  expect_same_weights(other, model);
}

TEST_F(Save, WeightsOfAnotherModelAreRefused) {
  const Tensor x = Input({3});
  const Model model(x, layers::Dense(2, {.name = "d"})(x));
  const Model wider(x, layers::Dense(4, {.name = "d"})(x));
  const Model deeper(x, layers::Dense(1)(layers::Dense(2, {.name = "d"})(x)));
  const Array before = model.weights()[0].value();
  ASSERT_TRUE(save_weights(path("wider.weights.h5"), wider));
  ASSERT_TRUE(save_weights(path("deeper.weights.h5"), deeper));
  EXPECT_THAT(problem_of(load_weights(path("wider.weights.h5"), model)),
              HasSubstr("weight \"kernel\" of layer \"d\" has shape (3, 4), expected (3, 2) [weights]"));
  EXPECT_THAT(problem_of(load_weights(path("deeper.weights.h5"), model)), HasSubstr("[weights-unused]"));
  EXPECT_THAT(problem_of(load_weights(path("none.weights.h5"), model)), HasSubstr("[file-access]"));
  EXPECT_TRUE(same(model.weights()[0].value(), before));
}

TEST_F(Save, NamesSayTheFormat) {
  const Tensor x = Input({3});
  const Model model(x, layers::Dense(2)(x));
  EXPECT_THAT(problem_of(save_model(path("m"), model)), HasSubstr("whose name ends in .keras, found"));
  EXPECT_THAT(problem_of(save_model(path("m"), model)), HasSubstr("[save-name]"));
  EXPECT_THAT(problem_of(save_weights(path("m.h5"), model)), HasSubstr("whose name ends in .weights.h5"));
  EXPECT_THAT(problem_of(save_weights(path("m.h5"), model)),
              HasSubstr("whole models are written to NAME.keras or NAME.h5, weights alone to NAME.weights.h5"));
  EXPECT_THAT(problem_of(save_model(fs::path("/no/such/folder/m.keras"), model)), HasSubstr("[file-access]"));
}

// A process that saves one model over the other, again and again, is killed 200 times.
TEST_F(Save, AKillLeavesTheOldFileOrTheNewOne) {
  const Tensor x = Input({256});
  const Model model(x, layers::Dense(512, {.name = "d"})(x));
  const fs::path file = path("killed.keras");
  const fs::path part = file.string() + ".part";
  std::vector<Bytes> versions;
  for (const double value : {1, 2}) {
    fill(model, value);
    versions.push_back(*keras_bytes(model));
  }
  std::mt19937 random(7);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(write_file(file, versions[0]));
  const auto once = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start) / 5;
  constexpr int kKills = 200;
  int inside = 0;
  std::vector<int> found(2);
  for (int kill = 0; kill < kKills; ++kill) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    for (std::size_t i = 1; child == 0; ++i) {
      if (!write_file(file, versions[i % 2])) _exit(1);
    }
    std::this_thread::sleep_for(once * std::uniform_int_distribution<>(0, 3000)(random) / 1000);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the process ended by itself";
    if (fs::exists(part)) ++inside;
    const auto bytes = read_file(file);
    ASSERT_TRUE(bytes) << bytes.problem().str();
    const auto version = std::ranges::find(versions, *bytes);
    ASSERT_NE(version, versions.end()) << "kill " << kill << " left " << bytes->size() << " bytes that nobody wrote";
    ++found[static_cast<std::size_t>(version - versions.begin())];
    ASSERT_TRUE(load_model_checked(file));
  }
  fmt::print("{} kills, {} inside of a write; {} and {} times the one and the other file\n", kKills, inside, found[0],
             found[1]);
  EXPECT_GE(inside, 50);
  EXPECT_GT(found[0], 0);
  EXPECT_GT(found[1], 0);
  ASSERT_TRUE(write_file(file, versions[0]));
  EXPECT_FALSE(fs::exists(part)) << "what a killed writer leaves is cleared away by the next";
}

Bytes member_of(const fs::path& file, std::string_view member) {
  return value_or_throw(value_or_throw(ZipReader::open(file)).read(member));
}

// Saved in the middle of its training and read anew, a model goes on with the same bits.
void expect_same_training(const Model& model, const fs::path& file) {
  SCOPED_TRACE(file.filename().string());
  const Array x = numbers(DType::f32, {4, 3});
  const Array y = numbers(DType::f32, {4, 2});
  model.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false});
  model.save(file.string());
  const Model again = load_model(file);
  EXPECT_EQ(again.optimizer().class_name(), model.optimizer().class_name());
  for (const Model& each : {model, again}) each.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false});
  ASSERT_EQ(again.optimizer().variables().size(), model.optimizer().variables().size());
  for (std::size_t i = 0; i < again.optimizer().variables().size(); ++i)
    EXPECT_TRUE(same(again.optimizer().variables()[i].value(), model.optimizer().variables()[i].value())) << i;
  for (std::size_t i = 0; i < model.weights().size(); ++i)
    EXPECT_TRUE(same(again.weights()[i].value(), model.weights()[i].value())) << model.weights()[i].name();
}

TEST_F(Save, SeveralOptimizersGoOn) {
  const Tensor x = Input({3}, {.name = "x"});
  const Tensor y = layers::Dense(4, {.activation = "relu", .name = "z"})(x);
  const Model model(x, layers::Dense(2, {.name = "a"})(y), {.name = "net"});
  // Not in the order of the alphabet, in which files have their groups.
  const optimizers::OptimizerMap map(optimizers::SGD({.learning_rate = 0.01, .momentum = 0.9}),
                                     {{"z/.*", optimizers::Adam()}, {"a/bias", optimizers::Adam(0.01)}});
  model.compile({.optimizer = optimizers::MultiOptimizer({.optimizer_map = map}), .loss = "mse"});
  for (const char* name : {"several.keras", "several.h5"}) expect_same_training(model, path(name));
  const auto file = Hdf5File::from_bytes(member_of(path("several.keras"), "model.weights.h5"), "weights");
  ASSERT_TRUE(file) << file.problem().str();
  for (const auto& [group, name] : {std::pair("adam", "adam"), std::pair("adam_1", "adam_1"), std::pair("sgd", "sgd")})
    EXPECT_EQ(*file->string_attribute(fmt::format("optimizer/optimizers/{}/vars", group), "name"), name);
}

// That the policy of the model was mixed_float16 no file says: the state of the optimizer does.
TEST_F(Save, AScaledLossGoesOn) {
  set_dtype_policy("mixed_float16");
  const Tensor x = Input({3}, {.name = "x"});
  const Model model(x, layers::Dense(2, {.dtype = "float32"})(layers::Dense(4)(x)), {.name = "mixed"});
  set_dtype_policy("float32");
  model.compile({.optimizer = "adam", .loss = "mse"});
  for (const char* name : {"mixed.keras", "mixed.h5"}) expect_same_training(model, path(name));
  const Bytes bytes = member_of(path("mixed.keras"), "config.json");
  const std::string_view config = text_of(bytes);
  EXPECT_THAT(config, HasSubstr(R"("class_name":"Adam")"));
  EXPECT_THAT(config, testing::Not(HasSubstr("LossScaleOptimizer"))) << "as it was given";
}

// Code that was emitted for a model trains on a device; its State comes back.
class State : public Save {
 protected:
  static Model made(const std::string& optimizer = "adam") {
    const Tensor x = Input({3}, {.name = "x"});
    const Tensor y = layers::BatchNormalization()(layers::Dense(4, {.activation = "relu"})(x));
    const Model model(x, layers::Dense(2)(layers::Dropout(0.4)(y)), {.name = "net"});
    fill(model, 0.25);
    model.compile({.optimizer = optimizer, .loss = "mse", .metrics = {"mae"}});
    return model;
  }
  static graph::Module module_of(const Model& model, const std::vector<std::string>& functions = {"train_step"}) {
    const Target target{DType::f32, {Dim(2)}};
    const Trainer& trainer = *model.functional().trainer;
    TrainingPlan plan = plan_of(trainer.options, trainer.optimizer, model, {target}, {});
    plan.functions = functions;
    return value_or_throw(to_training_module(model, plan));
  }
  static std::vector<Variable> variables_of(const Model& model) {
    std::vector<Variable> out = model.weights();
    out.insert(out.end(), model.optimizer().variables().begin(), model.optimizer().variables().end());
    return out;
  }

  const Array x_ = numbers(DType::f32, {4, 3}), y_ = numbers(DType::f32, {4, 2});
};

TEST_F(State, ComesBackFromEmittedCode) {
  const fs::path folder = path("net");
  const Model emitted = made();
  const auto files = compile(module_of(emitted), {.name = "net", .self_test = false});
  ASSERT_TRUE(files) << files.problem().str();
  ASSERT_TRUE(write_files(folder.string(), *files));
  const auto loaded = CompiledModel::load(folder.string(), "-O1");
  ASSERT_TRUE(loaded) << loaded.problem().str();
  const CompiledModel::State state = loaded->make_state();
  for (int step = 0; step < 3; ++step) ASSERT_TRUE(loaded->call("train_step", {x_, y_}, state.get()));
  const std::span bytes(static_cast<const std::byte*>(state.get()), loaded->state_bytes());

  clear_session();
  const Model fitted = made();
  fitted.fit(x_, y_, {.epochs = 3, .verbose = 0, .shuffle = false});
  clear_session();
  const Model model = made();
  model.load_state(bytes);
  const auto mine = variables_of(model);
  const auto wanted = variables_of(fitted);
  ASSERT_EQ(mine.size(), wanted.size());
  for (std::size_t i = 0; i < mine.size(); ++i) EXPECT_TRUE(same(mine[i].value(), wanted[i].value())) << mine[i].name();
  EXPECT_EQ(model.optimizer().variables()[0].value().int_at(0), 3) << "iterations";
  const std::vector<Variable> seeds = model.base().random_states();
  ASSERT_EQ(seeds.size(), 1U);
  EXPECT_EQ(seeds[0].value().int_at(1), 3) << "what the dropout has drawn";

  model.save(path("trained.keras").string());
  const Model again = load_model(path("trained.keras"));
  const auto reread = variables_of(again);
  ASSERT_EQ(reread.size(), wanted.size());
  for (std::size_t i = 0; i < reread.size(); ++i)
    EXPECT_TRUE(same(reread[i].value(), wanted[i].value())) << reread[i].name();

  // What is drawn next is what would have been drawn there.
  for (const Model& each : {model, fitted}) each.fit(x_, y_, {.epochs = 2, .verbose = 0, .shuffle = false});
  const auto here = variables_of(model);
  const auto there = variables_of(fitted);
  for (std::size_t i = 0; i < here.size(); ++i)
    EXPECT_TRUE(same(here[i].value(), there[i].value())) << here[i].name() << " behind two more steps";
}

TEST_F(State, WhatIsNoStateIsRefused) {
  const Model model = made();
  const auto problem = [&](const Bytes& bytes, const StateOptions& options = {}) {
    return error_of([&] { model.load_state(bytes, options); });
  };
  const auto files = compile(module_of(model), {.self_test = false});
  ASSERT_TRUE(files);
  const auto manifest = nlohmann::json::parse(files->at("manifest.json"))["state"];
  Bytes state(manifest["bytes"].get<std::size_t>());
  EXPECT_THAT(problem({}), HasSubstr("0 bytes are no state: its header alone has 40 [state-bytes]"));
  EXPECT_THAT(problem(state), HasSubstr("the state was never initialised"));
  std::ranges::copy(bytes_of("TUSKST1"), state.begin());
  EXPECT_THAT(problem(state), HasSubstr("the state has another layout: 0000000000000000..., expected "));
  const auto digest = manifest["layout_sha256"].get<std::string>();
  for (std::size_t i = 0; i < 32; ++i)
    state[8 + i] = static_cast<std::byte>(std::stoi(digest.substr(2 * i, 2), nullptr, 16));
  EXPECT_THAT(problem({state.begin(), state.end() - 64}), HasSubstr("cut short"));
  Bytes longer = state;
  longer.resize(state.size() + 1);
  EXPECT_THAT(problem(longer), HasSubstr(fmt::format("has {} bytes, expected {}", longer.size(), state.size())));
  EXPECT_THAT(problem(state, {.functions = {"evaluate"}}), HasSubstr("the state has another layout"));
  EXPECT_THAT(problem(state, {.functions = {"predict"}}), HasSubstr("state"));
  Bytes other = state;
  other[6] = std::byte{'2'};
  EXPECT_THAT(problem(other), HasSubstr("the state has version 2, this Tusk reads version 1"));
  other[0] = std::byte{'X'};
  EXPECT_THAT(problem(other), HasSubstr("they do not begin with TUSKST"));
  const Array before = model.weights()[0].value();
  EXPECT_NE(before.at(0), 0);
  EXPECT_EQ(problem(state), "no error");
  EXPECT_EQ(model.weights()[0].value().at(0), 0);
}

}  // namespace
}  // namespace tusk
