// Any bytes as kernel IR (kernels with schedules, or a program): refused with a message, or print and parse are
// inverse.
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tusk;

namespace {

std::string print(const kernel::Kernels& kernels) {
  std::string out;
  for (std::size_t i = 0; i < kernels.kernels.size(); ++i) {
    out += kernel::print(kernels.kernels[i]);
    out += kernel::print(kernels.schedules[i], kernels.kernels[i].name);
  }
  return out;
}

Status verify(const kernel::Kernels& kernels) {
  const RangeOf range_of = [](std::string_view) { return Range{1, 64}; };
  for (std::size_t i = 0; i < kernels.kernels.size(); ++i) {
    CHECK(kernel::verify(kernels.kernels[i], range_of));
    CHECK(kernel::verify(kernels.kernels[i], kernels.schedules[i]));
  }
  return done();
}

void program(std::string_view input) {
  const Expected<kernel::Program> first = kernel::parse_program(input);
  if (!first) return tusk_fuzz::refused(first.problem());
  const std::string text = kernel::print(*first);
  const Expected<kernel::Program> second = kernel::parse_program(text, "printed");
  if (!second) tusk_fuzz::broken("the printed program does not parse", text, second.problem().str());
  tusk_fuzz::equal(text, kernel::print(*second));
}

void kernels(std::string_view input) {
  const Expected<kernel::Kernels> first = kernel::parse_kernels(input);
  if (!first) return tusk_fuzz::refused(first.problem());
  if (const Status legal = verify(*first); !legal) return tusk_fuzz::refused(legal.problem());
  const std::string text = print(*first);
  const Expected<kernel::Kernels> second = kernel::parse_kernels(text, "printed");
  if (!second) tusk_fuzz::broken("the printed kernels do not parse", text, second.problem().str());
  if (const Status legal = verify(*second); !legal) {
    tusk_fuzz::broken("the printed kernels do not verify", text, legal.problem().str());
  }
  tusk_fuzz::equal(text, print(*second));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = tusk_fuzz::text_of(data, size);
  program(input);
  kernels(input);
  return 0;
}
