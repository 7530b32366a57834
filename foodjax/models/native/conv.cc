// Convolutions with stride 1 on CPUs with AVX-512: forward, and both gradients. Custom calls of XLA.
//
// Numbers are handled in words of 32 bits. A word of float32 holds one number. A word of bfloat16 holds two; one
// instruction multiplies them by the two of another word and adds both products to a float32. The two are neighbouring
// channels where channels are summed (forward, gradient of the input), and neighbouring pixels of a row where pixels are
// summed (gradient of the kernel). Maps are (B, H, W, C), kernels (h, w, C, F); F is a multiple of 32.
//
// The order of the sums depends on the shapes alone: the bits are the same for any number of threads.

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

using Word = uint32_t;
constexpr int64_t kLanes = 16;  // words of a register
template <int N>
using Constant = std::integral_constant<int, N>;

struct Float32 {
  using Number = float;
  static constexpr int64_t kPerWord = 1;
  static __m512 Add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
  }
};

#ifdef __AVX512BF16__
struct BFloat16 {
  using Number = uint16_t;
  static constexpr int64_t kPerWord = 2;
  static __m512 Add(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};

void Store(uint16_t* to, __m512 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}
#endif

void Store(float* to, __m512 x) { _mm512_storeu_ps(to, x); }

struct Shape {
  int64_t batch, height, width, channels;

  explicit Shape(ffi::Span<const int64_t> sides)
      : batch(sides[0]), height(sides[1]), width(sides[2]), channels(sides[3]) {}
};

// Runs task(0) ... task(count - 1) on XLA's threads. The caller takes part, and waits only for tasks that have begun:
// a pool that is busy with other things cannot block it.
template <typename Task>
void ParallelFor(ffi::ThreadPool& pool, int64_t count, const Task& task) {
  struct State {
    std::atomic<int64_t> next{0};
    int64_t done = 0;
    std::mutex mutex;
    std::condition_variable changed;
  };
  auto state = std::make_shared<State>();
  auto work = [state, count, &task] {
    int64_t mine = 0;
    for (int64_t i; (i = state->next.fetch_add(1)) < count; ++mine) task(i);
    if (mine == 0) return;
    std::lock_guard<std::mutex> lock(state->mutex);
    state->done += mine;
    state->changed.notify_all();
  };
  for (int64_t i = 1; i < std::min(pool.num_threads(), count); ++i) pool.Schedule([work] { work(); });
  work();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->changed.wait(lock, [&] { return state->done == count; });
}

// Returns memory that the thread keeps between calls, from the start of a cache line.
Word* Scratch(int64_t words) {
  thread_local std::vector<Word> memory;
  if (static_cast<int64_t>(memory.size()) < words + kLanes) memory.resize(words + kLanes);
  return reinterpret_cast<Word*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
}

// The kernel as words [block of features][h][w][C][features of the block]; `turned` by 180 degrees and with C and F
// exchanged, as the gradient of the input needs it.
template <typename T>
std::vector<Word> Pack(const typename T::Number* kernel, int64_t taps, int64_t channels, int64_t features, bool turned,
                       int64_t block) {
  std::vector<Word> packed(taps * (channels / T::kPerWord) * features);
  auto* to = reinterpret_cast<typename T::Number*>(packed.data());
  for (int64_t first = 0; first < features; first += block)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t c = 0; c < channels; c += T::kPerWord)
        for (int64_t f = first; f < first + block; ++f)
          for (int64_t k = c; k < c + T::kPerWord; ++k)
            *to++ = turned ? kernel[((taps - 1 - tap) * features + f) * channels + k]
                           : kernel[(tap * channels + k) * features + f];
  return packed;
}

// What is done to the sums: a bias of each feature, or nullptr, and then max(., 0).
struct Ending {
  const float* bias;
  bool relu;
};

