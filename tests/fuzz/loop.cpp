// Any bytes as loop IR: refused with a message, or print and parse are inverse.
#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "ir/loop/verify.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tusk;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Expected<loop::Module> first = loop::parse(tusk_fuzz::text_of(data, size));
  if (!first) return tusk_fuzz::refused(first.problem()), 0;
  if (const Status legal = loop::verify(*first); !legal) return tusk_fuzz::refused(legal.problem()), 0;
  const std::string text = loop::print(*first);
  const Expected<loop::Module> second = loop::parse(text, "printed");
  if (!second) tusk_fuzz::broken("the printed text does not parse", text, second.problem().str());
  if (const Status legal = loop::verify(*second); !legal) {
    tusk_fuzz::broken("the printed text does not verify", text, legal.problem().str());
  }
  tusk_fuzz::equal(text, loop::print(*second));
  return 0;
}
