// Models as files that Keras reads.
#pragma once

#include <filesystem>

#include "frontend/files/bytes.hpp"
#include "frontend/model/model.hpp"

namespace tusk {

/// A `.keras` archive: architecture, weights, and of a compiled model what compile was given and the optimizer's state.
/// The same bytes for the same model.
Expected<Bytes> keras_bytes(const Model& model);
/// A whole `.h5`, as Keras 3 writes the older format: the same, but layers that stand in several models are copies.
Expected<Bytes> h5_bytes(const Model& model);
/// A `.weights.h5`: weights, and the optimizer's state of a compiled model.
Expected<Bytes> weights_bytes(const Model& model);

/// model.save(): a name that ends in `.keras`, `.h5` or `.hdf5`. The file is the old one or the new one, whatever
/// happens meanwhile.
Status save_model(const std::filesystem::path& path, const Model& model);
/// model.save_weights(): a name that ends in `.weights.h5`.
Status save_weights(const std::filesystem::path& path, const Model& model);

}  // namespace tusk
