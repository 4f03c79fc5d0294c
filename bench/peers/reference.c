/* What the contenders of kernels are checked against: operands, and single elements of a convolution and its gradients
   in double. A matrix product is a convolution of one pixel. Sizes as in cells.py; layout NHWC, weights [i,j,c,o],
   depthwise [i,j,c]. */
#include <math.h>
#include <stdint.h>

enum role { forward, input_gradient, weight_gradient };

struct geometry {
  int64_t n, h, w, c, p, q, o, i, j, stride, low, depthwise;
};

static uint64_t next(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* Uniform in -1..1, the same for the same seed. */
void fill(float* data, int64_t count, uint64_t seed) {
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (int64_t k = 0; k < count; ++k) data[k] = (float)((double)(next(&state) >> 11) / 4503599627370496.0 - 1);
}

static double weight(const struct geometry* g, const float* w, int64_t i, int64_t j, int64_t c, int64_t o) {
  return w[g->depthwise ? (i * g->j + j) * g->c + c : ((i * g->j + j) * g->c + c) * g->o + o];
}

/* Image rows and columns are h = stride * p + i - low. Outside there are zeros. */
static double forward_at(const struct geometry* g, const float* x, const float* w, const float* bias, int64_t at) {
  const int64_t o = at % g->o, q = at / g->o % g->q, p = at / g->o / g->q % g->p, n = at / g->o / g->q / g->p;
  double sum = bias ? bias[o] : 0;
  for (int64_t i = 0; i < g->i; ++i) {
    for (int64_t j = 0; j < g->j; ++j) {
      const int64_t row = g->stride * p + i - g->low, column = g->stride * q + j - g->low;
      if (row < 0 || row >= g->h || column < 0 || column >= g->w) continue;
      const float* pixel = x + ((n * g->h + row) * g->w + column) * g->c;
      const int64_t first = g->depthwise ? o : 0, behind = g->depthwise ? o + 1 : g->c;
      for (int64_t c = first; c < behind; ++c) sum += pixel[c] * weight(g, w, i, j, c, o);
    }
  }
  return sum;
}

static double input_gradient_at(const struct geometry* g, const float* dy, const float* w, int64_t at) {
  const int64_t c = at % g->c, column = at / g->c % g->w, row = at / g->c / g->w % g->h, n = at / g->c / g->w / g->h;
  double sum = 0;
  for (int64_t i = 0; i < g->i; ++i) {
    for (int64_t j = 0; j < g->j; ++j) {
      const int64_t p = row + g->low - i, q = column + g->low - j;
      if (p < 0 || q < 0 || p % g->stride || q % g->stride || p / g->stride >= g->p || q / g->stride >= g->q) continue;
      const float* pixel = dy + ((n * g->p + p / g->stride) * g->q + q / g->stride) * g->o;
      const int64_t first = g->depthwise ? c : 0, behind = g->depthwise ? c + 1 : g->o;
      for (int64_t o = first; o < behind; ++o) sum += pixel[o] * weight(g, w, i, j, c, o);
    }
  }
  return sum;
}

static double weight_gradient_at(const struct geometry* g, const float* x, const float* dy, int64_t at) {
  const int64_t width = g->depthwise ? 1 : g->o, c = at / width % g->c, o = g->depthwise ? c : at % width;
  const int64_t j = at / width / g->c % g->j, i = at / width / g->c / g->j;
  double sum = 0;
  for (int64_t n = 0; n < g->n; ++n) {
    for (int64_t p = 0; p < g->p; ++p) {
      for (int64_t q = 0; q < g->q; ++q) {
        const int64_t row = g->stride * p + i - g->low, column = g->stride * q + j - g->low;
        if (row < 0 || row >= g->h || column < 0 || column >= g->w) continue;
        sum += (double)x[((n * g->h + row) * g->w + column) * g->c + c] * dy[((n * g->p + p) * g->q + q) * g->o + o];
      }
    }
  }
  return sum;
}

/* The largest difference of `samples` elements of a result, of the largest true value among them; the first and the
   last are always looked at. Not finite: infinity. */
double difference(int role, const struct geometry* g, const float* a, const float* b, const float* bias,
                  const float* result, int64_t count, int64_t samples) {
  double worst = 0, largest = 0;
  uint64_t state = 1;
  for (int64_t k = 0; k < samples; ++k) {
    const int64_t at = k == 0 ? 0 : k == 1 ? count - 1 : (int64_t)(next(&state) % (uint64_t)count);
    const double truth = role == forward          ? forward_at(g, a, b, bias, at)
                         : role == input_gradient ? input_gradient_at(g, a, b, at)
                                                  : weight_gradient_at(g, a, b, at);
    const double error = fabs(truth - result[at]);
    if (!isfinite(error)) return INFINITY;
    if (error > worst) worst = error;
    if (fabs(truth) > largest) largest = fabs(truth);
  }
  return worst / largest;
}
