// Tests of the C++ printer: names and comments that cannot break the text, and loops whose C++ gives the bits of the
// loop interpreter.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package.hpp"
#include "codegen/cpp/print_loop.hpp"
#include "ir/loop/interpret.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/rows.hpp"
#include "ir/loop/verify.hpp"
#include "tests/unit/emitted.hpp"

namespace tusk {
namespace {

using testing::HasSubstr;

// ---- Names
// ----------------------------------------------------------------------------------------------------------------

TEST(Names, Identifiers) {
  const std::pair<const char*, const char*> cases[] = {{"dense", "dense"},
                                                       {"dense/kernel", "dense_kernel"},
                                                       {"a-b", "a_b"},
                                                       {"a.b", "a_b"},
                                                       {"2fast", "n2fast"},
                                                       {"operator", "operator_"},
                                                       {"main", "main_"},
                                                       {"std::vector", "std_vector"},
                                                       {"*", "unnamed"},
                                                       {"", "unnamed"},
                                                       {"x\"; #endif", "x_endif"},
                                                       {"gr\xc3\xb6\xc3\x9f"
                                                        "e",
                                                        "gr_u00f6_u00df_e"},
                                                       {"\xf0\x9f\x98\x80", "u1f600"},
                                                       {"\xff"
                                                        "a",
                                                        "xff_a"},
                                                       {"__a__b__", "a_b"},
                                                       {"_Abc", "Abc"},
                                                       {"EOF", "EOF_"},
                                                       {"NULL", "NULL_"},
                                                       {"errno", "errno_"},
                                                       {"I", "I_"},
                                                       {"X1", "X1_"},
                                                       {"std", "std_"},
                                                       {"tusk", "tusk_"},
                                                       {"co_await", "co_await_"},
                                                       {"restrict", "restrict_"},
                                                       {"c0_0", "c0_0"}};
  for (const auto& [text, wanted] : cases) EXPECT_EQ(cpp::identifier(text), wanted) << text;
  EXPECT_EQ(cpp::global_identifier("exp"), "exp_model");
  EXPECT_EQ(cpp::global_identifier("test"), "test_model");
  EXPECT_EQ(cpp::global_identifier("mnist"), "mnist");
  EXPECT_EQ(cpp::global_identifier("string"), "string_model");  // of <string.h>
  EXPECT_EQ(cpp::global_identifier("size_t"), "size_t_");
  EXPECT_EQ(cpp::global_identifier("tusk_runtime"), "tusk_runtime_model");
}

TEST(Names, NeverMeet) {
  cpp::Names names;
  EXPECT_EQ(names.unique("a-b"), "a_b");
  EXPECT_EQ(names.unique("a_b"), "a_b_2");
  EXPECT_EQ(names.unique("a.b"), "a_b_3");
  EXPECT_EQ(names.unique("X"), "X_");
  EXPECT_EQ(names.unique("X"), "X_2");
  names.reserve("kernel");
  EXPECT_EQ(names.unique("kernel"), "kernel_2");
}

std::string nasty_text(std::mt19937& random) {
  static const std::vector<std::string> parts = {"*/",
                                                 "/*",
                                                 "//",
                                                 "\\",
                                                 "\n",
                                                 "\r",
                                                 "?\?/",
                                                 "?",
                                                 "\"",
                                                 "'",
                                                 "#",
                                                 "%s",
                                                 "\xff",
                                                 "\xc3",
                                                 "\xc3\xb6",
                                                 "\xe2\x80\xae",
                                                 "\xe2\x80\xa8",
                                                 "\x01",
                                                 " ",
                                                 "a",
                                                 "int",
                                                 "}",
                                                 "$(rm)",
                                                 "${x}",
                                                 "\t",
                                                 "R\"(",
                                                 ")\"",
                                                 "{}",
                                                 "\xed\xa0\x80",
                                                 std::string(1, '\0')};
  std::string out;
  const std::size_t n = random() % 8;
  for (std::size_t i = 0; i < n; ++i) out += parts[random() % parts.size()];
  return out;
}

TEST(Names, NastyTextsStayInside) {
  std::mt19937 random(1);
  cpp::Names names;
  std::string text = "/* C99 and C++ */\n";
  std::string checks;
  for (int i = 0; i < 2000; ++i) {
    const std::string nasty = nasty_text(random);
    const std::string comment = cpp::comment_text(nasty);
    EXPECT_EQ(comment.find('\n'), std::string::npos);
    EXPECT_EQ(comment.find("*/"), std::string::npos);
    EXPECT_EQ(comment.find("/*"), std::string::npos);
    EXPECT_EQ(comment.find("??"), std::string::npos);
    text += fmt::format("// {}\n/* {} */\nstatic const char {}[] = \"{}\";\n", comment, comment, names.unique(nasty),
                        cpp::string_literal_text(nasty));
  }
  cpp::Names again;
  std::mt19937 same(1);
  std::string sum = "int main(void) { return 0";
  for (int i = 0; i < 2000; ++i) {
    const std::string nasty = nasty_text(same);
    sum += fmt::format(" + (sizeof {} != {})\n", again.unique(nasty), nasty.size() + 1);
  }
  text += sum + ";\n}\n";
  const std::filesystem::path folder = work_folder("nasty");
  write(folder / "a.cpp", text);
  write(folder / "a.c", text);
  const std::string out = (folder / "a").string();
  EXPECT_EQ(run_command(fmt::format("{} -std=c++17 -trigraphs -Wall -Wextra -Werror {}.cpp -o {} && {}", TUSK_CXX, out,
                                    out, out)),
            "");
  EXPECT_EQ(run_command(fmt::format("cc -std=c99 -Wall -Wextra -Werror {}.c -o {} && {}", out, out, out)), "");
}

TEST(Names, Json) { EXPECT_EQ(cpp::json_text("a\"b\\c\n\xff\xc3\xb6"), "a\\\"b\\\\c\\u000a\xef\xbf\xbd\xc3\xb6"); }

TEST(Literals, ShortestThatReadsBack) {
  EXPECT_EQ(cpp::float_literal(0.1F, DType::f32), "0.1F");
  EXPECT_EQ(cpp::float_literal(1, DType::f32), "1.0F");
  EXPECT_EQ(cpp::float_literal(-0.0, DType::f32), "-0.0F");
  EXPECT_EQ(cpp::float_literal(1e-45F, DType::f32), "1e-45F");
  EXPECT_EQ(cpp::float_literal(0.1, DType::f64), "0.1");
  EXPECT_EQ(cpp::float_literal(-INFINITY, DType::f32), "-tusk::infinity<float>");
  EXPECT_EQ(cpp::float_literal(NAN, DType::f64), "tusk::nan<double>");
}

// ---- Statements
// -----------------------------------------------------------------------------------------------------------

TEST(PrintLoops, DenseReadsLikeC) {
  const loop::Module module = parsed(R"(
    note "model/dense"
    loop dense(x: f32* const "[batch,784]", w: f32* const align 64 "[784,64]", y: f32* "[batch,64]", batch: index) {
      for n = 0 to batch step 1 {
        for o = 0 to 64 step 1 {
          z = for k = 0 to 784 step 1 carry (acc = f32(0.0)) { yield fma(load x[n*784 + k], load w[k*64 + o], acc) }
          store y[n*64 + o], max(0.0, z)
        }
      }
    }
    loop predict(x: f32* const, w: f32* const, y: f32*, arena: u8* align 64, batch: index) {
      let dense: f32* = arena + 128
      call dense(x, w, dense, batch)
      call dense(dense, w, y, batch)
    })");
  EXPECT_EQ(printed(module, "predict"), R"(namespace kernel {

// model/dense
TUSK_KERNEL void dense(const float* x,  // [batch,784]
                       const float* w,  // [784,64]
                       float* y,        // [batch,64]
                       std::int64_t batch) {
  for (std::int64_t n = 0; n < batch; ++n) {
    for (std::int64_t o = 0; o < 64; ++o) {
      float z = 0.0F;
      for (std::int64_t k = 0; k < 784; ++k) {
        z = tusk::fma(x[n * 784 + k], w[k * 64 + o], z);
      }
      y[n * 64 + o] = tusk::max(0.0F, z);
    }
  }
}

}  // namespace kernel

void run_predict(const float* x, const float* w, float* y, std::uint8_t* arena, std::int64_t batch) {
  float* const dense = reinterpret_cast<float*>(&arena[128]);
  kernel::dense(x, w, dense, batch);
  kernel::dense(dense, w, y, batch);
}

)");
}

TEST(PrintLoops, YieldsHappenAtOnce) {
  const std::string text = printed(parsed(R"(
    loop f(y: f32*) {
      a, b, c = for t = 0 to 10 step 1 carry (p = f32(0.0), q = f32(1.0), r = f32(2.0)) { yield q, p + q, p }
      store y[0], a
      store y[1], b
      store y[2], c
    })"),
                                   "f");
  // r reads p, so it goes first; p and q exchange, which takes one temporary.
  EXPECT_THAT(text, HasSubstr("    r = p;\n    const float next_p = q;\n    q = p + q;\n    p = next_p;\n"));
}

TEST(PrintLoops, NestedChainsShareAVariable) {
  const std::string text = printed(parsed(R"(
    loop f(x: f32* const, y: f32*) {
      s = for i = 0 to 3 step 1 carry (a = f32(0.0)) {
        r = for j = 0 to 3 step 1 carry (c = a) {
          d = if load x[j] > 0.0 { yield fma(load x[i], load x[j], c) } else { yield c }
          yield d
        }
        yield r
      }
      store y[0], s
    })"),
                                   "f");
  EXPECT_THAT(text, HasSubstr(R"(  float a = 0.0F;
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t j = 0; j < 3; ++j) {
      if (x[j] > 0.0F) {
        a = tusk::fma(tusk::guarded(x)[i], tusk::guarded(x)[j], a);
      }
    }
  }
  y[0] = a;
)"));
}

