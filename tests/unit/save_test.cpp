// Models as files: what is written reads back, and what cannot be written is refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "frontend/export/save_model.hpp"
#include "frontend/files/hdf5.hpp"
#include "frontend/files/hdf5_writer.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/import/load_weights.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/ops/ops.hpp"

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
  fs::path folder_ = fs::path(testing::TempDir()) / "tusk_save";
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

Model model_of_many() {
  const Tensor x = Input({4, 3}, {.name = "x"});
  const Tensor inner_in = Input({4, 3});
  const layers::Dense shared(3, {.name = "shared"});
  const Model inner(inner_in, layers::BatchNormalization()(shared(inner_in)), {.name = "inner"});
  Tensor y = layers::TimeDistributed(layers::Dense(3))(inner(x)) + shared(x);
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
  EXPECT_THAT(problem_of(save_model(path("m.h5"), model)), HasSubstr("whose name ends in .keras, found"));
  EXPECT_THAT(problem_of(save_model(path("m.h5"), model)), HasSubstr("older formats are read, not written"));
  EXPECT_THAT(problem_of(save_model(path("m"), model)), HasSubstr("[save-name]"));
  EXPECT_THAT(problem_of(save_weights(path("m.h5"), model)), HasSubstr("whose name ends in .weights.h5"));
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

}  // namespace
}  // namespace tusk
