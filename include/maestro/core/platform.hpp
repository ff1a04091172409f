#pragma once

/// @file
/// What the library asks of a compiler, in one place: C++20, the host/device mark, and the refusal of -ffast-math.
/// Neutral: g++, clang++ and nvcc read this file.

#if __cplusplus < 202002L
#error "maestro is C++20: build with -std=c++20"
#endif
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "maestro marks missing rewards with NaN and tests for it: build without -ffast-math and -ffinite-math-only"
#endif

/// MAESTRO_HD marks a formula for one element that host loops and kernels share.
#if defined(__CUDACC__)
#define MAESTRO_HD __host__ __device__
#else
#define MAESTRO_HD
#endif
