#pragma once

/// @file
/// Kernel bodies, and elements for launch_elements(), of a layer y = x W' + b (' transposes) with few outputs, for
/// which the kernels of libraries are not made. The inputs are read once for several outputs and rows at a time. This
/// header compiles without nvcc and without the CUDA toolkit.

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/team.hpp"

namespace maestro::gpu {

/// Four holds four adjacent values, which are loaded at once.
template <class S>
struct alignas(4 * sizeof(S)) Four {
  S value[4];
};

/// Tells whether rows of `inputs` values at `values` can be read by fours.
template <class S>
bool fours_fit(const S* values, std::size_t inputs) {
  return inputs % 4 == 0 && reinterpret_cast<std::uintptr_t>(values) % sizeof(Four<S>) == 0;
}

/// DenseForward computes the layer's outputs: each team those of `rows_per_team` rows for up to `Outputs` outputs. Each
/// member of the team sums a share of the inputs in float, then the members' sums are added. Then one member for each
/// row calls the epilogue, a function epilogue(row, first output, count, values), which stores or uses the outputs.
template <std::size_t Outputs, class S, class Epilogue>
struct DenseForward {
  static_assert(Outputs >= 1 && Outputs <= 64, "maestro: at most 64 outputs at once");
  static constexpr unsigned threads = 256;
  static constexpr std::size_t rows_per_team = Outputs <= 8 ? 4 : (Outputs <= 16 ? 2 : 1);

  const S* x = nullptr;         ///< (rows x inputs)
  const S* weight = nullptr;    ///< (outputs x inputs)
  const float* bias = nullptr;  ///< (outputs)
  std::size_t rows = 0;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  bool by_fours = false;
  Epilogue epilogue;

  std::size_t output_blocks() const { return (outputs + Outputs - 1) / Outputs; }
  std::size_t teams() const { return (rows + rows_per_team - 1) / rows_per_team * output_blocks(); }
  std::size_t shared_bytes() const { return sizeof(float) * rows_per_team * Outputs; }

  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t index) const {
    const std::size_t blocks = (outputs + Outputs - 1) / Outputs;
    const std::size_t first_row = index / blocks * rows_per_team;
    const std::size_t first_output = index % blocks * Outputs;
    const std::size_t row_count = rows - first_row < rows_per_team ? rows - first_row : rows_per_team;
    const std::size_t output_count = outputs - first_output < Outputs ? outputs - first_output : Outputs;
    float own[rows_per_team * Outputs] = {};
    if (by_fours) {
      for (std::size_t j = team.rank() * 4; j < inputs; j += team.size() * 4) {
        add<4>(first_row, row_count, first_output, output_count, j, own);
      }
    } else {
      for (std::size_t j = team.rank(); j < inputs; j += team.size()) {
        add<1>(first_row, row_count, first_output, output_count, j, own);
      }
    }
    auto* sums = reinterpret_cast<float*>(team.shared());
    team.template sum_each<rows_per_team * Outputs>(own, rows_per_team * Outputs, sums);
    for_each(team, row_count, [&](std::size_t r) {
      for (std::size_t o = 0; o < output_count; ++o) sums[r * Outputs + o] += bias[first_output + o];
      epilogue(first_row + r, first_output, output_count, sums + r * Outputs);
    });
  }

 private:
  /// Adds the products of inputs [j, j + Width).
  template <std::size_t Width>
  MAESTRO_HD void add(std::size_t first_row, std::size_t row_count, std::size_t first_output, std::size_t output_count,
                      std::size_t j, float* own) const {
    float in[rows_per_team][Width];
    for (std::size_t r = 0; r < rows_per_team; ++r) load<Width>(x, first_row + r, r < row_count, j, in[r]);
    for (std::size_t o = 0; o < Outputs; ++o) {
      float w[Width];
      load<Width>(weight, first_output + o, o < output_count, j, w);
      for (std::size_t r = 0; r < rows_per_team; ++r) {
        for (std::size_t v = 0; v < Width; ++v) own[r * Outputs + o] += in[r][v] * w[v];
      }
    }
  }
  template <std::size_t Width>
  MAESTRO_HD void load(const S* from, std::size_t row, bool there, std::size_t j, float* to) const {
    if (!there) {
      for (std::size_t v = 0; v < Width; ++v) to[v] = 0.0f;
    } else if constexpr (Width == 4) {
      const Four<S> four = *reinterpret_cast<const Four<S>*>(from + row * inputs + j);
      for (std::size_t v = 0; v < 4; ++v) to[v] = static_cast<float>(four.value[v]);
    } else {
      to[0] = static_cast<float>(from[row * inputs + j]);
    }
  }
};

