// Several inputs and several outputs, each with a loss of its own: tickets of customers get a priority and a
// department. (The guide reads the texts with LSTM; here a text is the mean of its words.)
#include "frontend/tusk.hpp"

#include <fmt/format.h>

#include <random>

using namespace tusk;

// numpy.random.randint(limit, size=shape)
Array random_integers(std::int64_t limit, std::vector<std::int64_t> shape) {
  static std::mt19937 random(1);
  Array out(DType::f32, std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, static_cast<double>(random() % limit));
  return out;
}

int main() try {
  const int num_tags = 12;        // number of unique issue tags
  const int num_words = 1000;     // size of the vocabulary
  const int num_departments = 4;  // number of departments for predictions

  auto title_input = Input({None}, {.name = "title"});    // a sequence of words
  auto body_input = Input({None}, {.name = "body"});      // a sequence of words
  auto tags_input = Input({num_tags}, {.name = "tags"});  // num_tags zeros and ones

  auto title_features = layers::Embedding(num_words, 64)(title_input);
  auto body_features = layers::Embedding(num_words, 64)(body_input);
  title_features = layers::GlobalAveragePooling1D()(title_features);
  body_features = layers::GlobalAveragePooling1D()(body_features);
  auto x = layers::concatenate({title_features, body_features, tags_input});

  auto priority_pred = layers::Dense(1, {.name = "priority"})(x);
  auto department_pred = layers::Dense(num_departments, {.name = "department"})(x);
  Model model({title_input, body_input, tags_input}, {priority_pred, department_pred});
  utils::plot_model(model, "multi_input_and_output_model.dot", {.show_shapes = true});

  model.compile({.optimizer = optimizers::RMSprop(1e-3),
                 .loss = {{"priority", losses::BinaryCrossentropy({.from_logits = true})},
                          {"department", losses::CategoricalCrossentropy({.from_logits = true})}},
                 .loss_weights = {{"priority", 1.0}, {"department", 0.2}}});

  auto title_data = random_integers(num_words, {1280, 12});
  auto body_data = random_integers(num_words, {1280, 100});
  auto tags_data = random_integers(2, {1280, num_tags});
  auto priority_targets = random_integers(2, {1280, 1});
  auto dept_targets = to_categorical(random_integers(num_departments, {1280, 1}), num_departments);

  model.fit({{"title", title_data}, {"body", body_data}, {"tags", tags_data}},
            {{"priority", priority_targets}, {"department", dept_targets}}, {.epochs = 2, .verbose = 2});
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
