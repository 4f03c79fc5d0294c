// Any bytes as JSON, and as the architecture of a model: refused with a message, or print and parse are inverse and the
// model is there.
#include "frontend/files/json.hpp"

#include "frontend/import/load_model.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tusk;

namespace {

// Printing twice holds two texts and two values; larger ones are parsed only.
constexpr std::size_t kMaxPrinted = 1 << 16;

void inverse(const nlohmann::json& value) {
  const std::string text = value.dump();
  const Expected<nlohmann::json> again = parse_json(text, "printed");
  if (!again) tusk_fuzz::broken("the printed text does not parse", text, again.problem().str());
  tusk_fuzz::equal(text, again->dump());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = tusk_fuzz::text_of(data, size);
  {
    const Expected<nlohmann::json> value = parse_json(text, "the input");
    if (!value) return tusk_fuzz::refused(value.problem()), 0;
    // Infinities and NaN print as null.
    if (size <= kMaxPrinted) inverse(*value);
    if (!value->is_object()) return 0;
  }
  const Expected<LoadedModel> model = read_architecture(tusk_fuzz::bytes_of(data, size), "the input");
  if (!model) tusk_fuzz::refused(model.problem());
  return 0;
}
