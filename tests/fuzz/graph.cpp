// Any bytes as graph IR: refused with a message, or print and parse are inverse.
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tusk;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Expected<graph::Module> first = graph::parse(tusk_fuzz::text_of(data, size));
  if (!first) return tusk_fuzz::refused(first.problem()), 0;
  if (const Status legal = graph::verify(*first); !legal) return tusk_fuzz::refused(legal.problem()), 0;
  const std::string text = graph::print(*first);
  const std::vector<std::byte> weights = graph::weights_of(*first);
  const Expected<graph::Module> second = graph::parse(text, {.file = "printed", .weights = weights});
  if (!second) tusk_fuzz::broken("the printed text does not parse", text, second.problem().str());
  tusk_fuzz::equal(text, graph::print(*second));
  return 0;
}
