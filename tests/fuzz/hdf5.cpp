// Any bytes as an HDF5 file: refused with a message, or everything that is in it is read or refused.
#include "frontend/files/hdf5.hpp"

#include "frontend/import/weights.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace tusk;

namespace {

template <class T>
bool there(const Expected<T>& expected) {
  if (!expected) tusk_fuzz::refused(expected.problem());
  return static_cast<bool>(expected);
}

// What Keras writes, and one that no object has.
constexpr const char* kAttributes[] = {"layer_names", "weight_names",    "model_config", "keras_version",
                                       "dtype",       "training_config", "backend",      "no such attribute"};

void attributes(const Hdf5File& file, const std::string& object) {
  for (const char* name : kAttributes) there(file.strings_attribute(object, name));
  there(file.string_attribute(object, "model_config"));
}

void numbers(const Hdf5File& file, const std::string& dataset) {
  const Expected<Array> array = file.array(dataset);
  if (!there(array)) return;
  volatile double sum = 0;
  for (std::int64_t i = 0; i < array->size(); ++i) sum = sum + array->at(i);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Expected<Hdf5File> file = Hdf5File::from_bytes(tusk_fuzz::bytes_of(data, size), "the input");
  if (!there(file)) return 0;
  attributes(*file, "");
  if (const Expected<Hdf5File::Tree> tree = file->tree(""); there(tree)) {
    for (const std::string& group : tree->groups) attributes(*file, group);
    for (const std::string& dataset : tree->datasets) {
      attributes(*file, dataset);
      numbers(*file, dataset);
    }
  }
  const Expected<Weights> weights = Weights::read(*file);
  if (!there(weights)) return 0;
  there(weights->optimizer());
  (void)weights->unused();
  return 0;
}
