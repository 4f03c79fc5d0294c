#include "passes/lower_program.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "passes/lower_kernel.hpp"

namespace tusk {
namespace {

using kernel::Step;
using kernel::Tensor;
using loop::Stmt;

class ProgramLowering {
 public:
  ProgramLowering(const kernel::Program& program, const LowerOptions& options)
      : program_(program), options_(options), range_of_(program.range_of()) {}

  Expected<loop::Module> run() {
    std::vector<loop::Func> entries;
    for (const kernel::Function& function : program_.functions) entries.push_back(entry(function));
    if (problem_) return *problem_;
    for (loop::Func& func : entries) module_.funcs.push_back(std::move(func));
    return std::move(module_);
  }

 private:
  loop::Func entry(const kernel::Function& function) {
    loop::Func func;
    func.name = function.name;
    name_tensors(function);
    for (const int id : function.inputs) add_buffer(func, function, id, true);
    for (const int id : function.outputs) add_buffer(func, function, id, false);
    for (const int id : global_tensors(function, Tensor::Place::constant)) add_buffer(func, function, id, true);
    for (const int id : global_tensors(function, Tensor::Place::state))
      add_buffer(func, function, id, !writes(function, id));
    func.buffers.push_back({"arena", DType::u8, false, 64, fmt::format("{} bytes", function.arena_bytes)});
    frame_of_.clear();
    frames_ = {{"", &func.body}};
    used_.clear();
    for (const std::vector<int>* list : {&function.inputs, &function.outputs}) {
      for (const int id : *list) std::ranges::for_each(tensor(function, id).shape, [&](const Dim& dim) { use(dim); });
    }
    calls(function, function.steps, func.body);
    for (const kernel::Symbol& symbol : program_.symbols) {
      if (used_.contains(symbol.name)) func.scalars.push_back({symbol.name, {DType::index, 1}});
    }
    return func;
  }

  void use(const Dim& dim) {
    for (std::string& symbol : dim.symbols()) used_.insert(std::move(symbol));
  }

  static bool is_global(const Tensor& t) {
    return t.place == Tensor::Place::constant || t.place == Tensor::Place::state;
  }

  // Whether a step writes into the memory of a state.
  static bool writes(const kernel::Function& function, int state) {
    const std::function<bool(const std::vector<Step>&)> any = [&](const std::vector<Step>& steps) {
      return std::ranges::any_of(steps, [&](const Step& step) {
        return any(step.body) || std::ranges::any_of(step.results, [&](int id) {
                 const Tensor& t = tensor(function, id);
                 const Tensor& root = t.place == Tensor::Place::view ? tensor(function, t.base) : t;
                 return root.place == Tensor::Place::state && root.global == tensor(function, state).global;
               });
      });
    };
    return any(function.steps);
  }

  static const Tensor& tensor(const kernel::Function& function, int id) {
    return function.tensors[static_cast<std::size_t>(id)];
  }

  // Tensors keep their names, but for the words of the loop IR.
  void name_tensors(const kernel::Function& function) {
    std::set<std::string> taken{"arena"};
    for (const kernel::Symbol& symbol : program_.symbols) taken.insert(symbol.name);
    for (const Tensor& t : function.tensors) {
      if (!loop::is_reserved(t.name)) taken.insert(t.name);
    }
    tensor_names_.clear();
    for (const Tensor& t : function.tensors) {
      std::string name = t.name;
      if (loop::is_reserved(name) || name == "arena") {
        do name += "_";
        while (!taken.insert(name).second);
      }
      tensor_names_.push_back(std::move(name));
    }
  }

  const std::string& name_of(int id) const { return tensor_names_[static_cast<std::size_t>(id)]; }

  void add_buffer(loop::Func& func, const kernel::Function& function, int id, bool constant) const {
    const Tensor& t = tensor(function, id);
    const std::int64_t align = is_global(t) ? 64 : 0;
    func.buffers.push_back({name_of(id), t.type, constant, align, shape_str(t.shape)});
  }

  // The loops around a call, the function's own body first: a buffer is defined once, in the innermost one whose
  // position it depends on. The loop's statement joins its block when its body is done, so what is defined there comes
  // before it.
  struct Frame {
    std::string symbol;
    loop::Block* block;
  };

  // The name of a tensor's buffer.
  std::string buffer(const kernel::Function& function, int id) {
    const Tensor& t = tensor(function, id);
    if (is_global(t)) {  // several tensors may name one
      const auto same = [&](const Tensor& other) { return other.place == t.place && other.global == t.global; };
      return name_of(static_cast<int>(std::ranges::find_if(function.tensors, same) - function.tensors.begin()));
    }
    const bool arena = t.place == Tensor::Place::arena;
    if ((!arena && t.place != Tensor::Place::view) || frame_of_.contains(id)) return name_of(id);
    Stmt stmt;
    stmt.kind = Stmt::Kind::buffer;
    stmt.name = name_of(id);
    stmt.type = {t.type, 1};
    stmt.base = arena ? "arena" : buffer(function, t.base);
    use(arena ? t.arena_offset : t.offset);
    stmt.address = loop::simplified(loop::dim_value(arena ? t.arena_offset : t.offset));
    const auto base = arena ? frame_of_.end() : frame_of_.find(t.base);
    std::size_t frame = base == frame_of_.end() ? 0 : base->second;
    for (const std::string& symbol : (arena ? t.arena_offset : t.offset).symbols()) {
      for (std::size_t i = frame + 1; i < frames_.size(); ++i) {
        if (frames_[i].symbol == symbol) frame = i;
      }
    }
    frame_of_[id] = frame;
    frames_[frame].block->push_back(std::move(stmt));
    return name_of(id);
  }

