// The list of ops. A new op is one file and one line here.
#include <array>

#include "ir/graph/op.hpp"

namespace tusk::graph {

extern const OpDef kConst, kIota, kRngBits, kMap, kCast, kStopGradient;
extern const OpDef kBroadcast, kReshape, kTranspose, kSlice, kPad, kConcat;
extern const OpDef kGather, kScatter, kReduce, kArgReduce;
extern const OpDef kWindow, kArgWindow, kUnwindow, kContract, kSort, kScan, kCond;
extern const OpDef kSoftmax, kLogSoftmax, kGelu, kSilu, kSoftplus, kLogSumExp, kNormalize, kBatchMoments;

std::span<const OpDef* const> ops() {
  static constexpr std::array kOps = {
      &kConst,      &kIota,      &kRngBits,  &kMap,      &kCast,      &kStopGradient, &kBroadcast,    &kReshape,
      &kTranspose,  &kSlice,     &kPad,      &kConcat,   &kGather,    &kScatter,      &kReduce,       &kArgReduce,
      &kWindow,     &kArgWindow, &kUnwindow, &kContract, &kSort,      &kScan,         &kCond,         &kSoftmax,
      &kLogSoftmax, &kGelu,      &kSilu,     &kSoftplus, &kLogSumExp, &kNormalize,    &kBatchMoments,
  };
  return kOps;
}

}  // namespace tusk::graph
