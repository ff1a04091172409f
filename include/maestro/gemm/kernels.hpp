#pragma once

/// @file
/// The innermost loops of the native matrix product, one set per instruction set. A tile of C stays in registers and is
/// summed over a stretch of k in order. Every element of C is one chain of fused multiply-adds, in any tile, so the
/// result of a row depends neither on its neighbors nor on the number of threads.

#include <array>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "maestro/core/bfloat16.hpp"
#include "maestro/core/isa.hpp"
#include "maestro/core/platform.hpp"

// gcc 12 warns of its own AVX-512 intrinsics (gcc bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#if MAESTRO_X86
#include <immintrin.h>
#endif

namespace maestro::detail {

/// The number of columns of a panel of B, which are 64 bytes: one cache line.
template <class T>
inline constexpr std::size_t panel_cols = 64 / sizeof(T);

/// The stretch of k that one pass of a kernel sums in registers. Twelve rows of A of this length fill half of the L1
/// cache.
template <class T>
inline constexpr std::size_t kernel_depth = 1536 / sizeof(T);

/// The largest number of rows of a tile, over all instruction sets.
inline constexpr std::size_t max_tile_rows = 12;
/// The largest number of panels of a tile.
inline constexpr std::size_t max_tile_panels = 4;

/// ARows is a block of A for a kernel: row i, column p is at a[i * row_stride + p * col_stride]. The strides are
/// constants. The row stride is an odd number of cache lines, so that the rows do not compete for the same sets of the
/// L1 cache.
template <class T>
struct ARows {
  static constexpr std::size_t row_stride = kernel_depth<T> + panel_cols<T>;
  static constexpr std::size_t col_stride = 1;
};
/// AColumns is the block of an A that is stored transposed.
template <class T>
struct AColumns {
  static constexpr std::size_t row_stride = 1;
  static constexpr std::size_t col_stride = max_tile_rows;
};
/// The number of elements that a block of either kind needs.
template <class T>
inline constexpr std::size_t a_block_size = max_tile_rows* ARows<T>::row_stride;

/// TileStore says whether a kernel overwrites the tile of C or adds to it.
enum class TileStore : unsigned char { overwrite, accumulate };

/// TileArguments holds the arguments of one call of a kernel. S is the type in which B is stored: T, or a type that is
/// converted to T while it is loaded.
template <class T, class S = T>
struct TileArguments {
  std::size_t depth;         ///< k of this pass, at most kernel_depth<T>
  const T* a;                ///< block of A
  const S* b;                ///< B: column j of panel p in line k at b[p * panel_stride + k * line_stride + j]
  std::size_t line_stride;   ///< panel_cols if B is packed, its row stride if it is not
  std::size_t panel_stride;  ///< elements from one panel to the next
  T* c;
  std::size_t c_stride;
  T alpha;
  TileStore store;
};

// Loops over the tile's rows and vectors must vanish before the compiler decides what lives in registers.
#if defined(__clang__)
#define MAESTRO_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define MAESTRO_UNROLL _Pragma("GCC unroll 16")
#else
#define MAESTRO_UNROLL
#endif

// One body for all instruction sets: a function's target is an attribute, which no template parameter can carry. gcc
// refuses to inline instructions of a target into a function without it, hence not even a shared helper.
// Vector: value (the register), lanes, load (from each S), store, broadcast, zero, add, multiply, multiply_add.
#define MAESTRO_TILE_KERNEL(name, target, VectorTemplate)                                             \
  template <class T, class S, std::size_t rows, std::size_t panels, class ALayout>                    \
  target void name(const TileArguments<T, S>& tile) {                                                 \
    using V = VectorTemplate<T>;                                                                      \
    constexpr std::size_t parts = panel_cols<T> / V::lanes;                                           \
    constexpr std::size_t vectors = panels * parts;                                                   \
    typename V::value sum[rows][vectors];                                                             \
    MAESTRO_UNROLL                                                                                    \
    for (std::size_t i = 0; i < rows; ++i) {                                                          \
      MAESTRO_UNROLL                                                                                  \
      for (std::size_t v = 0; v < vectors; ++v) sum[i][v] = V::zero();                                \
    }                                                                                                 \
    const T* a = tile.a;                                                                              \
    const S* b = tile.b;                                                                              \
    const std::size_t panel_stride = tile.panel_stride;                                               \
    const std::size_t line_stride = tile.line_stride;                                                 \
    for (std::size_t p = 0; p < tile.depth; ++p) {                                                    \
      typename V::value line[vectors];                                                                \
      MAESTRO_UNROLL                                                                                  \
      for (std::size_t v = 0; v < vectors; ++v) {                                                     \
        line[v] = V::load(b + v / parts * panel_stride + v % parts * V::lanes);                       \
      }                                                                                               \
      MAESTRO_UNROLL                                                                                  \
      for (std::size_t i = 0; i < rows; ++i) {                                                        \
        const typename V::value x = V::broadcast(a + i * ALayout::row_stride);                        \
        MAESTRO_UNROLL                                                                                \
        for (std::size_t v = 0; v < vectors; ++v) sum[i][v] = V::multiply_add(x, line[v], sum[i][v]); \
      }                                                                                               \
      a += ALayout::col_stride;                                                                       \
      b += line_stride;                                                                               \
    }                                                                                                 \
    const typename V::value alpha = V::broadcast(&tile.alpha);                                        \
    MAESTRO_UNROLL                                                                                    \
    for (std::size_t i = 0; i < rows; ++i) {                                                          \
      T* const to = tile.c + i * tile.c_stride;                                                       \
      MAESTRO_UNROLL                                                                                  \
      for (std::size_t v = 0; v < vectors; ++v) {                                                     \
        const typename V::value scaled = V::multiply(alpha, sum[i][v]);                               \
        T* const at = to + v * V::lanes;                                                              \
        V::store(at, tile.store == TileStore::accumulate ? V::add(V::load(at), scaled) : scaled);     \
      }                                                                                               \
    }                                                                                                 \
  }

/// PortableVector works with every compiler: 16 bytes, with a multiplication and an addition instead of a fused
/// operation.
template <class T>
struct PortableVector {
  typedef T value __attribute__((vector_size(16)));
  static constexpr std::size_t lanes = 16 / sizeof(T);
  static MAESTRO_INLINE value zero() { return value{}; }
  static MAESTRO_INLINE value load(const T* from) {
    value x;
    std::memcpy(&x, from, sizeof(x));
    return x;
  }
  static MAESTRO_INLINE value load(const Bfloat16* from) {
    value x;
    for (std::size_t i = 0; i < lanes; ++i) x[i] = static_cast<T>(from[i]);
    return x;
  }
  static MAESTRO_INLINE value broadcast(const T* from) { return value{} + *from; }
  static MAESTRO_INLINE void store(T* to, value x) { std::memcpy(to, &x, sizeof(x)); }
  static MAESTRO_INLINE value add(value x, value y) { return x + y; }
  static MAESTRO_INLINE value multiply(value x, value y) { return x * y; }
  static MAESTRO_INLINE value multiply_add(value x, value y, value z) { return x * y + z; }
};

MAESTRO_TILE_KERNEL(tile_portable, , PortableVector)

#if MAESTRO_X86

template <class T>
struct Avx2Vector;
template <>
struct Avx2Vector<float> {
  using value = __m256;
  static constexpr std::size_t lanes = 8;
  MAESTRO_AVX2 static MAESTRO_INLINE value zero() { return _mm256_setzero_ps(); }
  MAESTRO_AVX2 static MAESTRO_INLINE value load(const float* from) { return _mm256_loadu_ps(from); }
  MAESTRO_AVX2 static MAESTRO_INLINE value load(const Bfloat16* from) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }
  MAESTRO_AVX2 static MAESTRO_INLINE value broadcast(const float* from) { return _mm256_broadcast_ss(from); }
  MAESTRO_AVX2 static MAESTRO_INLINE void store(float* to, value x) { _mm256_storeu_ps(to, x); }
  MAESTRO_AVX2 static MAESTRO_INLINE value add(value x, value y) { return _mm256_add_ps(x, y); }
  MAESTRO_AVX2 static MAESTRO_INLINE value multiply(value x, value y) { return _mm256_mul_ps(x, y); }
  MAESTRO_AVX2 static MAESTRO_INLINE value multiply_add(value x, value y, value z) { return _mm256_fmadd_ps(x, y, z); }
};
template <>
struct Avx2Vector<double> {
  using value = __m256d;
  static constexpr std::size_t lanes = 4;
  MAESTRO_AVX2 static MAESTRO_INLINE value zero() { return _mm256_setzero_pd(); }
  MAESTRO_AVX2 static MAESTRO_INLINE value load(const double* from) { return _mm256_loadu_pd(from); }
  MAESTRO_AVX2 static MAESTRO_INLINE value broadcast(const double* from) { return _mm256_broadcast_sd(from); }
  MAESTRO_AVX2 static MAESTRO_INLINE void store(double* to, value x) { _mm256_storeu_pd(to, x); }
  MAESTRO_AVX2 static MAESTRO_INLINE value add(value x, value y) { return _mm256_add_pd(x, y); }
  MAESTRO_AVX2 static MAESTRO_INLINE value multiply(value x, value y) { return _mm256_mul_pd(x, y); }
  MAESTRO_AVX2 static MAESTRO_INLINE value multiply_add(value x, value y, value z) { return _mm256_fmadd_pd(x, y, z); }
};

