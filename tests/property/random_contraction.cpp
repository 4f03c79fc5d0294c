#include "tests/property/random_contraction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "ir/graph/parse.hpp"

namespace tusk::random_tests {
namespace {

struct Factor {
  std::string indices, shape;
};

struct Formula {
  Factor a, b;
  std::string result, where, shape;
};

// An equality along one axis of an image: h == 2*p + 3*i - 1.
std::string equality_of(std::string_view h, std::string_view p, std::string_view i, std::int64_t stride,
                        std::int64_t dilation, std::int64_t pad) {
  const auto times = [](std::int64_t factor) { return factor == 1 ? std::string() : fmt::format("{}*", factor); };
  return fmt::format("{} == {}{} + {}{}{}", h, times(stride), p, times(dilation), i,
                     pad == 0 ? std::string() : fmt::format(" - {}", pad));
}

Formula dense_formula(Rng& rng, const std::string& batch) {
  const std::int64_t k = rng.range(1, 70);
  const std::int64_t o = rng.range(1, 140);
  switch (rng.below(3)) {
    case 0:
      return {{"[n,k]", fmt::format("[{},{}]", batch, k)},
              {"[k,o]", fmt::format("[{},{}]", k, o)},
              "[n,o]",
              "",
              fmt::format("[{},{}]", batch, o)};
    case 1:
      return {{"[n,o]", fmt::format("[{},{}]", batch, o)},
              {"[k,o]", fmt::format("[{},{}]", k, o)},
              "[n,k]",
              "",
              fmt::format("[{},{}]", batch, k)};
    default:
      return {{"[n,k]", fmt::format("[{},{}]", batch, k)},
              {"[n,o]", fmt::format("[{},{}]", batch, o)},
              "[k,o]",
              "",
              fmt::format("[{},{}]", k, o)};
  }
}

Formula image_formula(Rng& rng, const std::string& batch) {
  const std::int64_t window = rng.range(1, 3);
  const std::int64_t stride = rng.range(1, 2);
  const std::int64_t dilation = rng.chance(20) ? 2 : 1;
  const std::int64_t reach = (window - 1) * dilation + 1;
  const std::int64_t pad = rng.below(window);
  const bool depthwise = rng.chance(20);
  const std::int64_t role = rng.below(3);
  // A gradient by weights sums over planes, which are cut into blocks of a sample from 256 places on.
  const bool large = role == 2 && rng.chance(50);
  const std::int64_t height = std::max(reach, large ? rng.range(16, 18) * stride : rng.range(3, 11));
  const std::int64_t width = std::max(reach, large ? rng.range(17, 19) * stride : rng.range(3, 15));
  const std::int64_t p = (height + 2 * pad - reach) / stride + 1;
  const std::int64_t q = (width + 2 * pad - reach) / stride + 1;
  // Rows lie in panels where tiles cut them without a rest and pass over many lanes.
  const bool panels = role == 2 && rng.chance(30);
  const std::int64_t c = panels ? 4 * rng.range(1, 3) : large ? rng.range(1, 6) : rng.range(1, 20);
  const std::int64_t o = depthwise ? c : panels ? 16 * rng.range(4, 6) : large ? rng.range(1, 18) : rng.range(1, 40);
  const std::string where = " where " + equality_of("h", "p", "i", stride, dilation, pad) + ", " +
                            equality_of("w", "q", "j", stride, dilation, pad);
  const Factor image{"[n,h,w,c]", fmt::format("[{},{},{},{}]", batch, height, width, c)};
  const Factor kernel{depthwise ? "[i,j,c]" : "[i,j,c,o]", depthwise ? fmt::format("[{0},{0},{1}]", window, c)
                                                                     : fmt::format("[{0},{0},{1},{2}]", window, c, o)};
  const Factor out{depthwise ? "[n,p,q,c]" : "[n,p,q,o]", fmt::format("[{},{},{},{}]", batch, p, q, o)};
  switch (role) {
    case 0:
      return {image, kernel, fmt::format("[n,p<{},q<{},{}]", p, q, depthwise ? "c" : "o"), where, out.shape};
    case 1:
      return {out, kernel, fmt::format("[n,h<{},w<{},c]", height, width), where, image.shape};
    default:
      return {image, out, fmt::format("[i<{0},j<{0},c{1}]", window, depthwise ? "" : ",o"), where, kernel.shape};
  }
}

}  // namespace

GraphCase generate_contraction(std::uint64_t seed) {
  Rng rng(seed_of(seed, "contraction"));
  const bool open = rng.chance(40);
  const std::int64_t samples = rng.range(1, 4);
  const std::string batch = open ? "batch" : std::to_string(samples);
  const bool is_product = rng.chance(35);
  const Formula formula = is_product ? dense_formula(rng, batch) : image_formula(rng, batch);
  const std::string type = rng.chance(10) ? "i32" : "f32";
  // A batch of one operand alone cannot be open where the other one is a constant of it.
  const bool constant = type == "f32" && rng.chance(40) && formula.b.shape.find("batch") == std::string::npos;
  std::string text = "module m numerics 1 / fma\n";
  if (open) text += fmt::format("symbol batch in {}..4\n", rng.range(1, 2));
  if (constant) text += fmt::format("const @w : {}{} = random({})\n", type, formula.b.shape, seed);
  text += fmt::format("func f(%x: {0}{1}{2}) -> (%y) {{\n", type, formula.a.shape,
                      constant ? std::string() : fmt::format(", %w: {}{}", type, formula.b.shape));
  const bool has_relu = rng.chance(40);
  text += fmt::format("  %{} = contract %x, {}w {{ a{} b{} -> y{}{} }}\n", has_relu ? "z" : "y", constant ? "@" : "%",
                      formula.a.indices, formula.b.indices, formula.result, formula.where);
  if (has_relu) text += "  %y = map.max %z, 0\n";
  text += "}\n";
  Expected<graph::Module> module = graph::parse(text);
  if (!module) throw std::runtime_error(module.problem().str() + text);
  GraphCase out{seed, *std::move(module), {}, rng.chance(80)};
  if (open) out.symbols["batch"] = rng.range(2, 4);
  return out;
}

}  // namespace tusk::random_tests
