// Numbers and ids as categories: Discretization, CategoryEncoding, IntegerLookup.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/layers/core.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// How ids are given back: themselves; a vector for each (one_hot); which ones occur along the last axis (multi_hot),
/// and how often (count).
using CategoryMode = OneOf<"int", "one_hot", "multi_hot", "count", "binary">;

/// The number of boundaries that are not above x.
struct DiscretizationImpl : LayerBase {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers bin_boundaries = Numbers(std::vector<double>());
    CategoryMode output_mode = "int";
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("bin_boundaries", c.bin_boundaries);
    f("output_mode", c.output_mode);
    f.only("sparse", false);
    f.ignored("num_bins");
    f.ignored("epsilon");
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using Discretization = LayerOf<DiscretizationImpl>;

/// Ids 0 ... num_tokens - 1; others count nowhere. A second input has the weights of what is counted.
struct CategoryEncodingImpl : LayerBase {
  struct Config {
    std::int64_t num_tokens = 0;
    CategoryMode output_mode = "multi_hot";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::num_tokens};
  static void fields(auto& f, Config& c) {
    f("num_tokens", c.num_tokens);
    f("output_mode", c.output_mode);
    f.only("sparse", false);
  }
  std::size_t max_inputs() const override { return 2; }
  bool autocasts() const override { return false; }
  void build(const Shape& in) override;
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
};
using CategoryEncoding = LayerOf<CategoryEncodingImpl>;

/// The place of each integer in the vocabulary, behind those of num_oov_indices for what is not in it (x modulo their
/// number) and, in mode int, 0 for the mask token. Results are int64.
struct IntegerLookupImpl : LayerBase {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    std::optional<std::int64_t> max_tokens = {};
    std::int64_t num_oov_indices = 1;
    std::optional<std::int64_t> mask_token = {};
    std::int64_t oov_token = -1;
    std::vector<std::int64_t> vocabulary = {};
    bool invert = false;
    CategoryMode output_mode = "int";
    bool pad_to_max_tokens = false;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("max_tokens", c.max_tokens);
    f("num_oov_indices", c.num_oov_indices);
    f("mask_token", c.mask_token);
    f("oov_token", c.oov_token);
    f("vocabulary", c.vocabulary);
    f("invert", c.invert);
    f("output_mode", c.output_mode);
    f("pad_to_max_tokens", c.pad_to_max_tokens);
    f.only("sparse", false);
    f.only("idf_weights", nullptr);
    f.only("salt", nullptr);
    f.only("oov_method", "floormod");
    f.ignored("vocabulary_dtype");
    f.ignored("vocabulary_size");
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Tensor looked_up(const Tensor& x) const;
  Tensor inverted(const Tensor& x) const;
  std::int64_t first_oov() const { return config.mask_token && config.output_mode == "int" ? 1 : 0; }
  std::vector<std::int64_t> tokens_;  // without the special ones
};
using IntegerLookup = LayerOf<IntegerLookupImpl>;

}  // namespace tusk::layers
