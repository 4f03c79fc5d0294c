// Regularizers and constraints as arguments of layers. What is expected was computed, and written, by Keras.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "frontend/export/config.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/model/trace.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/penalties.hpp"
#include "frontend/training/train_step.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/print.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// A function of the matrix [[0, 0.5, 1], [1.5, 2, 2.5]] + offset.
std::vector<double> of_matrix(double offset, const std::function<Tensor(const Tensor&)>& function) {
  Trace trace("f", Trace::Weights::states);
  const Tensor x = trace.parameter("x", {DType::f32, {Dim(2), Dim(3)}});
  trace.function.results = {trace.operand(function(x))};
  trace.function.result_names = {"y"};
  trace.module.functions.push_back(std::move(trace.function));
  Array matrix(DType::f32, {2, 3});
  for (std::int64_t i = 0; i < 6; ++i) matrix.set(i, static_cast<double>(i) / 2 + offset);
  const auto results = graph::interpret(trace.module, trace.module.functions.front(), {matrix}, {});
  if (!results) throw Error(results.problem());
  std::vector<double> out;
  for (std::int64_t i = 0; i < results->front().size(); ++i) out.push_back(results->front().at(i));
  return out;
}

void expect_values(const std::vector<double>& got, const std::vector<double>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], wanted[i], 2e-6 * std::max(1.0, std::abs(wanted[i])));
}

struct RegularizerCase {
  Regularizer regularizer;
  double penalty;
  const char* written;
};

TEST(Penalties, Regularizers) {
  using namespace regularizers;
  const RegularizerCase cases[] = {
      {L1(), 0.075, R"("class_name":"L1","config":{"l1":0.009999999776482582})"},
      {"l1", 0.075, R"("class_name":"L1","config":{"l1":0.009999999776482582})"},
      {L2(.5), 6.875, R"("class_name":"L2","config":{"l2":0.5})"},
      {"l2", 0.1375, R"("class_name":"L2","config":{"l2":0.01})"},
      {L1L2({.l1 = .1, .l2 = .2}), 3.5, R"("class_name":"L1L2","config":{"l1":0.1,"l2":0.2})"},
      {"L1L2", 0, R"("class_name":"L1L2","config":{"l1":0.0,"l2":0.0})"},
      {OrthogonalRegularizer(), 0.008854378,
       R"("class_name":"OrthogonalRegularizer","config":{"factor":0.009999999776482582,"mode":"rows"})"},
      {OrthogonalRegularizer({.factor = .02, .mode = "columns"}), 0.019263,
       R"("class_name":"OrthogonalRegularizer","config":{"factor":0.019999999552965164,"mode":"columns"})"},
  };
  for (const RegularizerCase& each : cases) {
    SCOPED_TRACE(each.written);
    expect_values(of_matrix(0, [&](const Tensor& x) { return penalty_of(each.regularizer, x); }), {each.penalty});
    const std::string config = get_config(layers::Dense(2, {.kernel_regularizer = each.regularizer}));
    EXPECT_THAT(config, HasSubstr(std::string(R"("kernel_regularizer":{"module":"keras.regularizers",)") +
                                  each.written + R"(,"registered_name":null})"));
    EXPECT_EQ(json::parse(get_config(layer_from_config("Dense", config))), json::parse(config));
  }
}

struct ConstraintCase {
  Constraint constraint;
  std::vector<double> weights;
  const char* written;
};