// Computes P neighbouring pixels of N registers of features. `depth` words of x lie side by side for each row of the
// kernel: those of its w pixels.
template <typename T, int P, int N, typename Number>
void Pixels(const Word* x, int64_t row, int64_t pixel, const Word* kernel, int64_t rows, int64_t depth, Ending ending,
            Number* y, int64_t features) {
  __m512 sum[P][N];
  for (int p = 0; p < P; ++p)
    for (int n = 0; n < N; ++n)
      sum[p][n] = ending.bias ? _mm512_loadu_ps(ending.bias + n * kLanes) : _mm512_setzero_ps();
  for (int64_t i = 0; i < rows; ++i, x += row)
    for (int64_t d = 0; d < depth; ++d, kernel += N * kLanes) {
      __m512i weights[N];
      for (int n = 0; n < N; ++n) weights[n] = _mm512_loadu_si512(kernel + n * kLanes);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const __m512i value = _mm512_set1_epi32(x[p * pixel + d]);
        for (int n = 0; n < N; ++n) sum[p][n] = T::Add(sum[p][n], value, weights[n]);
      }
    }
  const __m512 least = _mm512_set1_ps(ending.relu ? 0 : -INFINITY);
  for (int p = 0; p < P; ++p)
    for (int n = 0; n < N; ++n) Store(y + p * features + n * kLanes, _mm512_max_ps(least, sum[p][n]));
}

// Computes `count` pixels of a row, P at a time; the rest with fewer.
template <typename T, int P, int N, typename Number>
void Row(int64_t count, const Word* x, int64_t row, int64_t pixel, const Word* kernel, int64_t rows, int64_t depth,
         Ending ending, Number* y, int64_t features) {
  for (; count >= P; count -= P, x += P * pixel, y += P * features)
    Pixels<T, P, N>(x, row, pixel, kernel, rows, depth, ending, y, features);
  if constexpr (P > 1) {
    if (count > 0) Row<T, P - 1, N>(count, x, row, pixel, kernel, rows, depth, ending, y, features);
  }
}

// Copies row r of a map, from column -left on, `width` pixels long, with zeros beyond the map.
template <typename Number>
void PaddedRow(const Number* image, const Shape& in, int64_t r, int64_t left, int64_t width, Number* to) {
  const int64_t c = in.channels;
  if (r < 0 || r >= in.height) {
    std::fill(to, to + width * c, Number(0));
    return;
  }
  const int64_t from = std::max<int64_t>(left, 0), until = std::min(width, in.width + left);  // columns of the copy
  std::fill(to, to + from * c, Number(0));
  std::memcpy(to + from * c, image + (r * in.width + from - left) * c, (until - from) * c * sizeof(Number));
  std::fill(to + until * c, to + width * c, Number(0));
}

// Takes the maximum of windows of `window` rows of float32, and its place in the window, for N registers of features.
template <int N, typename Number>
void Maxima(const float* rows, int64_t row, int64_t window, int64_t count, Ending ending, Number* y, uint8_t* places,
            int64_t features) {
  const __m512 least = _mm512_set1_ps(ending.relu ? 0 : -INFINITY);
  for (int64_t s = 0; s < count; ++s, y += features, places += features)
    for (int n = 0; n < N; ++n) {
      __m512 best = _mm512_loadu_ps(rows + s * window * N * kLanes + n * kLanes);
      __m512i place = _mm512_setzero_si512();
      for (int64_t i = 1; i < window * window; ++i) {
        const float* at = rows + i / window * row + (s * window + i % window) * N * kLanes + n * kLanes;
        const __m512 value = _mm512_loadu_ps(at);
        const __mmask16 above = _mm512_cmp_ps_mask(value, best, _CMP_GT_OQ) |
                                _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);  // a NaN stays one
        best = _mm512_mask_mov_ps(best, above, value);
        place = _mm512_mask_mov_epi32(place, above, _mm512_set1_epi32(static_cast<int>(i)));
      }
      Store(y + n * kLanes, _mm512_max_ps(least, best));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(places + n * kLanes), _mm512_cvtepi32_epi8(place));
    }
}

