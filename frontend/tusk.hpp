// All that programs use which define, train, save and load models: `#include "frontend/tusk.hpp"`, `using namespace
// tusk;`. Each header can be included alone.
#pragma once

#include "frontend/data/arrays.hpp"
#include "frontend/data/csv.hpp"
#include "frontend/data/datasets.hpp"
#include "frontend/export/config.hpp"
#include "frontend/export/save_model.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/plot_model.hpp"
#include "frontend/model/random_seed.hpp"
#include "frontend/model/summary.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/callbacks.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/metrics.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/reduction_metrics.hpp"
#include "frontend/training/schedules.hpp"
