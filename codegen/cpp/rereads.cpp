#include "codegen/cpp/rereads.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "ir/loop/names.hpp"
#include "ir/loop/print.hpp"

namespace tusk::cpp {
namespace {

using loop::Block;
using loop::Stmt;
using loop::Value;

bool is_loop(const Stmt& stmt) { return stmt.kind == Stmt::Kind::loop; }

bool is_vector(const loop::Type& type) { return type.lanes > 1; }

bool reads(const Stmt& stmt) { return stmt.kind == Stmt::Kind::let && stmt.value->kind == Value::Kind::load; }

// The vectors of a block that live at once where equal reads are one, and likewise their splats. What is read for one
// instruction alone is its operand in memory.
class Registers {
 public:
  explicit Registers(const Block& block) {
    for (std::size_t at = 0; at < block.size(); ++at) {
      const Stmt& stmt = block[at];
      for (const auto& [name, count] : names_in(stmt)) use(name, at);
      if (stmt.kind != Stmt::Kind::let) continue;
      const std::string what = key(stmt);
      const auto [first, is_new] = first_.emplace(what, stmt.name);
      same_[stmt.name] = first->second;
      if (is_new && is_vector(stmt.type)) lives_[stmt.name] = {at, at, reads(stmt)};
    }
  }

  void keep_to_end(const std::string& name, std::size_t end) { use(name, end); }

  int most(std::size_t end) const {
    int most = 0;
    for (std::size_t at = 0; at < end; ++at) {
      most = std::max(most, static_cast<int>(std::ranges::count_if(lives_, [&](const auto& named) {
                        const Life& life = named.second;
                        return life.from <= at && at < life.to && !(life.is_read && life.uses == 1);
                      })));
    }
    return most;
  }

 private:
  struct Life {
    std::size_t from = 0;
    std::size_t to = 0;
    bool is_read = false;
    int uses = 0;
  };

  // What a statement reads, or the splat of that; else its own name.
  std::string key(const Stmt& stmt) const {
    if (reads(stmt)) return loop::print(stmt.value);
    if (stmt.value->kind != Value::Kind::splat || stmt.value->operands[0]->kind != Value::Kind::name) return stmt.name;
    const auto it = same_.find(stmt.value->operands[0]->name);
    return it == same_.end() ? stmt.name : "splat " + it->second;
  }

  void use(const std::string& name, std::size_t at) {
    const auto same = same_.find(name);
    const auto life = lives_.find(same == same_.end() ? name : same->second);
    if (life == lives_.end()) return;
    life->second.to = std::max(life->second.to, at);
    ++life->second.uses;
  }

  std::map<std::string, std::string> first_;  // what is read -> the name that has it first
  std::map<std::string, std::string> same_;   // name -> that name
  std::map<std::string, Life> lives_;
};

void visit(const Block& block, const std::vector<loop::ValueRef>& yields, std::map<const Stmt*, int>& out);

// Loops over terms carry the sums of the tile; one sum alone leaves registers for whatever turns share.
void visit_loop(const Stmt& stmt, std::map<const Stmt*, int>& out) {
  const auto sums = std::ranges::count_if(stmt.carries, [](const loop::Carry& carry) { return is_vector(carry.type); });
  if (sums < 2 || stmt.body.empty() || std::ranges::any_of(stmt.body, is_loop)) return;
  out[&stmt.body.front()] = static_cast<int>(sums + std::ranges::count_if(stmt.body, reads));
}

void visit(const Block& block, const std::vector<loop::ValueRef>& yields, std::map<const Stmt*, int>& out) {
  const bool has_vectors =
      std::ranges::any_of(block, [](const Stmt& stmt) { return stmt.kind == Stmt::Kind::let && is_vector(stmt.type); });
  int registers = 0;
  std::set<std::string> read;
  for (const Stmt& stmt : block) {
    if (is_loop(stmt)) visit_loop(stmt, out);
    visit(stmt.body, stmt.yields, out);
    visit(stmt.other, stmt.other_yields, out);
    if (!has_vectors || !reads(stmt)) continue;
    std::string place = loop::print(stmt.value);
    if (read.contains(place)) {
      if (registers == 0) {
        Registers lives(block);
        for (const loop::ValueRef& value : yields) {
          if (value->kind == Value::Kind::name) lives.keep_to_end(value->name, block.size());
        }
        registers = lives.most(block.size());
      }
      out[&stmt] = registers;
      read.clear();
    }
    read.insert(std::move(place));
  }
}

}  // namespace

std::map<const Stmt*, int> rereads(const loop::Func& func) {
  std::map<const Stmt*, int> out;
  visit(func.body, {}, out);
  return out;
}

}  // namespace tusk::cpp