TEST(Penalties, Constraints) {
  using namespace constraints;
  const ConstraintCase cases[] = {
      {MaxNorm(),
       {-0.9999999, -0.4999999, 0, 0.4999999, 0.9999999, 1.5},
       R"("class_name":"MaxNorm","config":{"max_value":2.0,"axis":0})"},
      {"max_norm",
       {-0.9999999, -0.4999999, 0, 0.4999999, 0.9999999, 1.5},
       R"("class_name":"MaxNorm","config":{"max_value":2.0,"axis":0})"},
      {MaxNorm({.max_value = 1.5, .axis = {0, 1}}),
       {-0.6882472, -0.3441236, 0, 0.3441236, 0.6882472, 1.032371},
       R"("class_name":"MaxNorm","config":{"max_value":1.5,"axis":[0,1]})"},
      {UnitNorm(1),
       {-0.8944271, -0.4472135, 0, 0.2672612, 0.5345224, 0.8017837},
       R"("class_name":"UnitNorm","config":{"axis":1})"},
      {NonNeg(), {0, 0, 0, 0.5, 1, 1.5}, R"("class_name":"NonNeg","config":{})"},
      {"non_neg", {0, 0, 0, 0.5, 1, 1.5}, R"("class_name":"NonNeg","config":{})"},
      {MinMaxNorm({.min_value = .5, .max_value = 1, .rate = .5}),
       {-0.9472134, -0.4736067, 0, 0.4736067, 0.9472134, 1.25},
       R"("class_name":"MinMaxNorm","config":{"min_value":0.5,"max_value":1.0,"rate":0.5,"axis":0})"},
      {"MinMaxNorm",
       {-0.8944271, -0.4472135, 0, 0.4472135, 0.8944271, 0.9999999},
       R"("class_name":"MinMaxNorm","config":{"min_value":0.0,"max_value":1.0,"rate":1.0,"axis":0})"},
  };
  for (const ConstraintCase& each : cases) {
    SCOPED_TRACE(each.written);
    expect_values(of_matrix(-1, [&](const Tensor& x) { return constrained(each.constraint, x); }), each.weights);
    const std::string config = get_config(layers::Dense(2, {.bias_constraint = each.constraint}));
    EXPECT_THAT(config, HasSubstr(std::string(R"("bias_constraint":{"module":"keras.constraints",)") + each.written +
                                  R"(,"registered_name":null})"));
    EXPECT_EQ(json::parse(get_config(layer_from_config("Dense", config))), json::parse(config));
  }
}

// Several layers with rules, all weights 0.1 (the moving variance is 1).
Model with_rules() {
  const Tensor x = Input({4, 4, 2});
  Tensor h = layers::Conv2D(3, 2,
                            {.kernel_regularizer = regularizers::L1L2({.l1 = .1, .l2 = .2}),
                             .activity_regularizer = "l2",
                             .bias_constraint = "non_neg"})(x);
  h = layers::BatchNormalization(
      {.beta_regularizer = "l1", .gamma_constraint = constraints::MaxNorm({.max_value = .1})})(h);
  h = layers::Flatten()(layers::PReLU({.alpha_regularizer = "l2"})(h));
  const Model model(
      x, layers::Dense(
             2, {.use_bias = false, .kernel_regularizer = "l2", .kernel_constraint = constraints::UnitNorm()})(h));
  return model;
}

void set_all(const Model& model) {
  for (Variable weight : model.weights()) {
    if (weight.name() != "moving_variance") weight.assign(Array::splat(DType::f32, weight.shape(), .1));
  }
}

// A training by SGD and the mean squared error, in double.
class Training {
 public:
  explicit Training(const Model& model) {
    TrainingPlan plan;
    plan.optimizer = optimizers::SGD({.learning_rate = .1, .name = "sgd"});
    plan.losses = {losses::MeanSquaredError()};
    Shape target = model.outputs().front().shape();
    target.erase(target.begin());
    plan.targets = {{DType::f32, target}};
    plan.functions = {"train_step", "evaluate"};
    auto module = to_training_module(model, plan);
    if (!module) throw Error(module.problem());
    module_ = *std::move(module);
  }

  double operator()(const char* name, const std::vector<Array>& inputs) {
    const graph::Function& function = *module_.function(name);
    std::vector<std::vector<std::int64_t>> shapes;
    for (const Array& input : inputs) shapes.push_back(input.shape());
    const auto symbols = graph::bind_symbols(module_, function, shapes);
    const auto results = graph::interpret(module_, function, inputs, *symbols);
    if (!results) throw Error(results.problem());
    for (std::size_t i = 0; i < function.updates.size(); ++i) {
      graph::Global& state = module_.globals[static_cast<std::size_t>(function.updates[i].global)];
      state.value = (*results)[function.results.size() + i].converted(state.type.dtype);
    }
    return results->front().at(0);
  }

  /// Its first and its last element.
  std::vector<double> ends(const char* path) const {
    const Array& value = module_.globals[static_cast<std::size_t>(module_.global_named(path))].value;
    return {value.at(0), value.at(value.size() - 1)};
  }
  std::string text() const { return graph::print(module_); }

 private:
  graph::Module module_;
};

