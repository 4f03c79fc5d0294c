// One scalar row on arrays, by the loop interpreter.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ir/loop/interpret.hpp"
#include "ir/row/row.hpp"

namespace tusk {

/// y[i] = row(operands[0][i], operands[1][i], ...), `lanes` of them at once; their number is a multiple of that.
template <class T>
std::vector<T> run_row(const Row& row, DType type, std::vector<std::vector<T>> operands, int lanes = 1,
                       loop::Profile profile = loop::Profile::fma) {
  using namespace loop;
  Func func;
  func.name = "f";
  Stmt store;
  store.kind = Stmt::Kind::store;
  store.base = "y";
  store.address = name("i", {DType::index, 1});
  std::vector<ValueRef> x;
  std::vector<BufferArg> arguments;
  const auto argument = [](std::vector<T>& data) {
    return BufferArg{reinterpret_cast<std::byte*>(data.data()), static_cast<std::int64_t>(data.size() * sizeof(T))};
  };
  for (std::size_t k = 0; k < operands.size(); ++k) {
    func.buffers.push_back({fmt::format("x{}", k), type, true, 0, {}});
    x.push_back(load(func.buffers.back().name, {type, lanes}, store.address));
    arguments.push_back(argument(operands[k]));
  }
  std::vector<T> y(operands[0].size());
  func.buffers.push_back({"y", type, false, 0, {}});
  arguments.push_back(argument(y));
  store.value = apply(row, std::move(x));
  Stmt each;
  each.kind = Stmt::Kind::loop;
  each.name = "i";
  each.low = index_literal(0);
  each.high = index_literal(static_cast<std::int64_t>(y.size()));
  each.step = lanes;
  each.body = {store};
  func.body = {each};
  const Status status = Interpreter(Module{{func}}, profile).run("f", arguments, {});
  EXPECT_TRUE(status) << status.problem().str();
  return y;
}

}  // namespace tusk
