// The arrays of a saved model, found by what the model knows of its layers: one interface over both of Keras' formats.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

class Hdf5File;

/// A variable that a layer wants from a file.
struct VariableSpec {
  std::string name;  // "kernel"; for messages
  std::vector<std::int64_t> shape;
  bool trainable =
      true;  // as it was saved: the variable is trainable and neither its layer nor a model around it is frozen
};

/// A model, a layer or a part of a layer, with the variables that it wants. Neither format stores an array under the
/// layer's own path alone, so the whole tree has to be there, weightless layers and InputLayers included, in Keras'
/// order; operations (keras.ops, which are no layers) are left out.
struct LayerWeights {
  std::string class_name;  // "Dense", "Functional", "pkg>Name"
  std::string name;
  /// Its variables in the order of Keras' `weights`: its own, and those of parts that are not in `layers` (a cell, the
  /// projections of an attention). Where all of `layers` have `any` set and the layer itself has not, those of the
  /// layers inside it as well, in one list: `layers` then only says where they are.
  std::vector<VariableSpec> variables;
  /// Instead of `variables`: take whatever the file has, in the order of Keras' `weights`. (A legacy file has one list
  /// for a nested model; if all of its layers have `any` set, the whole list comes into the arrays of the nested
  /// model.)
  bool any = false;
  /// The layers of a model, the cells of StackedRNNCells, or the parts of a wrapper: Bidirectional's forward and
  /// backward layer, the layer of TimeDistributed, the cell of an RNN.
  std::vector<LayerWeights> layers;
  /// Not empty: the same object occurs again, in another model, under the same key. Files hold it once.
  std::string shared;

  /// Filled in by Weights::fill, parallel to `variables`.
  std::vector<Array> arrays;

  /// Where a part of a layer is, if it is known: the attribute of the layer around it.
  std::string part = {};
};

/// The tree of a model's configuration (the {"class_name", "config", ...} object), every layer with `any` set.
LayerWeights layer_tree(const nlohmann::json& model);

/// Keras' to_snake_case: "Conv2DTranspose" becomes "conv2d_transpose".
std::string snake_case(std::string_view class_name);

/// Arrays are read when they are asked for, so that a problem can name the layer and the variable. Copies share their
/// state. Arrays of the optimizer and of metrics are never looked at, nor counted as unused.
class Weights {
 public:
  /// Either format, known by its content: the groups of `model.weights.h5`, or the lists of a legacy file (at its root
  /// or in `model_weights`).
  static Expected<Weights> read(const Hdf5File& file);

  /// Finds the arrays of a whole model. Says which layer and variable is wrong if a count or a shape differs.
  Status fill(LayerWeights& model);
  /// Arrays of the file that no call of fill has found, by their path in it, sorted.
  std::vector<std::string> unused() const;

  /// The variables of the optimizer in the order in which Keras keeps them; none if the model was not compiled.
  Expected<std::vector<Array>> optimizer() const;

  /// One of the two formats.
  class Store {
   public:
    virtual ~Store() = default;
    virtual Status fill(LayerWeights& model) = 0;
    virtual std::vector<std::string> unused() const = 0;
    virtual Expected<std::vector<Array>> optimizer() const = 0;
  };

 private:
  std::shared_ptr<Store> store_;
};

}  // namespace tusk