TEST(Penalties, ATrainingAsKerasHasIt) {
  clear_session();
  const Model model = with_rules();
  set_all(model);
  Array x(DType::f32, {2, 4, 4, 2});
  for (std::int64_t i = 0; i < x.size(); ++i) x.set(i, static_cast<double>(i % 7) / 7);
  Array y(DType::f32, {2, 2});
  y.set(0, 1);
  y.set(3, 1);
  Training training(model);
  EXPECT_NEAR(training("evaluate", {x, y}), 0.6235898, 2e-6);
  EXPECT_NEAR(training("train_step", {x, y}), 0.6514066, 2e-6);
  expect_values(training.ends("conv2d/kernel"), {0.08258137, 0.08228145});
  expect_values(training.ends("conv2d/bias"), {0.092, 0.092});
  expect_values(training.ends("batch_normalization/gamma"), {0.057735, 0.057735});
  expect_values(training.ends("batch_normalization/beta"), {0.1273126, 0.1273126});
  expect_values(training.ends("p_re_lu/alpha"), {0.09976972, 0.09974463});
  expect_values(training.ends("dense/kernel"), {0.1834206, 0.2058672});

  // The same from its configuration.
  const Model copy = model_from_json(to_json(model));
  set_all(copy);
  EXPECT_EQ(json::parse(to_json(copy)), json::parse(to_json(model)));
  EXPECT_EQ(Training(copy).text(), Training(model).text());
}

// Those of results count for each dense layer inside; of GroupQueryAttention for its own results, too.
TEST(Penalties, OfAttention) {
  const auto loss_of = [](const Layer& layer) {
    const Tensor x = Input({3, 4});
    const Model model(x, layer({x, x}));
    set_all(model);
    return Training(model)("evaluate", {Array::splat(DType::f32, {2, 3, 4}, 1), Array(DType::f32, {2, 3, 4})});
  };
  EXPECT_NEAR(loss_of(layers::MultiHeadAttention(2, 3,
                                                 {.kernel_regularizer = "l2",
                                                  .bias_regularizer = regularizers::L1(.5),
                                                  .activity_regularizer = "l1",
                                                  .kernel_constraint = "non_neg"})),
              1.5876, 3e-6);
  EXPECT_NEAR(loss_of(layers::GroupQueryAttention(
                  2, 2, {.num_key_value_heads = 1, .kernel_regularizer = "l2", .activity_regularizer = "l1"})),
              0.2868, 2e-6);
}

// Every field of every layer reaches a weight.
TEST(Penalties, OfEveryLayer) {
  const Tensor images = Input({8, 8, 2});
  const Tensor rows = Input({8, 2});
  const Tensor volumes = Input({4, 4, 4, 2});
  const Tensor ids = Input({5}, {.dtype = "int32"});
  struct Case {
    Layer layer;
    Tensor input;
    std::size_t count;
  };
#define TUSK_BOTH \
  .kernel_regularizer = "l2", .bias_regularizer = "l1", .kernel_constraint = "unit_norm", .bias_constraint = "non_neg"
  const Case cases[] = {
      {layers::Dense(3, {TUSK_BOTH}), rows, 2},
      {layers::EinsumDense("abc,cd->abd", {8, 3}, {.bias_axes = "d", TUSK_BOTH}), rows, 2},
      {layers::Conv1D(3, 2, {TUSK_BOTH}), rows, 2},
      {layers::Conv2D(3, 2, {TUSK_BOTH}), images, 2},
      {layers::Conv3D(3, 2, {TUSK_BOTH}), volumes, 2},
      {layers::Conv1DTranspose(3, 2, {TUSK_BOTH}), rows, 2},
      {layers::Conv2DTranspose(3, 2, {TUSK_BOTH}), images, 2},
      {layers::Conv3DTranspose(3, 2, {TUSK_BOTH}), volumes, 2},
      {layers::DepthwiseConv1D(2, {.depthwise_regularizer = "l2",
                                   .bias_regularizer = "l1",
                                   .depthwise_constraint = "unit_norm",
                                   .bias_constraint = "non_neg"}),
       rows, 2},
      {layers::DepthwiseConv2D(2, {.depthwise_regularizer = "l2",
                                   .bias_regularizer = "l1",
                                   .depthwise_constraint = "unit_norm",
                                   .bias_constraint = "non_neg"}),
       images, 2},
      {layers::SeparableConv1D(3, 2,
                               {.depthwise_regularizer = "l2",
                                .pointwise_regularizer = "l2",
                                .bias_regularizer = "l1",
                                .depthwise_constraint = "unit_norm",
                                .pointwise_constraint = "unit_norm",
                                .bias_constraint = "non_neg"}),
       rows, 3},
      {layers::SeparableConv2D(3, 2,
                               {.depthwise_regularizer = "l2",
                                .pointwise_regularizer = "l2",
                                .bias_regularizer = "l1",
                                .depthwise_constraint = "unit_norm",
                                .pointwise_constraint = "unit_norm",
                                .bias_constraint = "non_neg"}),
       images, 3},
      {layers::BatchNormalization({.beta_regularizer = "l1",
                                   .gamma_regularizer = "l2",
                                   .beta_constraint = "non_neg",
                                   .gamma_constraint = "unit_norm"}),
       rows, 2},
      {layers::LayerNormalization({.beta_regularizer = "l1",
                                   .gamma_regularizer = "l2",
                                   .beta_constraint = "non_neg",
                                   .gamma_constraint = "unit_norm"}),
       rows, 2},
      {layers::GroupNormalization(2, {.beta_regularizer = "l1",
                                      .gamma_regularizer = "l2",
                                      .beta_constraint = "non_neg",
                                      .gamma_constraint = "unit_norm"}),
       rows, 2},
      {layers::PReLU({.alpha_regularizer = "l2", .alpha_constraint = "unit_norm"}), rows, 1},
      {layers::Embedding(9, 3, {.embeddings_regularizer = "l2", .embeddings_constraint = "unit_norm"}), ids, 1},
      {layers::ReversibleEmbedding(9, 3, {.embeddings_regularizer = "l2", .embeddings_constraint = "unit_norm"}), ids,
       1},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.layer.class_name());
    const std::string config = get_config(each.layer);
    const Layer copy = layer_from_config(each.layer.class_name(), config);
    EXPECT_EQ(json::parse(get_config(copy)), json::parse(config));
    for (const Layer& layer : {each.layer, copy}) {
      (void)layer(each.input);
      std::size_t rules = 0;
      for (const Variable& weight : layer.weights()) {
        const bool is_bias = weight.name() == "bias" || weight.name() == "beta";
        if (!weight.trainable()) continue;
        EXPECT_EQ(weight.regularizer().kind, is_bias ? Regularizer::Kind::l1 : Regularizer::Kind::l2) << weight.name();
        EXPECT_EQ(weight.constraint().kind, is_bias ? Constraint::Kind::non_neg : Constraint::Kind::unit_norm);
        ++rules;
      }
      EXPECT_EQ(rules, each.count);
    }
  }
}

