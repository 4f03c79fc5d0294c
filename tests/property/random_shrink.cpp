#include "tests/property/random_shrink.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/rewrite.hpp"
#include "ir/graph/verify.hpp"

namespace tusk::random_tests {
namespace {

using graph::Function;
using graph::Op;
using graph::Operand;

constexpr int kMostTrials = 1500;

std::optional<Failure> in_a_process(const GraphCase& graph, const Law& law) {
  int ends[2];
  if (pipe(ends) != 0) return law(graph);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    const std::optional<Failure> broken = law(graph);
    std::string text = broken ? "!" + broken->law + '\0' + broken->what : "-";
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t count = write(ends[1], text.data() + at, text.size() - at);
      if (count <= 0) break;
      at += static_cast<std::size_t>(count);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0; (count = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || text.empty()) return Failure{"crash", fmt::format("signal {}", WTERMSIG(status))};
  if (text[0] == '-') return std::nullopt;
  const std::size_t split = text.find('\0');
  return Failure{text.substr(1, split - 1), text.substr(split + 1)};
}

void replace_value(std::vector<Op>& ops, int from, const Operand& to) {
  for (Op& op : ops) {
    graph::for_each_operand(op, [&](Operand& x) {
      if (x.kind == Operand::Kind::value && x.id == from) x = to;
    });
  }
}

void replace_everywhere(Function& f, int from, const Operand& to) {
  replace_value(f.ops, from, to);
  for (Operand& x : f.results) {
    if (x.kind == Operand::Kind::value && x.id == from) x = to;
  }
}

// A parameter that stands for a value; it has the value's name, so that seeds of inputs stay apart.
Operand parameter_for(Function& f, int id) {
  const graph::Value value = f.values[static_cast<std::size_t>(id)];
  const int param = f.add_value("p_" + value.name, value.type);
  f.params.push_back(param);
  return Operand::value(param);
}

void drop_unread(graph::Module& module) {
  Function& f = module.functions[0];
  graph::remove_dead_ops(f);
  std::set<int> read;
  std::set<int> globals;
  const auto note = [&](const Operand& x) {
    if (x.kind == Operand::Kind::value) read.insert(x.id);
    if (x.kind == Operand::Kind::global) globals.insert(x.id);
  };
  for (const Op& op : f.ops) graph::for_each_operand(op, note);
  for (const Operand& x : f.results) note(x);
  std::erase_if(f.params, [&](int id) { return !read.contains(id); });
  if (globals.size() == module.globals.size()) return;
  std::vector<int> moved(module.globals.size(), -1);
  std::vector<graph::Global> kept;
  for (const int id : globals) {
    moved[static_cast<std::size_t>(id)] = static_cast<int>(kept.size());
    kept.push_back(module.globals[static_cast<std::size_t>(id)]);
  }
  const auto renumber = [&](Operand& x) {
    if (x.kind == Operand::Kind::global) x.id = moved[static_cast<std::size_t>(x.id)];
  };
  for (Op& op : f.ops) graph::for_each_operand(op, renumber);
  for (Operand& x : f.results) renumber(x);
  module.globals = std::move(kept);
}

using DimMap = std::function<Dim(const Dim&)>;

// Every shape mapped, and types of results by the shape rule; verify says whether that makes sense.
bool map_dims(graph::Module& module, std::vector<Op>& ops, const DimMap& to) {
  Function& f = module.functions[0];
  const auto map_shape = [&](Shape& shape) {
    for (Dim& dim : shape) dim = to(dim);
  };
  for (Op& op : ops) {
    for (auto& [name, attr] : op.attrs.list) {
      if (Shape* shape = std::get_if<Shape>(&attr)) map_shape(*shape);
      if (auto* spec = std::get_if<graph::ContractSpec>(&attr)) {
        for (auto& [index, extent] : spec->extents) extent = to(extent);
      }
      if (Array* array = std::get_if<Array>(&attr)) {
        std::vector<std::int64_t> shape;
        for (const std::int64_t extent : array->shape()) shape.push_back(to(Dim(extent)).constant());
        Rng rng(1);
        if (shape != array->shape()) *array = random_array(array->dtype(), shape, rng, true);
      }
    }
    for (graph::Region& region : op.regions) {
      for (const int id : region.params) map_shape(f.values[static_cast<std::size_t>(id)].type.shape);
      if (!map_dims(module, region.ops, to)) return false;
    }
    std::vector<graph::Condition> conditions;
    const auto types = graph::infer(module, f, op, conditions);
    if (!types || types->size() != op.results.size() || !conditions.empty()) return false;
    for (std::size_t i = 0; i < types->size(); ++i)
      f.values[static_cast<std::size_t>(op.results[i])].type = (*types)[i];
  }
  return true;
}

class Shrinker {
 public:
  Shrinker(GraphCase graph, std::string law_name, const Law& law)
      : best_(std::move(graph)), name_(std::move(law_name)), law_(law) {}