  void calls(const kernel::Function& function, const std::vector<Step>& steps, loop::Block& block) {
    for (const Step& step : steps) {
      if (step.kind == Step::Kind::loop) {
        Stmt stmt;
        stmt.kind = Stmt::Kind::loop;
        stmt.name = step.symbol;
        stmt.low = loop::index_literal(0);
        stmt.high = loop::dim_value(step.extent);
        use(step.extent);
        frames_.push_back({step.symbol, &stmt.body});
        calls(function, step.body, stmt.body);
        frames_.pop_back();
        block.push_back(std::move(stmt));
        continue;
      }
      if (step.kind == Step::Kind::branch) {
        Stmt stmt;
        stmt.kind = Stmt::Kind::branch;
        stmt.value = loop::load(buffer(function, step.condition), {DType::boolean, 1}, loop::index_literal(0));
        if (!step.holds) stmt.value = loop::apply("not", {stmt.value});
        calls(function, step.body, stmt.body);
        // Of two branches, that which keeps what is there has nothing left to do.
        if (!stmt.body.empty()) block.push_back(std::move(stmt));
        continue;
      }
      std::vector<loop::ValueRef> arguments;
      std::vector<std::string> key;
      KernelLayout layout;
      layout.range_of = range_of_;
      layout.brute_force_where = options_.brute_force_where;
      const kernel::Kernel& kernel = program_.kernels[static_cast<std::size_t>(step.kernel)];
      const kernel::Schedule& schedule =
          options_.empty_schedule ? empty_ : program_.schedules[static_cast<std::size_t>(step.kernel)];
      for (const std::vector<int>* list : {&step.args, &step.results, &step.scratch}) {
        for (const int id : *list) {
          arguments.push_back(loop::name(buffer(function, id), {tensor(function, id).type, 1}));
          layout.strides.push_back(tensor(function, id).strides);
        }
      }
      const std::vector<std::string> symbols = symbols_of(kernel, layout);
      for (const std::string& symbol : symbols) arguments.push_back(loop::name(symbol, {DType::index, 1}));
      used_.insert(symbols.begin(), symbols.end());
      Stmt stmt;
      stmt.kind = Stmt::Kind::call;
      stmt.name = kernel_function(kernel, schedule, layout);
      stmt.arguments = std::move(arguments);
      block.push_back(std::move(stmt));
    }
  }

  // Equal loops are emitted once: the text, its names replaced by numbers, is the key.
  std::string kernel_function(const kernel::Kernel& kernel, const kernel::Schedule& schedule,
                              const KernelLayout& layout) {
    Expected<loop::Func> lowered = lower_kernel(kernel, schedule, layout, "f");
    if (!lowered) {
      if (!problem_) problem_ = lowered.problem();
      return kernel.name;
    }
    loop::Func& func = *lowered;
    const std::string key = normalized(func);
    if (const auto it = by_text_.find(key); it != by_text_.end()) {
      std::vector<std::string>& comments = module_.funcs[it->second].comments;
      for (const std::string& layer : kernel.layers) {
        if (std::find(comments.begin(), comments.end(), layer) == comments.end()) comments.push_back(layer);
      }
      return module_.funcs[it->second].name;
    }
    std::string name = kernel.name;
    for (int i = 1; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", kernel.name, i);
    func.name = name;
    func.comments = kernel.layers;
    by_text_[key] = module_.funcs.size();
    module_.funcs.push_back(std::move(func));
    return name;
  }

  // Buffers and values by number, so that kernels that differ in the names of their tensors and stages are equal.
  static std::string normalized(const loop::Func& func) {
    std::map<std::string, std::string> names;
    const auto define = [&](const std::string& name) { names.try_emplace(name, fmt::format("v{}", names.size())); };
    for (const loop::Buffer& buffer : func.buffers) define(buffer.name);
    const std::function<void(const loop::Block&)> visit = [&](const loop::Block& block) {
      for (const Stmt& stmt : block) {
        const bool defines =
            stmt.kind == Stmt::Kind::let || stmt.kind == Stmt::Kind::buffer || stmt.kind == Stmt::Kind::loop;
        if (defines) define(stmt.name);
        for (const loop::Carry& carry : stmt.carries) {
          if (stmt.kind == Stmt::Kind::loop) define(carry.name);
          define(carry.result);
        }
        visit(stmt.body);
        visit(stmt.other);
      }
    };
    visit(func.body);
    const std::string text = loop::print(func);
    std::string out;
    std::string word;
    const auto flush = [&] {
      const auto it = names.find(word);
      out += it != names.end() ? it->second : word;
      word.clear();
    };
    for (const char c : text) {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
        word += c;
      } else {
        flush();
        out += c;
      }
    }
    flush();
    return out;
  }

  const kernel::Program& program_;
  const LowerOptions& options_;
  RangeOf range_of_;
  loop::Module module_;
  kernel::Schedule empty_;
  std::vector<std::string> tensor_names_;  // of the function, in its loops
  std::vector<Frame> frames_;
  std::map<int, std::size_t> frame_of_;  // of the function's tensors
  std::set<std::string> used_;           // symbols that the function's sizes depend on
  std::set<std::string> names_;
  std::map<std::string, std::size_t> by_text_;
  std::optional<Diagnostic> problem_;  // of the first schedule that cannot be followed
};

}  // namespace

Expected<loop::Module> lower_program(const kernel::Program& program, const LowerOptions& options) {
  return ProgramLowering(program, options).run();
}

}  // namespace tusk