TEST(Penalties, WhatIsRefused) {
  const auto train = [](std::string_view class_name, std::string_view config) {
    const Tensor x = Input({3});
    (void)Training(Model(x, layers::Dense(2)(layer_from_config(class_name, config)(x))));
  };
  expect({
      {[] { (void)regularizers::L2(-1); }, "l2 is -1, expected 0 or more [field-value]", ""},
      {[] {
         (void)constraints::UnitNorm({0, 1, 2, 3, 4, 5, 6, 7, 8});
       },
       "a constraint has 9 axes, expected at most 8 [field-value]", ""},
      {[&] {
         train("Dense", R"({"name": "d", "units": 3, "kernel_regularizer": {"class_name": "Mine", "config": {}}})");
       },
       "Dense has kernel_regularizer = {\"class_name\":\"Mine\",\"config\":{}}, which training does not know "
       "[layer-training]",
       "d"},
      {[&] { train("ReLU", R"({"name": "r", "kernel_constraint": "max_norm"})"); },
       "ReLU has kernel_constraint = \"max_norm\", which training does not know [layer-training]", "r"},
      {[] {
         const Tensor x = Input({3, 4});
         (void)Training(Model(x, layers::TimeDistributed(layers::Dense(2, {.activity_regularizer = "l1"}))(x)));
       },
       "TimeDistributed has a Dense with an activity_regularizer inside, which this release cannot compile "
       "[layer-training]",
       "time_distributed"},
      {[] {
         (void)of_matrix(0,
                         [](const Tensor& x) { return penalty_of("orthogonal_regularizer", ops::expand_dims(x, 0)); });
       },
       "OrthogonalRegularizer takes matrices, found (1, 2, 3) [training-config]", ""},
  });
}

// What other versions of Keras wrote.
TEST(Penalties, OfOlderFiles) {
  const auto rules_of = [](std::string_view config) {
    const Layer layer = layer_from_config("Dense", config);
    (void)layer(Input({3}));
    return layer.weights().front();
  };
  const Variable old = rules_of(
      R"({"name": "d", "units": 3, "kernel_regularizer": {"name": "WeightRegularizer", "l1": 0.5, "l2": 0.25}, "kernel_constraint": {"name": "MaxNorm", "m": 3, "axis": 0}})");
  EXPECT_EQ(old.regularizer().l1, 0.5);
  EXPECT_EQ(old.regularizer().l2, 0.25);
  EXPECT_EQ(old.constraint().max_value, 3);
  const Variable named = rules_of(R"({"name": "d", "units": 3, "kernel_regularizer": "l1_l2"})");
  EXPECT_EQ(named.regularizer().l1, 0.01);
  EXPECT_EQ(named.regularizer().l2, 0.01);
}

}  // namespace
}  // namespace tusk