TEST(PrintLoops, DeadCodeAndUnusedParameters) {
  const std::string text =
      printed(parsed("loop f(x: f32* const, y: f32*, n: index) { a = load x[3] b = a + 1.0 store y[0], 2.0 }"), "f");
  EXPECT_EQ(text, "void run_f(const float* /*x*/, float* y, std::int64_t /*n*/) {\n  y[0] = 2.0F;\n}\n\n");
}

TEST(PrintLoops, FloorDivisionOnlyWhereSignsAreUnknown) {
  const std::string text = printed(parsed(R"(
    loop f(i: i32* const, y: f32*, batch: index) {
      for n = 0 to batch - rem(batch, 4) step 4 { store y[n / 4 * 3 + rem(n + 1, 7)], 0.0 store y[(n - 1) / 2], 1.0 }
      for n2 = batch - rem(batch, 4) to batch step 1 { store y[n2 / 2], 0.0 store y[index(load i[n2]) / 2], 1.0 }
    })"),
                                   "f");
  EXPECT_THAT(text, HasSubstr("y[(n / 4) * 3 + (n + 1) % 7] = 0.0F;"));
  EXPECT_THAT(text, HasSubstr("y[tusk::floor_div(n - 1, 2)] = 1.0F;"));
  EXPECT_THAT(text, HasSubstr("y[n2 / 2] = 0.0F;"));
  EXPECT_THAT(text, HasSubstr("tusk::floor_div(static_cast<std::int64_t>(i[n2]), 2)"));
}