template <class T>
struct Avx512Vector;
template <>
struct Avx512Vector<float> {
  using value = __m512;
  static constexpr std::size_t lanes = 16;
  MAESTRO_AVX512 static MAESTRO_INLINE value zero() { return _mm512_setzero_ps(); }
  MAESTRO_AVX512 static MAESTRO_INLINE value load(const float* from) { return _mm512_loadu_ps(from); }
  MAESTRO_AVX512 static MAESTRO_INLINE value load(const Bfloat16* from) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  MAESTRO_AVX512 static MAESTRO_INLINE value broadcast(const float* from) { return _mm512_set1_ps(*from); }
  MAESTRO_AVX512 static MAESTRO_INLINE void store(float* to, value x) { _mm512_storeu_ps(to, x); }
  MAESTRO_AVX512 static MAESTRO_INLINE value add(value x, value y) { return _mm512_add_ps(x, y); }
  MAESTRO_AVX512 static MAESTRO_INLINE value multiply(value x, value y) { return _mm512_mul_ps(x, y); }
  MAESTRO_AVX512 static MAESTRO_INLINE value multiply_add(value x, value y, value z) {
    return _mm512_fmadd_ps(x, y, z);
  }
};
template <>
struct Avx512Vector<double> {
  using value = __m512d;
  static constexpr std::size_t lanes = 8;
  MAESTRO_AVX512 static MAESTRO_INLINE value zero() { return _mm512_setzero_pd(); }
  MAESTRO_AVX512 static MAESTRO_INLINE value load(const double* from) { return _mm512_loadu_pd(from); }
  MAESTRO_AVX512 static MAESTRO_INLINE value broadcast(const double* from) { return _mm512_set1_pd(*from); }
  MAESTRO_AVX512 static MAESTRO_INLINE void store(double* to, value x) { _mm512_storeu_pd(to, x); }
  MAESTRO_AVX512 static MAESTRO_INLINE value add(value x, value y) { return _mm512_add_pd(x, y); }
  MAESTRO_AVX512 static MAESTRO_INLINE value multiply(value x, value y) { return _mm512_mul_pd(x, y); }
  MAESTRO_AVX512 static MAESTRO_INLINE value multiply_add(value x, value y, value z) {
    return _mm512_fmadd_pd(x, y, z);
  }
};