/// StoreValues is the epilogue that stores values (rows x outputs) as they are.
struct StoreValues {
  float* values = nullptr;
  std::size_t outputs = 0;

  MAESTRO_HD void operator()(std::size_t row, std::size_t first, std::size_t count, const float* from) const {
    for (std::size_t o = 0; o < count; ++o) values[row * outputs + first + o] = from[o];
  }
};

/// StoreTanh is the epilogue that stores activations (rows x outputs) = tanh(values). A value that is not finite is
/// reported as Fault::hidden_not_finite.
template <class S>
struct StoreTanh {
  S* activations = nullptr;
  std::size_t outputs = 0;
  FaultWord* record = nullptr;

  MAESTRO_HD void operator()(std::size_t row, std::size_t first, std::size_t count, const float* from) const {
    for (std::size_t o = 0; o < count; ++o) {
      if (!(from[o] - from[o] == 0.0f)) report_fault(record, Fault::hidden_not_finite, row);
      activations[row * outputs + first + o] = S(std::tanh(from[o]));
    }
  }
};

/// ApplyEpilogue applies an epilogue to values (rows x outputs) that a library computed.
template <class Epilogue>
struct ApplyEpilogue {
  const float* values = nullptr;
  std::size_t rows = 0;
  std::size_t outputs = 0;
  Epilogue epilogue;

  std::size_t count() const { return rows * outputs; }
  MAESTRO_HD void operator()(std::size_t at) const { epilogue(at / outputs, at % outputs, 1, values + at); }
};

/// DenseWeightGradients computes partial (chunks x outputs x (inputs + 1)): y' x over each chunk of rows, and in the
/// last column the sums of y over the chunk. y (rows x outputs) is the gradient with respect to the layer's outputs.
/// Each member computes one column; float sums run in the order of the rows.
template <class Y, class S>
struct DenseWeightGradients {
  static constexpr unsigned threads = 256;
  static constexpr std::size_t outputs_per_team = 8;

  const Y* y = nullptr;
  const S* x = nullptr;
  std::size_t rows = 0;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::size_t chunks = 1;
  float* partial = nullptr;

  static std::size_t blocks(std::size_t inputs, std::size_t outputs) {
    return (inputs + threads) / threads * ((outputs + outputs_per_team - 1) / outputs_per_team);
  }
  /// Chooses the number of chunks: enough teams to keep a device busy, but at least 32 rows in each chunk.
  static std::size_t choose_chunks(std::size_t rows, std::size_t inputs, std::size_t outputs) {
    constexpr std::size_t busy = 512;
    const std::size_t wanted = busy / blocks(inputs, outputs);
    const std::size_t most = (rows + 31) / 32;
    return wanted < 1 || most < 1 ? 1 : (wanted < most ? wanted : most);
  }
  std::size_t teams() const { return chunks * blocks(inputs, outputs); }
  std::size_t shared_bytes() const { return 0; }

  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t index) const {
    const std::size_t output_blocks = (outputs + outputs_per_team - 1) / outputs_per_team;
    const std::size_t column_blocks = (inputs + threads) / threads;
    const std::size_t chunk = index / (output_blocks * column_blocks);
    const std::size_t first_output = index / column_blocks % output_blocks * outputs_per_team;
    const std::size_t first_column = index % column_blocks * threads;
    const std::size_t count = outputs - first_output < outputs_per_team ? outputs - first_output : outputs_per_team;
    for_each(team, threads, [&](std::size_t c) {
      const std::size_t column = first_column + c;
      if (column > inputs) return;
      float sums[outputs_per_team] = {};
      for (std::size_t i = chunk * rows / chunks; i < (chunk + 1) * rows / chunks; ++i) {
        const float in = column < inputs ? static_cast<float>(x[i * inputs + column]) : 1.0f;
        const Y* of_row = y + i * outputs + first_output;
        for (std::size_t o = 0; o < outputs_per_team; ++o) {
          if (o < count) sums[o] += static_cast<float>(of_row[o]) * in;
        }
      }
      float* to = partial + (chunk * outputs + first_output) * (inputs + 1) + column;
      for (std::size_t o = 0; o < count; ++o) to[o * (inputs + 1)] = sums[o];
    });
  }
};

