// oneDNN as a peer: each case is one primitive with the layouts that it asks for, reordered beforehand, so that only
// the kernel is timed. extern "C": prepare(case) gives a handle or -1, run_case(handle) runs it.
#include <cstdio>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"

namespace {

using namespace dnnl;
using dims = memory::dims;
using tag = memory::format_tag;

engine cpu(engine::kind::cpu, 0);
stream queue(cpu);
std::vector<std::function<void()>> cases;

memory::desc any(const dims& d) { return {d, memory::data_type::f32, tag::any}; }
memory::desc plain(const dims& d, tag t) { return {d, memory::data_type::f32, t}; }
memory filled(const memory::desc& d) {
  memory m(d, cpu);
  auto* p = static_cast<float*>(m.get_data_handle());
  for (std::size_t i = 0; i < d.get_size() / 4; ++i) p[i] = static_cast<float>(i * 7 % 13) / 13 - 0.5F;
  return m;
}

int add(const primitive& p, const std::unordered_map<int, memory>& arguments, const char* implementation) {
  std::fprintf(stderr, "oneDNN: %s\n", implementation);
  cases.emplace_back([p, arguments] {
    p.execute(queue, arguments);
    queue.wait();
  });
  return static_cast<int>(cases.size()) - 1;
}

convolution_forward::primitive_desc forward(const dims& x, const dims& w, const dims& y, memory::dim stride,
                                            const dims& low, const dims& high) {
  return {cpu,
          prop_kind::forward_inference,
          algorithm::convolution_direct,
          any(x),
          any(w),
          any(y),
          dims{stride, stride},
          low,
          high};
}

int conv(const dims& x, const dims& w, const dims& y, memory::dim stride, const dims& low, const dims& high) {
  const auto d = forward(x, w, y, stride, low, high);
  return add(convolution_forward(d),
             {{DNNL_ARG_SRC, filled(d.src_desc())},
              {DNNL_ARG_WEIGHTS, filled(d.weights_desc())},
              {DNNL_ARG_DST, filled(d.dst_desc())}},
             d.impl_info_str());
}

int product(memory::dim m, memory::dim k, memory::dim n, const memory::desc& a, const memory::desc& b) {
  const matmul::primitive_desc d(cpu, a, b, plain({m, n}, tag::ab));
  static_cast<void>(k);
  return add(matmul(d),
             {{DNNL_ARG_SRC, filled(d.src_desc())},
              {DNNL_ARG_WEIGHTS, filled(d.weights_desc())},
              {DNNL_ARG_DST, filled(d.dst_desc())}},
             d.impl_info_str());
}

}  // namespace

extern "C" int prepare(const char* name) {
  const std::string s = name;
  for (const int m : {1, 4, 64}) {
    if (s == "gemm_m" + std::to_string(m)) return product(m, 512, 512, plain({m, 512}, tag::ab), any({512, 512}));
  }
  if (s == "conv_56") return conv({1, 64, 56, 56}, {64, 64, 3, 3}, {1, 64, 56, 56}, 1, {1, 1}, {1, 1});
  if (s == "conv_9") return conv({1, 64, 9, 9}, {64, 64, 3, 3}, {1, 64, 9, 9}, 1, {1, 1}, {1, 1});
  if (s == "first_224") return conv({1, 3, 224, 224}, {32, 3, 3, 3}, {1, 32, 112, 112}, 2, {0, 0}, {1, 1});
  if (s == "depthwise_56") return conv({1, 64, 56, 56}, {64, 1, 1, 3, 3}, {1, 64, 56, 56}, 1, {1, 1}, {1, 1});
  if (s == "depthwise_14") return conv({1, 128, 14, 14}, {128, 1, 1, 3, 3}, {1, 128, 14, 14}, 1, {1, 1}, {1, 1});
  if (s == "dgrad_s2_56") {
    const dims x{1, 64, 56, 56}, w{128, 64, 3, 3}, y{1, 128, 28, 28}, low{0, 0}, high{1, 1};
    const auto f = forward(x, w, y, 2, low, high);
    const convolution_backward_data::primitive_desc d(cpu, algorithm::convolution_direct, any(x), any(w), any(y),
                                                      dims{2, 2}, low, high, f);
    return add(convolution_backward_data(d),
               {{DNNL_ARG_DIFF_DST, filled(d.diff_dst_desc())},
                {DNNL_ARG_WEIGHTS, filled(d.weights_desc())},
                {DNNL_ARG_DIFF_SRC, filled(d.diff_src_desc())}},
               d.impl_info_str());
  }
  if (s == "wgrad_56") {
    const dims x{4, 64, 56, 56}, w{64, 64, 3, 3}, one{1, 1};
    const auto f = forward(x, w, x, 1, one, one);
    const convolution_backward_weights::primitive_desc d(cpu, algorithm::convolution_direct, any(x), any(w), any(x),
                                                         one, one, one, f);
    return add(convolution_backward_weights(d),
               {{DNNL_ARG_DIFF_DST, filled(d.diff_dst_desc())},
                {DNNL_ARG_SRC, filled(d.src_desc())},
                {DNNL_ARG_DIFF_WEIGHTS, filled(d.diff_weights_desc())}},
               d.impl_info_str());
  }
  if (s == "dense_wgrad_64") return product(784, 64, 10, plain({784, 64}, tag::ba), plain({64, 10}, tag::ab));
  return -1;
}

extern "C" void run_case(int handle) {
  if (handle >= 0) cases[static_cast<std::size_t>(handle)]();
}

extern "C" int version() { return DNNL_VERSION_MAJOR * 100 + DNNL_VERSION_MINOR; }