  GraphCase run() {
    while (round() && trials_ < kMostTrials) {
    }
    return std::move(best_);
  }

 private:
  Function& function() { return best_.module.functions[0]; }

  template <class Change>
  bool attempt(const Change& change) {
    if (trials_ >= kMostTrials) return false;
    GraphCase next = best_;
    if (!change(next)) return false;
    drop_unread(next.module);
    if (next.module.functions[0].results.empty() || !graph::verify(next.module)) return false;
    Expected<graph::Module> clean = graph::parse(graph::print(next.module));
    if (clean) next.module = *std::move(clean);
    if (graph::print(next.module) == graph::print(best_.module) && next.symbols == best_.symbols) return false;
    ++trials_;
    const std::optional<Failure> broken = fails(next, law_);
    if (!broken || broken->law != name_) return false;
    best_ = std::move(next);
    return true;
  }

  bool round() {
    bool changed = fewer_results();
    changed = fewer_ops() || changed;
    changed = simpler_operands() || changed;
    changed = smaller_regions() || changed;
    changed = smaller_dims() || changed;
    return changed;
  }

  bool fewer_results() {
    bool changed = false;
    for (std::size_t k = function().results.size(); k-- > 0;) {
      if (k >= function().results.size() || function().results.size() == 1) continue;
      changed = attempt([&](GraphCase& c) {
                  Function& f = c.module.functions[0];
                  f.results.erase(f.results.begin() + static_cast<std::ptrdiff_t>(k));
                  f.result_names.erase(f.result_names.begin() + static_cast<std::ptrdiff_t>(k));
                  return true;
                }) ||
                changed;
    }
    return changed;
  }

  bool fewer_ops() {
    bool changed = false;
    for (std::size_t k = function().ops.size(); k-- > 0;) {
      if (k >= function().ops.size()) continue;
      // First the op's operand in its place, so that no parameter is added.
      changed = attempt([&](GraphCase& c) {
                  Function& f = c.module.functions[0];
                  const Op op = f.ops[k];
                  if (op.operands.empty() || op.results.size() != 1) return false;
                  f.ops.erase(f.ops.begin() + static_cast<std::ptrdiff_t>(k));
                  for (const Operand& x : op.operands) {
                    if (type_of(c.module, f, x) != type_of(c.module, f, Operand::value(op.results[0]))) continue;
                    replace_everywhere(f, op.results[0], x);
                    return true;
                  }
                  return false;
                }) ||
                changed;
      if (k >= function().ops.size()) continue;
      changed = attempt([&](GraphCase& c) {
                  Function& f = c.module.functions[0];
                  const Op op = f.ops[k];
                  f.ops.erase(f.ops.begin() + static_cast<std::ptrdiff_t>(k));
                  for (const int id : op.results) replace_everywhere(f, id, parameter_for(f, id));
                  return true;
                }) ||
                changed;
    }
    return changed;
  }

  // Constants become parameters, parameters become one another.
  bool simpler_operands() {
    bool changed = false;
    for (std::size_t k = best_.module.globals.size(); k-- > 0;) {
      changed = attempt([&](GraphCase& c) {
                  Function& f = c.module.functions[0];
                  if (k >= c.module.globals.size()) return false;
                  const int param = f.add_value("p_" + c.module.globals[k].path, c.module.globals[k].type);
                  f.params.push_back(param);
                  const auto swap = [&](Operand& x) {
                    if (x.kind == Operand::Kind::global && x.id == static_cast<int>(k)) x = Operand::value(param);
                  };
                  for (Op& op : f.ops) graph::for_each_operand(op, swap);
                  for (Operand& x : f.results) swap(x);
                  return true;
                }) ||
                changed;
    }
    for (std::size_t k = function().params.size(); k-- > 1;) {
      for (std::size_t j = 0; j < k && k < function().params.size(); ++j) {
        const bool merged = attempt([&](GraphCase& c) {
          Function& f = c.module.functions[0];
          const Operand to = Operand::value(f.params[j]);
          if (type_of(c.module, f, to) != type_of(c.module, f, Operand::value(f.params[k]))) return false;
          replace_everywhere(f, f.params[k], to);
          return true;
        });
        changed = merged || changed;
        if (merged) break;
      }
    }
    return changed;
  }

