#pragma once

/// @file
/// The vector instructions of the processor at hand, found at run time. The kernels are chosen by them, whatever flags
/// the program was compiled with. Neutral.

#include <cstdint>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define MAESTRO_X86 1
#define MAESTRO_AVX2 __attribute__((target("avx2,fma")))
#define MAESTRO_AVX512 __attribute__((target("avx512f")))
#else
#define MAESTRO_X86 0
#endif
#if defined(__GNUC__)
#define MAESTRO_INLINE inline __attribute__((always_inline))
#else
#define MAESTRO_INLINE inline
#endif

namespace maestro {

/// Isa lists the instruction sets that kernels are written for. Each includes those before it.
enum class Isa : std::uint8_t {
  portable,  ///< what the compiler makes of plain loops
  avx2,      ///< AVX2 and FMA
  avx512,    ///< AVX-512F
};

/// Gives the best set that this processor and operating system support. The processor is asked once.
inline Isa best_isa() {
#if MAESTRO_X86
  static const Isa isa = [] {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::portable;
    return __builtin_cpu_supports("avx512f") ? Isa::avx512 : Isa::avx2;
  }();
  return isa;
#else
  return Isa::portable;
#endif
}

}  // namespace maestro
