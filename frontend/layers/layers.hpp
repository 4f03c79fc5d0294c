// All layers.
#pragma once

#include "frontend/layers/activation_layers.hpp"
#include "frontend/layers/applications.hpp"
#include "frontend/layers/attention.hpp"
#include "frontend/layers/categories.hpp"
#include "frontend/layers/convolution.hpp"
#include "frontend/layers/core.hpp"
#include "frontend/layers/images.hpp"
#include "frontend/layers/merging.hpp"
#include "frontend/layers/noise.hpp"
#include "frontend/layers/normalization.hpp"
#include "frontend/layers/pooling.hpp"
#include "frontend/layers/reshaping.hpp"
#include "frontend/layers/spectrograms.hpp"
#include "frontend/layers/wrappers.hpp"