// y[b, r, s] = sum over i, j of x[b, r + i - top, s + j - left] kernel[i, j]; then the bias, the maximum of each window
// with its place, and max(., 0), as far as they are asked for.
template <typename T>
void Convolve(ffi::ThreadPool& pool, const typename T::Number* x, Shape in, const typename T::Number* kernel, int64_t h,
              int64_t w, bool turned, int64_t top, int64_t left, Ending ending, int64_t window,
              typename T::Number* y, uint8_t* places, Shape out) {
  using Number = typename T::Number;
  const int64_t most = std::max<int64_t>(1, 8 / window);  // rows of a task
  const int64_t pixel = in.channels / T::kPerWord, features = out.channels, block = features % 64 ? 32 : 64;
  const int64_t parts = (out.height + most - 1) / most, pixels = out.width * window, width = pixels + w - 1;
  const std::vector<Word> packed = Pack<T>(kernel, h * w, in.channels, features, turned, block);
  const bool inside = top == 0 && left == 0 && out.height * window + h - 1 <= in.height && width <= in.width;
  ParallelFor(pool, out.batch * parts, [&](int64_t task) {
    const int64_t b = task / parts, first = task % parts * most, rows = std::min(most, out.height - first);
    const Number* image = x + b * in.height * in.width * in.channels;
    const Word* source = reinterpret_cast<const Word*>(image + first * window * in.width * in.channels);
    const int64_t row = (inside ? in.width : width) * pixel, sums = pixels * block, copied = rows * window + h - 1;
    Word* copy = Scratch((inside ? 0 : copied * row) + (places ? window * sums : 0));
    float* maps = reinterpret_cast<float*>(copy + (inside ? 0 : copied * row));
    if (!inside) {
      for (int64_t i = 0; i < copied; ++i)
        PaddedRow(image, in, first * window + i - top, left, width, reinterpret_cast<Number*>(copy + i * row));
      source = copy;
    }
    for (int64_t f = 0; f < features; f += block)
      for (int64_t r = 0; r < rows; ++r) {
        const Word* weights = packed.data() + f * h * w * pixel;
        const Ending own{ending.bias ? ending.bias + f : nullptr, ending.relu};
        const int64_t at = (b * out.height + first + r) * out.width * features + f;
        auto compute = [&](const Word* from, auto* to, int64_t stride, bool relu) {
          const Ending ends{own.bias, relu};
          if (block == 64) Row<T, 6, 4>(pixels, from, row, pixel, weights, h, w * pixel, ends, to, stride);
          else Row<T, 12, 2>(pixels, from, row, pixel, weights, h, w * pixel, ends, to, stride);
        };
        if (!places) {
          compute(source + r * row, y + at, features, own.relu);
          continue;
        }
        for (int64_t k = 0; k < window; ++k) compute(source + (r * window + k) * row, maps + k * sums, block, false);
        if (block == 64) Maxima<4>(maps, sums, window, out.width, own, y + at, places + at, features);
        else Maxima<2>(maps, sums, window, out.width, own, y + at, places + at, features);
      }
  });
}

// Copies `channels` numbers of each pixel of a row into words, `step` pixels on for each word. A word of bfloat16 also
// has the number of the pixel to the right; the row has one pixel more than is needed for that.
void Words(const float* row, int64_t stride, int64_t channels, int64_t count, int64_t, Word* to) {
  for (int64_t s = 0; s < count; ++s, row += stride, to += channels) std::memcpy(to, row, channels * sizeof(Word));
}
void Words(const uint16_t* row, int64_t stride, int64_t channels, int64_t count, int64_t step, Word* to) {
  for (int64_t s = 0; s < count; ++s, row += step * stride, to += channels)
    for (int64_t c = 0; c < channels; ++c) to[c] = row[c] | static_cast<Word>(row[stride + c]) << 16;
}