MAESTRO_TILE_KERNEL(tile_avx2, MAESTRO_AVX2, Avx2Vector)
MAESTRO_TILE_KERNEL(tile_avx512, MAESTRO_AVX512, Avx512Vector)

#endif  // MAESTRO_X86

#undef MAESTRO_TILE_KERNEL

/// KernelSet holds the kernels of one instruction set, one scalar type and one stored type of B.
template <class T, class S = T>
struct KernelSet {
  using Kernel = void (*)(const TileArguments<T, S>&);

  std::size_t rows = 0;                                                              ///< rows of a full tile
  std::array<std::size_t, max_tile_rows + 1> panels{};                               ///< most panels by rows
  std::array<std::array<Kernel, max_tile_panels + 1>, max_tile_rows + 1> by_rows{};  ///< [rows][panels] for ARows
  std::array<Kernel, max_tile_panels + 1> columns{};  ///< [panels], full tiles of AColumns; only for S = T
};

// Gives the widest tiles that the registers hold: 32 of 64 bytes, 16 of 32 bytes, 16 of 16 bytes.
constexpr std::size_t tile_panels(Isa isa, std::size_t rows) {
  if (isa == Isa::avx512) return rows <= 2 ? 4 : 2;
  if (isa == Isa::avx2) return rows == 1 ? 4 : rows == 2 ? 2 : 1;
  return 1;
}
constexpr std::size_t tile_rows(Isa isa) { return isa == Isa::avx512 ? 12 : isa == Isa::avx2 ? 6 : 2; }

