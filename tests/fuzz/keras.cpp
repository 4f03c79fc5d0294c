// Any bytes as a whole model, `.keras` or `.h5`: refused with a message, or the model is there with its weights.
#include "frontend/import/load_model.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/zip_checksums.hpp"

using namespace tusk;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Expected<LoadedModel> model =
      read_model(tusk_fuzz::with_checksums(tusk_fuzz::bytes_of(data, size)), "the input");
  if (!model) tusk_fuzz::refused(model.problem());
  return 0;
}