// Adds to sums[c][f] the products of C channels of x and N registers of features of the gradient g, over all pixels.
template <typename T, int C, int N>
void Products(const Word* x, int64_t x_row, int64_t x_pixel, const Word* g, int64_t g_row, int64_t g_pixel, int64_t rows,
              int64_t length, float* sums, int64_t features) {
  __m512 sum[C][N];
  for (int c = 0; c < C; ++c)
    for (int n = 0; n < N; ++n) sum[c][n] = _mm512_loadu_ps(sums + c * features + n * kLanes);
  for (int64_t r = 0; r < rows; ++r) {
    const Word *a = x + r * x_row, *b = g + r * g_row;
    for (int64_t s = 0; s < length; ++s, a += x_pixel, b += g_pixel) {
      __m512i gradient[N];
      for (int n = 0; n < N; ++n) gradient[n] = _mm512_loadu_si512(b + n * kLanes);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        const __m512i value = _mm512_set1_epi32(a[c]);
        for (int n = 0; n < N; ++n) sum[c][n] = T::Add(sum[c][n], value, gradient[n]);
      }
    }
  }
  for (int c = 0; c < C; ++c)
    for (int n = 0; n < N; ++n) _mm512_storeu_ps(sums + c * features + n * kLanes, sum[c][n]);
}

// gradient[i, j, c, f] = sum over b, r, s of x[b, r + i - top, s + j - left, c] g[b, r, s, f].
template <typename T>
void KernelGradient(ffi::ThreadPool& pool, const typename T::Number* x, Shape in, const typename T::Number* g, Shape out,
                    int64_t top, int64_t left, int64_t h, int64_t w, float* gradient) {
  using Number = typename T::Number;
  constexpr int64_t kStep = T::kPerWord, kMostChannels = 64, kMostSums = int64_t{1} << 22;
  const int64_t channels = in.channels, features = out.channels, size = h * w * channels * features;
  // A task has a part of the batch, whose sums are added at the end, and a range of channels.
  const int64_t parts = std::min({int64_t{8}, out.batch, std::max<int64_t>(1, kMostSums / size)});
  const int64_t ranges = (channels + kMostChannels - 1) / kMostChannels;
  const int64_t length = (out.width + kStep - 1) / kStep, width = out.width + w;  // words, pixels of x with one more
  const int64_t most_rows = std::clamp<int64_t>(256 / length, 1, out.height);     // at once, so that they stay in cache
  std::vector<float> sums(parts * size);
  ParallelFor(pool, parts * ranges, [&](int64_t task) {
    const int64_t part = task / ranges, c0 = task % ranges * kMostChannels;
    const int64_t own = std::min(kMostChannels, channels - c0), x_row = (width + 1) * own, g_row = length * features;
    Word* xs = Scratch((most_rows + h - 1) * x_row + most_rows * g_row + (width + 2) * std::max(channels, features));
    Word* gs = xs + (most_rows + h - 1) * x_row;
    Number* line = reinterpret_cast<Number*>(gs + most_rows * g_row);
    for (int64_t b = part; b < out.batch; b += parts)
      for (int64_t first = 0; first < out.height; first += most_rows) {
        const int64_t rows = std::min(most_rows, out.height - first);
        for (int64_t i = 0; i < rows + h - 1; ++i) {
          PaddedRow(x + b * in.height * in.width * channels, in, first + i - top, left, width + 1, line);
          Words(line + c0, channels, own, width, 1, xs + i * x_row);
        }
        for (int64_t i = 0; i < rows; ++i) {
          PaddedRow(g + b * out.height * out.width * features, out, first + i, 0, length * kStep + 1, line);
          Words(line, features, features, length, kStep, gs + i * g_row);
        }
        for (int64_t tap = 0; tap < h * w; ++tap) {
          const Word* at = xs + tap / w * x_row + tap % w * own;
          float* to = sums.data() + part * size + (tap * channels + c0) * features;
          for (int64_t f = 0; f < features;) {
            const bool wide = features % 64 == 0;
            for (int64_t c = 0; c < own;) {
              auto add = [&](auto few, auto registers) {
                Products<T, few, registers>(at + c, x_row, own * kStep, gs + f, g_row, features, rows, length,
                                            to + c * features + f, features);
                c += few;
              };
              if (wide && own - c >= 4) add(Constant<4>(), Constant<4>());
              else if (wide) add(Constant<1>(), Constant<4>());
              else if (own - c >= 8) add(Constant<8>(), Constant<2>());
              else add(Constant<1>(), Constant<2>());
            }
            f += wide ? 64 : 32;
          }
        }
      }
  });
  constexpr int64_t kChunk = 1 << 14;
  ParallelFor(pool, (size + kChunk - 1) / kChunk, [&](int64_t chunk) {
    for (int64_t i = chunk * kChunk; i < std::min(size, (chunk + 1) * kChunk); ++i) {
      float sum = sums[i];
      for (int64_t part = 1; part < parts; ++part) sum += sums[part * size + i];
      gradient[i] = sum;
    }
  });
}

