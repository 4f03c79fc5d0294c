#include "tests/property/random_masks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include "ir/graph/parse.hpp"

namespace tusk::random_tests {
namespace {

using Names = std::vector<std::string>;

/// Writes the graph as text.
class MaskWriter {
 public:
  explicit MaskWriter(std::uint64_t seed) : rng_(seed_of(seed, "masks")) {
    shape_ = rng_.pick(Names{"20,2", "64", "33", "7,33", "3,9,4", "40,3", "5,2,17"});
  }

  std::string run() {
    Names results;
    if (rng_.chance(25)) results.push_back(truth(0));
    if (rng_.chance(40)) results.push_back(count());
    if (results.empty() || rng_.chance(50)) results.push_back(choice(value_type()));
    std::string text = "func f(";
    for (const auto& [name, type] : params_)
      text += fmt::format("{}{}: {}[{}]", text.back() == '(' ? "" : ", ", name, type, shape_);
    text += ") -> (";
    for (const std::string& result : results) text += fmt::format("{}{}", text.back() == '(' ? "" : ", ", result);
    return text + ") {\n" + body_ + "}";
  }

 private:
  std::string value_type() { return rng_.pick(Names{"f32", "f32", "i32", "f64", "i64", "u8", "i8", "f16", "u32"}); }

  std::string param(const std::string& type) {
    Names known;
    for (const auto& [name, its] : params_)
      if (its == type) known.push_back(name);
    if (!known.empty() && rng_.chance(60)) return rng_.pick(known);
    params_.emplace_back(fmt::format("%p{}", params_.size()), type);
    return params_.back().first;
  }

  std::string op(const std::string& right) {
    const std::string name = fmt::format("%v{}", count_++);
    body_ += fmt::format("  {} = {}\n", name, right);
    return name;
  }

  std::string truth(int depth) {
    if (!truths_.empty() && rng_.chance(20)) return rng_.pick(truths_);
    std::string made;
    switch (depth < 3 ? rng_.below(depth == 0 ? 5 : 8) : rng_.range(5, 7)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const std::string a = truth(depth + 1);  // in this order everywhere
        const std::string b = truth(depth + 1);
        made = op(fmt::format("map.{} {}, {}", rng_.pick(Names{"and", "or", "xor", "eq", "ne"}), a, b));
        break;
      }
      case 4:
        made = op("map.not " + truth(depth + 1));
        break;
      case 5: {
        const std::string type = value_type();
        const std::string a = param(type);
        const std::string b = rng_.chance(40) ? param(type) : type[0] == 'f' ? "0.25" : "2";
        made = op(fmt::format("map.{} {}, {}", rng_.pick(Names{"gt", "lt", "ge", "le", "eq", "ne"}), a, b));
        break;
      }
      case 6: {
        const std::int64_t rank = std::count(shape_.begin(), shape_.end(), ',') + 1;
        const std::string at = op(fmt::format("iota {{shape=[{}], axis={}}}", shape_, rng_.below(rank)));
        made = op(fmt::format("map.lt {}, {}", at, rng_.range(1, 19)));
        break;
      }
      default:
        made = param("bool");
        break;
    }
    truths_.push_back(made);
    return made;
  }

  std::string choice(const std::string& type) {
    const std::string condition = truth(0);
    const auto branch = [&]() -> std::string {
      if (rng_.chance(20)) return choice(type);
      if (rng_.chance(20)) return op(fmt::format("map.add {}, {}", param(type), type[0] == 'f' ? "0.5" : "3"));
      return param(type);
    };
    const std::string yes = branch();
    const std::string no = rng_.chance(25) ? std::string(type[0] == 'f' ? "0.0" : "7") : branch();
    return op(fmt::format("map.select {}, {}, {}", condition, yes, no));
  }

  // How many truths there are along an axis.
  std::string count() {
    const std::string counted = op(fmt::format("cast {} {{to={}}}", truth(0), value_type()));
    const std::int64_t rank = std::count(shape_.begin(), shape_.end(), ',') + 1;
    return op(fmt::format("reduce.sum {} {{axes=[{}]}}", counted, rng_.below(rank)));
  }

  Rng rng_;
  std::string shape_;
  std::vector<std::pair<std::string, std::string>> params_;
  Names truths_;
  std::string body_;
  int count_ = 0;
};

}  // namespace

GraphCase generate_masks(std::uint64_t seed) {
  GraphCase out;
  out.seed = seed;
  const std::string text = MaskWriter(seed).run();
  Expected<graph::Module> module = graph::parse_sample(text);
  if (!module) throw std::logic_error(fmt::format("masks of seed {}: {}\n{}", seed, module.problem().str(), text));
  out.module = *std::move(module);
  return out;
}

}  // namespace tusk::random_tests