TEST(PrintLoops, MulAddProfile) {
  const loop::Module module =
      parsed("loop f(x: f32* const, y: f32*) { store y[0], fma(load x[0] + 1.0, load x[1], load x[2]) * 2.0 }");
  EXPECT_THAT(printed(module, "f", true), HasSubstr("y[0] = ((x[0] + 1.0F) * x[1] + x[2]) * 2.0F;"));
}

TEST(PrintLoops, MissingFunctionIsADiagnostic) { EXPECT_FALSE(cpp::print_loops(loop::Module{}, {"predict"})); }

// ---- Bits against the interpreter
// -----------------------------------------------------------------------------------------

// Runs the entry `f`, which has buffers only, by the interpreter and as C++, on copies of the same bytes.
class Both {
 public:
  Both(const loop::Module& module, const std::string& name, const std::string& options, bool muladd = false)
      : interpreter_(module, muladd ? loop::Profile::muladd : loop::Profile::fma) {
    const std::filesystem::path folder = work_folder(name);
    std::string source =
        "#if defined(__clang__)\n#pragma clang fp contract(off)\n#else\n"
        "#pragma GCC optimize(\"fp-contract=off\")\n#endif\n#include \"tusk_runtime.hpp\"\nnamespace {\n";
    source += printed(module, "f", muladd);
    std::string arguments;
    for (const loop::Buffer& buffer : module.func("f")->buffers) {
      const std::size_t i = static_cast<std::size_t>(&buffer - module.func("f")->buffers.data());
      arguments += fmt::format("{}static_cast<{}*>(b[{}])", i == 0 ? "" : ", ", cpp::storage_name(buffer.type), i);
    }
    source += fmt::format("}}\nextern \"C\" void run(void** b) {{ run_f({}); }}\n", arguments);
    write(folder / "f.cpp", source);
    const std::string file = (folder / "f").string();
    problem_ = run_command(fmt::format("{} -std=c++17 -O1 {} {} -shared -fPIC -I{}/runtime {}.cpp -o {}.so", TUSK_CXX,
                                       kWarnings, options, TUSK_SOURCE_DIR, file, file));
    if (!problem_.empty()) return;
    void* library = dlopen((file + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
    run_ = reinterpret_cast<void (*)(void**)>(dlsym(library, "run"));
  }

  const std::string& problem() const { return problem_; }

  // `buffers` after the C++; compares each with the interpreter's by `same`.
  void expect_equal(std::vector<Array> buffers) {
    std::vector<Array> other = buffers;
    std::vector<loop::BufferArg> arguments;
    std::vector<void*> pointers;
    for (Array& array : buffers) pointers.push_back(array.writable_bytes().data());
    for (Array& array : other) {
      const std::span<std::byte> bytes = array.writable_bytes();
      arguments.push_back({bytes.data(), static_cast<std::int64_t>(bytes.size())});
    }
    const Status ok = interpreter_.run("f", arguments, {});
    ASSERT_TRUE(ok) << ok.problem().str();
    run_(pointers.data());
    for (std::size_t k = 0; k < buffers.size(); ++k) {
      for (std::int64_t i = 0; i < buffers[k].size(); ++i) {
        const bool nans = std::isnan(buffers[k].at(i)) && std::isnan(other[k].at(i));
        const auto size = static_cast<std::size_t>(size_of(buffers[k].dtype()));
        const auto at = static_cast<std::size_t>(i) * size;
        if (nans || std::memcmp(buffers[k].bytes().data() + at, other[k].bytes().data() + at, size) == 0) continue;
        ADD_FAILURE() << "buffer " << k << " element " << i << ": C++ " << buffers[k].at(i) << ", interpreter "
                      << other[k].at(i);
        break;
      }
    }
  }

 private:
  loop::Interpreter interpreter_;
  std::string problem_;
  void (*run_)(void**) = nullptr;
};

std::string machine_options() { return TUSK_SOURCE_DIR[0] == '/' ? "-march=native" : ""; }

TEST(PrintLoops, StatementsGiveTheInterpretersBits) {
  const loop::Module module = parsed(R"(
    loop k(x: f32* const, w: f32* const, y: f32*, ids: i32* const, h: f16*, bf: bf16*, q: i8*, u: u8*, m: bool*, big: i64*, d: f64*, batch: index) {
      for n = 0 to batch - rem(batch, 2) step 2 {
        s = for i = 0 to 3 step 1 carry (a = f32(0.0)) {
          r = for j = 0 to 3 step 1 carry (c = a) {
            at = n + i - 1
            inside = and(at >= 0, at < batch)
            v = load x[at*3 + j] mask inside else 0
            yield fma(v, load w[i*3 + j], c)
          }
          yield r
        }
        store y[n / 2], max(s, -inf) + exp(s) - (s - -1.5) * (s + 1e-7) / -s
        f0, f1 = for t = 0 to 10 step 1 carry (p = f32(0.0), p1 = s) { yield p1, p + p1 }
        store y[n + 8], f0
        store h[n], f1
        store bf[n], f1
        store u[n], i32(f1) * 77
        store d[n], f64(f1) / 3.0
        store big[n], i64(n) * 1234567890123
        v2 = index(load ids[n])
        t0, t1 = if and(v2 >= 0, v2 < 8) {
          store y[v2 / 3 + rem((n - 5) / 4, 3) + 20], 1.0
          store q[n], i32(s)
          store m[n], s > 0.0
          yield s, f32(load h[n]) + f32(load bf[n])
        } else {
          yield s * 2.0, f32(load q[n]) + f32(load u[n]) + select(load m[n], 1.0, 0.0)
        }
        store y[n + 40], t0 - t1 mask t1 > 0.0
      }
      for e = 0 to index(load ids[0]) step 1 { store y[e + 50], f32(e) - 0.5 }
    }
    loop v(x: f32* const, y: f32*, h: f16*, m: bool*) {
      for n = 0 to 48 step 16 {
        a = load f32x16 x[n]
        b = load f32x16 x[n + 1] mask first(13, splat 16 true, splat 16 false) else 2.0
        lower = a < b
        c = load f32x16 x[n] mask lower else -1.0
        store y[n + 100], select(lower, a * b, tanh(c)) + f32(ramp 16)
        store y[n + 150], a mask first(5, splat 16 true, splat 16 false)
        store y[n + 200], b mask and(lower, c > splat 16 0.0)
        store y[n + 250], first(n / 16 * 7, a, b)
        store h[n + 16], a
        store m[n + 16], lower
        store y[n / 16 + 300], tree add(a) + tree max(load f32x16 h[n + 16])
        store y[n / 16 + 310], select(tree and(lower), 1.0, 0.0) mask tree or(load boolx16 m[n + 16])
      }
    }
    loop f(x: f32* const, w: f32* const, y: f32*, ids: i32* const, h: f16*, bf: bf16*, q: i8*, u: u8*, m: bool*, big: i64*, d: f64*) {
      let part: f32* = y + 3
      call k(x, w, part, ids, h, bf, q, u, m, big, d, 7)
      call v(x, y, h, m)
    })");
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  const auto floats = [&](std::int64_t n) {
    Array out(DType::f32, {n});
    for (float& f : out.as_writable<float>()) f = normal(random);
    return out;
  };
  Array ids(DType::i32, {8});
  const std::int32_t values[] = {5, -1, 7, 2, 8, 0, 3, 1};
  std::copy(std::begin(values), std::end(values), ids.as_writable<std::int32_t>().begin());
  const std::vector<Array> buffers = {floats(64),
                                      floats(9),
                                      Array(DType::f32, {400}),
                                      ids,
                                      Array(DType::f16, {64}),
                                      Array(DType::bf16, {64}),
                                      Array(DType::i8, {16}),
                                      Array(DType::u8, {16}),
                                      Array(DType::boolean, {64}),
                                      Array(DType::i64, {16}),
                                      Array(DType::f64, {16})};
  for (const std::string& options : {std::string("-Wshadow"), machine_options(), std::string("-DTUSK_SCALAR -O0")}) {
    for (const bool muladd : {false, true}) {
      Both both(module, "statements", options, muladd);
      ASSERT_EQ(both.problem(), "");
      both.expect_equal(buffers);
    }
  }
}

// All rows on all types that they accept, in one function that stores into slices of an arena.
class RowModule {
 public:
  RowModule() {
    for (const DType type : kTypes) {
      for (const char* operand : {"a", "b", "c", "d"})
        entry_.buffers.push_back({operand_name(operand, type), type, true, 0, {}});
    }
    entry_.name = "f";
    entry_.buffers.push_back({"arena", DType::u8, false, 64, {}});
    for (const Row& row : rows()) {
      for (const DType type : kTypes) add(row, type);
    }
    module_.funcs.push_back(std::move(entry_));
  }

  static constexpr std::int64_t kCount = 256;
  static constexpr DType kTypes[] = {DType::f32, DType::f64, DType::i32, DType::u32, DType::i64, DType::boolean};
  const loop::Module& module() const { return module_; }

  // Bytes of the arena: slices of each row's results, as the type in which they lie there.
  struct Slice {
    std::string what;
    DType type;
    std::int64_t offset;
  };
  std::int64_t bytes() const { return bytes_; }
  const std::vector<Slice>& slices() const { return slices_; }

 private:
  static std::string operand_name(const char* operand, DType type) {
    return fmt::format("{}_{}", operand, name_of(type));
  }

  void add(const Row& row, DType type) {
    std::vector<DType> operands(static_cast<std::size_t>(row.arity), type);
    if (row.typing == Typing::select) operands[0] = DType::boolean;
    const std::optional<DType> result = row_type(row, operands);
    if (!result || *result == DType::index) return;
    if (row.basic == Basic::none && loop::row_body(row, type) == nullptr) return;
    for (const int lanes : {1, 4, 8, 16}) {
      const auto fits = [](DType t) { return size_of(t) == 4 || t == DType::boolean; };
      if (lanes > 1 && (!fits(type) || !fits(*result))) continue;
      loop::Func func;
      func.name = fmt::format("{}_{}_{}", row.name, name_of(type), lanes);
      std::vector<loop::ValueRef> values;
      loop::Stmt call;
      call.kind = loop::Stmt::Kind::call;
      call.name = func.name;
      const loop::ValueRef n = loop::name("n", {DType::index, 1});
      for (std::size_t i = 0; i < operands.size(); ++i) {
        const char* const letters[] = {"a", "b", "c", "d"};
        func.buffers.push_back({letters[i], operands[i], true, 0, {}});
        values.push_back(loop::load(letters[i], {operands[i], lanes}, n));
        call.arguments.push_back(loop::name(operand_name(letters[i], operands[i]), {operands[i], 1}));
      }
      func.buffers.push_back({"out", *result, false, 0, {}});
      loop::Stmt store;
      store.kind = loop::Stmt::Kind::store;
      store.base = "out";
      store.address = n;
      store.value = loop::apply(row, std::move(values));
      loop::Stmt loop;
      loop.kind = loop::Stmt::Kind::loop;
      loop.name = "n";
      loop.low = loop::index_literal(0);
      loop.high = loop::index_literal(kCount);
      loop.step = lanes;
      loop.body = {store};
      func.body = {loop};
      loop::Stmt let;
      let.kind = loop::Stmt::Kind::buffer;
      let.name = "out_" + func.name;
      let.type = {*result, 1};
      let.base = "arena";
      let.address = loop::index_literal(bytes_);
      call.arguments.push_back(loop::name(let.name, {*result, 1}));
      entry_.body.push_back(let);
      entry_.body.push_back(call);
      slices_.push_back({func.name, *result, bytes_});
      bytes_ += (kCount * size_of(*result) + 63) / 64 * 64;
      module_.funcs.push_back(std::move(func));
    }
  }

  loop::Module module_;
  loop::Func entry_;
  std::int64_t bytes_ = 0;
  std::vector<Slice> slices_;
};

Array row_operands(DType type, std::mt19937& random) {
  Array out(type, {RowModule::kCount});
  const double special[] = {
      0.0,  -0.0,     1,         -1,           0.5,           -0.5,         1.5,    2.5,     3,        7,         -7,
      31,   32,       33,        63,           100.7,         -100.7,       1e-40,  1e-45,   1e30,     -1e30,     88.8,
      -104, 16777216, 8388607.5, 2147483648.0, -2147483648.0, 4294967295.0, 9.2e18, -9.3e18, INFINITY, -INFINITY, NAN};
  std::uniform_real_distribution<double> small(-4, 4);
  for (std::int64_t i = 0; i < RowModule::kCount; ++i) {
    switch (random() % 3) {
      case 0:
        out.set(i, special[random() % std::size(special)]);
        break;
      case 1:
        out.set(i, small(random));
        break;
      default: {
        const auto size = static_cast<std::size_t>(size_of(type));
        for (std::size_t k = 0; k < size && type != DType::boolean; ++k) {
          out.writable_bytes()[static_cast<std::size_t>(i) * size + k] = static_cast<std::byte>(random());
        }
      }
    }
  }
  return out;
}

TEST(PrintLoops, EveryRowGivesTheInterpretersBits) {
  const RowModule rows;
  const Status ok = loop::verify(rows.module());
  ASSERT_TRUE(ok) << ok.problem().str();
  std::mt19937 random(3);
  std::vector<Array> buffers;
  for (const DType type : RowModule::kTypes) {
    for (int i = 0; i < 4; ++i) buffers.push_back(row_operands(type, random));
  }
  std::vector<loop::BufferArg> arguments;
  std::vector<void*> pointers;
  Array wanted(DType::u8, {rows.bytes()});
  Array found(DType::u8, {rows.bytes()});
  for (Array& array : buffers) {
    const std::span<std::byte> bytes = array.writable_bytes();
    arguments.push_back({bytes.data(), static_cast<std::int64_t>(bytes.size())});
    pointers.push_back(bytes.data());
  }
  arguments.push_back({wanted.writable_bytes().data(), rows.bytes()});
  pointers.push_back(found.writable_bytes().data());
  loop::Interpreter interpreter(rows.module());
  const Status ran = interpreter.run("f", arguments, {});
  ASSERT_TRUE(ran) << ran.problem().str();

  const std::filesystem::path folder = work_folder("rows");
  std::string source = "#include \"tusk_runtime.hpp\"\nnamespace {\n" + printed(rows.module(), "f");
  std::string list;
  int number = 0;
  for (const loop::Buffer& buffer : rows.module().func("f")->buffers) {
    list +=
        fmt::format("{}static_cast<{}*>(b[{}])", list.empty() ? "" : ", ", cpp::storage_name(buffer.type), number++);
  }
  source += fmt::format("}}\nextern \"C\" void run(void** b) {{ run_f({}); }}\n", list);
  write(folder / "f.cpp", source);
  const std::string file = (folder / "f").string();
  ASSERT_EQ(
      run_command(fmt::format("{} -std=c++17 -O1 -ffp-contract=off {} {} -shared -fPIC -I{}/runtime {}.cpp -o {}.so",
                              TUSK_CXX, kWarnings, machine_options(), TUSK_SOURCE_DIR, file, file)),
      "");
  void* library = dlopen((file + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  reinterpret_cast<void (*)(void**)>(dlsym(library, "run"))(pointers.data());
  for (const RowModule::Slice& slice : rows.slices()) {
    const auto take = [&](const Array& from) {
      const auto bytes = static_cast<std::size_t>(RowModule::kCount * size_of(slice.type));
      return Array::of_bytes(slice.type, {RowModule::kCount},
                             from.bytes().subspan(static_cast<std::size_t>(slice.offset), bytes));
    };
    const Array a = take(found);
    const Array b = take(wanted);
    for (std::int64_t i = 0; i < RowModule::kCount; ++i) {
      if (std::isnan(a.at(i)) && std::isnan(b.at(i))) continue;
      const auto size = static_cast<std::size_t>(size_of(slice.type));
      const std::size_t at = static_cast<std::size_t>(i) * size;
      if (std::memcmp(a.bytes().data() + at, b.bytes().data() + at, size) == 0) continue;
      ADD_FAILURE() << slice.what << " element " << i << ": C++ " << a.at(i) << ", interpreter " << b.at(i);
      break;
    }
  }
}

}  // namespace
}  // namespace tusk
