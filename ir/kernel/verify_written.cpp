// Nothing is read before it is written, and every output is: on each way that the branches of a function can take.
#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "ir/kernel/verify.hpp"

namespace tusk::kernel {
namespace {

using Place = Tensor::Place;
using Roots = std::set<int>;

class WrittenVerifier {
 public:
  WrittenVerifier(const Program& program, const Function& function)
      : function_(function), range_of_(program.range_of()) {}

  Status run() {
    for (std::size_t id = 0; id < function_.tensors.size(); ++id) {
      const Tensor& tensor = function_.tensors[id];
      const bool waits = tensor.place == Place::output || tensor.place == Place::arena;
      if (!waits || product(tensor.shape).range(range_of_).high <= 0) written_.insert(static_cast<int>(id));
    }
    CHECK(steps(function_.steps));
    for (const int id : function_.outputs) {
      if (!written_.contains(id)) return unwritten(id, "is an output, but is not written");
    }
    return done();
  }

 private:
  const Tensor& tensor(int id) const { return function_.tensors[static_cast<std::size_t>(id)]; }
  // Parts of a tensor are written one by one: the first one counts for all.
  int root(int id) const { return tensor(id).place == Place::view ? tensor(id).base : id; }

  Diagnostic unwritten(int id, std::string_view what) const {
    return error("program-written", fmt::format("function `{}`: `{}` {} on every way through the branches",
                                                function_.name, tensor(id).name, what));
  }

  Status read(int id, const Step& step) const {
    if (written_.contains(root(id))) return done();
    Diagnostic out = unwritten(id, "is read, but was not written before");
    out.layer = step.layer;
    return out;
  }

  void write(int id) {
    written_.insert(root(id));
    order_.push_back(root(id));
    forget(root(id));
  }

  // What is known of a branch is so until its condition changes.
  void forget(int written) {
    std::erase_if(when_, [&](const auto& known) { return root(known.first.first) == written; });
  }

  // A loop is taken to run: that it does is a condition of the function.
  Status steps(const std::vector<Step>& list) {
    for (const Step& step : list) {
      switch (step.kind) {
        case Step::Kind::call:
          CHECK(call(step));
          break;
        case Step::Kind::loop:
          CHECK(steps(step.body));
          break;
        case Step::Kind::branch:
          CHECK(branch(step));
          break;
      }
    }
    return done();
  }

  Status call(const Step& step) {
    for (const int id : step.args) CHECK(read(id, step));
    for (const int id : step.results) write(id);
    return done();
  }

  Status branch(const Step& step) {
    CHECK(read(step.condition, step));
    const std::pair<int, bool> way(step.condition, step.holds);
    const Roots before = written_;
    const auto known = when_;
    const std::size_t first = order_.size();
    written_.merge(Roots(when_[way]));
    CHECK(steps(step.body));
    when_ = known;
    when_[way] = std::exchange(written_, before);
    for (std::size_t i = first; i < order_.size(); ++i) forget(order_[i]);
    const auto here = when_.find(way);
    const auto other = when_.find({step.condition, !step.holds});
    if (here == when_.end() || other == when_.end()) return done();
    for (const int id : other->second) {
      if (here->second.contains(id)) written_.insert(id);
    }
    return done();
  }

  const Function& function_;
  RangeOf range_of_;
  Roots written_;                               // on every way to here
  std::map<std::pair<int, bool>, Roots> when_;  // where a condition holds, or does not
  std::vector<int> order_;                      // all that was written, in order
};

}  // namespace

Status verify_written(const Program& program, const Function& function) {
  return WrittenVerifier(program, function).run();
}

}  // namespace tusk::kernel