template <typename T>
void RunConv(ffi::ThreadPool& pool, ffi::AnyBuffer x, ffi::AnyBuffer kernel, Ending ending, ffi::AnyBuffer y,
             int64_t top, int64_t left, bool turned, int64_t window = 1, uint8_t* places = nullptr) {
  using Number = const typename T::Number*;
  const auto sides = kernel.dimensions();
  Convolve<T>(pool, static_cast<Number>(x.untyped_data()), Shape(x.dimensions()),
              static_cast<Number>(kernel.untyped_data()), sides[0], sides[1], turned, top, left, ending,
              window, static_cast<typename T::Number*>(y.untyped_data()), places, Shape(y.dimensions()));
}

template <typename T>
void RunGradient(ffi::ThreadPool& pool, ffi::AnyBuffer x, ffi::AnyBuffer g, ffi::Buffer<ffi::F32> gradient, int64_t top,
                 int64_t left) {
  using Number = const typename T::Number*;
  const auto sides = gradient.dimensions();
  KernelGradient<T>(pool, static_cast<Number>(x.untyped_data()), Shape(x.dimensions()),
                    static_cast<Number>(g.untyped_data()), Shape(g.dimensions()), top, left, sides[0], sides[1],
                    gradient.typed_data());
}

// Runs run(type) for the type of the numbers.
template <typename Run>
ffi::Error ByType(ffi::DataType type, const Run& run) {
  if (type == ffi::F32) run(Float32());
#ifdef __AVX512BF16__
  else if (type == ffi::BF16) run(BFloat16());
#endif
  else return ffi::Error::InvalidArgument("needs float32, or bfloat16 on a CPU that multiplies it");
  return ffi::Error::Success();
}

// The bias has no numbers where none is added.
Ending EndingOf(ffi::Buffer<ffi::F32> bias, bool relu) {
  return {bias.element_count() ? bias.typed_data() : nullptr, relu};
}

ffi::Error Conv(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer kernel, ffi::Buffer<ffi::F32> bias,
                ffi::Result<ffi::AnyBuffer> y, int64_t top, int64_t left, bool turned, bool relu) {
  return ByType(x.element_type(), [&](auto type) {
    RunConv<decltype(type)>(pool, x, kernel, EndingOf(bias, relu), *y, top, left, turned);
  });
}

ffi::Error PooledConv(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer kernel, ffi::Buffer<ffi::F32> bias,
                      ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::Buffer<ffi::U8>> places, int64_t top, int64_t left,
                      int64_t window, bool relu) {
  return ByType(x.element_type(), [&](auto type) {
    const Ending ending = EndingOf(bias, relu);
    RunConv<decltype(type)>(pool, x, kernel, ending, *y, top, left, false, window, places->typed_data());
  });
}

ffi::Error Gradient(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer g, ffi::Result<ffi::Buffer<ffi::F32>> gradient,
                    int64_t top, int64_t left) {
  return ByType(x.element_type(),
                [&](auto type) { RunGradient<decltype(type)>(pool, x, g, *gradient, top, left); });
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(FoodjaxConv, Conv,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left")
                                  .Attr<bool>("turned")
                                  .Attr<bool>("relu"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(FoodjaxPooledConv, PooledConv,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::AnyBuffer>()
                                  .Ret<ffi::Buffer<ffi::U8>>()
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left")
                                  .Attr<int64_t>("window")
                                  .Attr<bool>("relu"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(FoodjaxConvKernelGradient, Gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Ret<ffi::Buffer<ffi::F32>>()
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left"));