  // Values of regions become parameters of the function.
  bool smaller_regions() {
    bool changed = false;
    for (std::size_t k = 0; k < function().ops.size(); ++k) {
      if (function().ops[k].regions.empty()) continue;
      for (std::size_t j = function().ops[k].regions[0].ops.size(); j-- > 0;) {
        changed = attempt([&](GraphCase& c) {
                    Function& f = c.module.functions[0];
                    if (k >= f.ops.size() || f.ops[k].regions.empty() || j >= f.ops[k].regions[0].ops.size())
                      return false;
                    std::vector<Op>& ops = f.ops[k].regions[0].ops;
                    const Op op = ops[j];
                    ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(j));
                    for (const int id : op.results) replace_everywhere(f, id, parameter_for(f, id));
                    return true;
                  }) ||
                  changed;
      }
    }
    return changed;
  }

  bool smaller_dims() {
    bool changed = false;
    const auto mapped = [&](const DimMap& to) {
      return attempt([&](GraphCase& c) {
        Function& f = c.module.functions[0];
        for (const int id : f.params) {
          for (Dim& dim : f.values[static_cast<std::size_t>(id)].type.shape) dim = to(dim);
        }
        return map_dims(c.module, f.ops, to);
      });
    };
    std::set<std::int64_t> extents;
    for (const graph::Value& value : function().values) {
      for (const Dim& dim : value.type.shape) {
        if (dim.is_constant() && dim.constant() > 1) extents.insert(dim.constant());
      }
    }
    for (const std::int64_t extent : extents) {
      for (const std::int64_t less : {std::int64_t{1}, std::int64_t{2}, extent - 1}) {
        if (less >= extent || less < 1) continue;
        if (!mapped([&](const Dim& dim) { return dim == Dim(extent) ? Dim(less) : dim; })) continue;
        changed = true;
        break;
      }
    }
    const std::vector<graph::Symbol> symbols = best_.module.symbols;
    for (const graph::Symbol& symbol : symbols) {
      const std::int64_t value = best_.symbols.at(symbol.name);
      const bool fixed = attempt([&](GraphCase& c) {
        const DimMap to = [&](const Dim& dim) {
          return dim.substituted([&](std::string_view name, std::int64_t step) {
            return name == symbol.name ? Dim(value) : Dim::symbol(name, step);
          });
        };
        Function& f = c.module.functions[0];
        for (const int id : f.params) {
          for (Dim& dim : f.values[static_cast<std::size_t>(id)].type.shape) dim = to(dim);
        }
        for (Op& op : f.ops) {
          graph::for_each_operand(op, [&](Operand& x) {
            if (x.kind == Operand::Kind::dim) x.dim = to(x.dim);
          });
        }
        if (!map_dims(c.module, f.ops, to)) return false;
        std::erase_if(c.module.symbols, [&](const graph::Symbol& s) { return s.name == symbol.name; });
        return true;
      });
      changed = fixed || changed;
      if (fixed || value <= symbol.step) continue;
      changed = attempt([&](GraphCase& c) {
                  c.symbols[symbol.name] = symbol.step;
                  return true;
                }) ||
                changed;
    }
    return changed;
  }

  GraphCase best_;
  std::string name_;
  const Law& law_;
  int trials_ = 0;
};

}  // namespace

std::optional<Failure> fails(const GraphCase& graph, const Law& law) {
  static const bool forks = std::getenv("TUSK_FORK") != nullptr;
  return forks ? in_a_process(graph, law) : law(graph);
}

GraphCase shrunk(const GraphCase& graph, const Failure& failure, const Law& law) {
  return Shrinker(graph, failure.law, law).run();
}

std::string text_of(const GraphCase& graph) {
  std::string out = fmt::format("# seed {}{}", graph.seed, graph.tame ? "" : ", special numbers among the inputs");
  for (const auto& [symbol, value] : graph.symbols) out += fmt::format(", {} = {}", symbol, value);
  out += "\n";
  const std::vector<Array> inputs = inputs_of(graph);
  const Function& f = graph.module.functions[0];
  for (std::size_t k = 0; k < inputs.size(); ++k)
    out += fmt::format("# %{} = {}\n", f.values[static_cast<std::size_t>(f.params[k])].name, str(inputs[k]));
  return out + graph::print(graph.module);
}

}  // namespace tusk::random_tests