template <class T, class S, Isa isa, std::size_t rows, std::size_t panels, class ALayout>
constexpr typename KernelSet<T, S>::Kernel tile_kernel() {
#if MAESTRO_X86
  if constexpr (isa == Isa::avx512) return &tile_avx512<T, S, rows, panels, ALayout>;
  if constexpr (isa == Isa::avx2) return &tile_avx2<T, S, rows, panels, ALayout>;
#endif
  return &tile_portable<T, S, rows, panels, ALayout>;
}

template <class T, class S, Isa isa, std::size_t rows, std::size_t... panel>
constexpr void fill_row(KernelSet<T, S>& set, std::index_sequence<panel...>) {
  set.panels[rows] = sizeof...(panel);
  ((set.by_rows[rows][panel + 1] = tile_kernel<T, S, isa, rows, panel + 1, ARows<T>>()), ...);
  if constexpr (std::is_same_v<T, S> && rows == tile_rows(isa)) {
    ((set.columns[panel + 1] = tile_kernel<T, S, isa, rows, panel + 1, AColumns<T>>()), ...);
  }
}

template <class T, class S, Isa isa, std::size_t... row>
constexpr KernelSet<T, S> make_kernels(std::index_sequence<row...>) {
  KernelSet<T, S> set;
  set.rows = sizeof...(row);
  (fill_row<T, S, isa, row + 1>(set, std::make_index_sequence<tile_panels(isa, row + 1)>{}), ...);
  return set;
}

template <class T, class S, Isa isa>
inline constexpr KernelSet<T, S> kernel_set = make_kernels<T, S, isa>(std::make_index_sequence<tile_rows(isa)>{});

/// Gives the kernels for an instruction set, which the processor must have.
template <class T, class S = T>
const KernelSet<T, S>& kernels_of(Isa isa) {
#if MAESTRO_X86
  if (isa == Isa::avx512) return kernel_set<T, S, Isa::avx512>;
  if (isa == Isa::avx2) return kernel_set<T, S, Isa::avx2>;
#endif
  return kernel_set<T, S, Isa::portable>;
}

}  // namespace maestro::detail

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
