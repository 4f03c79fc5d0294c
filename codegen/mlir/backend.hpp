// What the plug-in does that alone sees LLVM: MLIR text becomes an object file, assembly, LLVM IR, or code in this
// process. The compiler finds it when it is asked for (find_backend in load.hpp); nothing else depends on LLVM.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tusk::mlir {

/// What LLVM has to know of a processor.
struct Processor {
  std::string triple;    // of four parts: "x86_64-unknown-linux-gnu"; empty: this machine's
  std::string cpu;       // whose instructions it has: "x86-64-v4"
  std::string tune;      // whose times order them: "znver4"; empty: the same
  std::string features;  // "+avx2,+fma"
  std::string abi;       // where a kind of processors has several: "lp64d"
  int vector_bits = 0;   // of the widest vectors to use; 0: LLVM's choice
};

struct Job {
  std::string_view text;  // an MLIR module
  Processor processor;
  std::vector<std::string> exported;  // functions that others may call; all others are private
  std::string_view data = {};         // the bytes of the constant `tusk.data`, which the text declares
  std::string made_by = {};           // what the output says of itself
  std::string debug_file = {};        // the file of the text's places, which become lines for debuggers; empty: none
};

enum class Output { llvm, assembly, object };

/// Functions of this process that are compiled when they are first asked for.
struct Group {
  std::vector<std::string> texts;      // MLIR modules, compiled side by side
  std::vector<std::string> exported;   // what `find` finds
  std::vector<std::string> shared;     // functions that one of the texts calls in another
  std::vector<std::string> kept = {};  // for each text the file that keeps its object, if there is one to be kept
};

/// Code in this process; it stays as long as this lives. Threads may share it.
class Loaded {
 public:
  virtual ~Loaded() = default;
  virtual bool has(const std::string& name) const = 0;
  /// The address of an exported function, whose group is compiled now if it is not yet; null and why if that fails.
  virtual void* find(const std::string& name, std::string& problem) = 0;
  /// Begins to compile the group of a function, beside what the caller does.
  virtual void prepare(const std::string& name) = 0;
};

/// What both sides must agree in.
inline constexpr std::size_t kLayout = 1000000 * sizeof(Processor) + 1000 * sizeof(Job) + sizeof(Group);

/// The functions of the plug-in. Where they fail, `problem` says why.
struct Backend {
  std::size_t layout;  // kLayout
  /// The bytes of the output; the same job gives the same bytes.
  std::string (*emit)(const Job& job, Output output, std::string& problem);
  /// `data` are the bytes of the constant `tusk.data`.
  std::shared_ptr<Loaded> (*load)(std::vector<Group> groups, const Processor& processor, const std::string& data,
                                  std::string& problem);
};

/// The name and the version of the plug-in's only symbol, `const Backend* tusk_mlir_backend_2()`.
inline constexpr const char* kBackendSymbol = "tusk_mlir_backend_2";

}  // namespace tusk::mlir