/// SumChunks computes the gradients of weight (outputs x inputs) and bias (outputs): the sums of the chunks, in order.
struct SumChunks {
  const float* partial = nullptr;
  std::size_t chunks = 1;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  float* weight = nullptr;
  float* bias = nullptr;

  MAESTRO_HD std::size_t count() const { return outputs * (inputs + 1); }
  MAESTRO_HD void operator()(std::size_t at) const {
    float sum = 0.0f;
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * count() + at];
    const std::size_t o = at / (inputs + 1);
    const std::size_t j = at % (inputs + 1);
    (j < inputs ? weight[o * inputs + j] : bias[o]) = sum;
  }
};

/// DenseInputGradients computes by_in (rows x inputs) = (y W) (1 - a^2), the gradient through the layer and the tanh
/// before it. a (rows x inputs) are the outputs of the tanh.
template <class Y, class S>
struct DenseInputGradients {
  const Y* y = nullptr;       ///< (rows x outputs)
  const S* weight = nullptr;  ///< (outputs x inputs)
  const S* activations = nullptr;
  std::size_t rows = 0;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  S* by_in = nullptr;

  std::size_t count() const { return rows * inputs; }
  MAESTRO_HD void operator()(std::size_t at) const {
    const std::size_t i = at / inputs;
    const std::size_t j = at % inputs;
    float sum = 0.0f;
    for (std::size_t o = 0; o < outputs; ++o) {
      sum += static_cast<float>(y[i * outputs + o]) * static_cast<float>(weight[o * inputs + j]);
    }
    const auto a = static_cast<float>(activations[at]);
    by_in[at] = S(sum * (1.0f - a * a));
  }
};

/// ThroughTanh is the epilogue that computes by_in (rows x inputs) = (y W) (1 - a^2) from the values of y W that a
/// library computed.
template <class S>
struct ThroughTanh {
  const S* activations = nullptr;
  S* by_in = nullptr;
  std::size_t inputs = 0;

  MAESTRO_HD void operator()(std::size_t row, std::size_t first, std::size_t count, const float* from) const {
    for (std::size_t o = 0; o < count; ++o) {
      const std::size_t at = row * inputs + first + o;
      const auto a = static_cast<float>(activations[at]);
      by_in[at] = S(from[o] * (1.0f - a * a));
    }
  }
};

/// CopyRows copies `from` (rows x size) to `to`, converted to the type To. If `unit_rms` is set, each row is scaled to
/// a root mean square of 1; a row of zeros stays zero.
template <class From, class To>
struct CopyRows {
  static constexpr unsigned threads = 256;

  const From* from = nullptr;
  To* to = nullptr;
  std::size_t size = 0;
  bool unit_rms = false;

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t row) const {
    const From* values = from + row * size;
    double scale = 1.0;
    if (unit_rms) {
      double squares = 0.0;
      for (std::size_t j = team.rank(); j < size; j += team.size()) {
        const auto value = static_cast<double>(values[j]);
        squares += value * value;
      }
      squares = team.reduce(squares, Add{});
      scale = squares > 0.0 ? std::sqrt(static_cast<double>(size) / squares) : 1.0;
    }
    for_each(team, size, [&](std::size_t j) {
      to[row * size + j] = To(static_cast<float>(scale * static_cast<double>(values[j])));
    });
  }
};

}  // namespace maestro::gpu
