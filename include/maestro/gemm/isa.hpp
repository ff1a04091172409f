#pragma once

/// @file
/// Which vector instructions the processor at hand has, found at run time: our kernels choose by it, whatever flags the
/// program was compiled with. Neutral.

#include <cstdint>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define MAESTRO_X86 1
#else
#define MAESTRO_X86 0
#endif

namespace maestro {

/// Instruction sets that kernels are written for, each including those before it.
enum class Isa : std::uint8_t {
  portable,  ///< what the compiler makes of plain loops
  avx2,      ///< AVX2 and FMA
  avx512,    ///< AVX-512F
};

/// The best one that this processor and operating system support. Asked once.
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
