#include "passes/schedule_choice.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/verify.hpp"
#include "passes/lower_kernel.hpp"

namespace tusk::scheduling {
namespace {

constexpr std::int64_t kOpen = 64;

}  // namespace

std::int64_t Choice::counted(const Dim& extent, bool smallest) const {
  const std::int64_t value = extent.value([&](std::string_view symbol) {
    const Range range = range_of(symbol);
    return smallest ? range.low : std::min(range.high, kOpen);
  });
  return std::max<std::int64_t>(1, value);
}

std::string Choice::fresh(const std::string& wanted) const {
  std::string name = wanted;
  for (int i = 1; kernel.stage(name) != nullptr || kernel.param(name) != nullptr; ++i)
    name = fmt::format("{}_{}", wanted, i);
  return name;
}

DType Choice::type_of(const std::string& tensor) const {
  const kernel::Param* param = kernel.param(tensor);
  return param != nullptr ? param->type : kernel.stage(tensor)->type;
}

Shape Choice::shape_of(const std::string& tensor) const {
  const kernel::Param* param = kernel.param(tensor);
  return param != nullptr ? param->shape : kernel::shape_of(*kernel.stage(tensor));
}

std::vector<Dim> Choice::strides_of(const std::string& tensor) const {
  const auto param = std::ranges::find(kernel.params, tensor, &kernel::Param::name);
  if (param == kernel.params.end()) return kernel::dense_strides(shape_of(tensor));
  const int id = step.args[static_cast<std::size_t>(param - kernel.params.begin())];
  return function.tensors[static_cast<std::size_t>(id)].strides;
}

double Choice::bytes_of(const std::string& tensor) const {
  auto bytes = static_cast<double>(size_of(type_of(tensor)));
  for (const Dim& extent : shape_of(tensor)) bytes *= static_cast<double>(counted(extent));
  return bytes;
}

// What the kernel keeps for itself is dense.
Status Choice::check(const kernel::Schedule& wanted) const {
  CHECK(kernel::verify(kernel, wanted));
  KernelLayout layout;
  layout.range_of = range_of;
  const auto add = [&](int id) { layout.strides.push_back(function.tensors[static_cast<std::size_t>(id)].strides); };
  std::ranges::for_each(step.args, add);
  std::size_t k = 0;
  for (const std::string& result : kernel.results) {
    if (kernel.param(result) == nullptr) add(step.results[k]);
    ++k;
  }
  for (const kernel::Stage* stage : scratch_stages(kernel, wanted))
    layout.strides.push_back(kernel::dense_strides(kernel::buffer_shape(kernel, wanted, *stage)));
  CHECK(lower_kernel(kernel, wanted, layout, "f"));
  return done();
}

bool Choice::is_legal_with(const kernel::StageSchedule& record) const {
  kernel::Schedule wanted = schedule;
  wanted.stages.push_back(record);
  return is_legal(wanted);
}

const kernel::Index& last_axis(const kernel::Stage& stage) {
  return *std::find_if(stage.indices.rbegin(), stage.indices.rend() - 1,
                       [](const kernel::Index& index) { return index.extent != Dim(1); });
}

std::int64_t tile_width(const kernel::StageSchedule& record) {
  const auto tile = std::ranges::find(record.tile, record.vector.index, &kernel::IndexCount::index);
  return tile == record.tile.end() ? record.vector.count : tile->count;
}

}  // namespace tusk::scheduling
